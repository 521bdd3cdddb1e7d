"""Models as they are served answer the same on an older processor; without the rewriting they would not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.portability import running
from bench.portability.__main__ import control, measured
from bench.portability.report import Report
from tests.portability import corpus
from tools import processors

PROCESSORS = ("native", "Haswell")
# Seen on AVX2 without VNNI, and on the way of a weight that is alone quantized.
SATURATING = [name for name in corpus.SHORT if "u8×u8" not in name and not name.startswith("QLinearMatMul 10 s8")]


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """With the rewriting and without."""
    return measured(corpus.short(), PROCESSORS, (True, False))


@pytest.fixture
def served(reports: list[Report]) -> Report:
    return reports[0]


@pytest.fixture
def unwritten(reports: list[Report]) -> Report:
    return reports[1]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_what_is_served_is_right(served: Report, processor: str) -> None:
    assert [served.reason(case, processor) for case in served.wrong(processor)] == []


def test_the_control_is_wrong_where_sums_saturate(unwritten: Report, capsys: pytest.CaptureFixture[str]) -> None:
    products = [name for name in SATURATING if not name.startswith("weights")]
    assert set(products) <= set(unwritten.wrong("Haswell"))
    assert "QLinearConv 10 u8×u8 3x3 per tensor" not in unwritten.wrong("Haswell")
    assert control(unwritten) == 0
    assert "differs by" in capsys.readouterr().out


def test_a_control_that_finds_nothing_fails() -> None:
    right = running.Verdict(True, 0.0)
    assert control(Report({"case": {"Haswell": right}}, features={"Haswell": ["AVX2"]})) == 1
    assert control(Report({"case": {"native": right}}, features={"native": ["AVX2"]})) == 1


def test_the_other_processor_has_no_vnni(unwritten: Report) -> None:
    assert "AVX2" in unwritten.features["Haswell"]
    assert not [name for name in unwritten.features["Haswell"] if "512" in name or "VNNI" in name]


def test_kernels_that_cannot_saturate_agree_with_the_simulation() -> None:
    """SSE4.1's kernels sum in 32 bits: an independent judge of the expectations, on any machine."""
    cases = corpus.short()
    jobs = [running.Job(case.model, case.feeds, "off") for case in cases]
    answers, features = running.answers("Nehalem", jobs)
    assert "AVX2" not in features
    verdicts = [running.judged(*running.expectation(case), answer) for case, answer in zip(cases, answers, strict=True)]
    assert [verdict.reason for verdict in verdicts if not verdict.right] == []


def test_children_of_the_other_python_are_the_same_processor() -> None:
    """Their own Python is the script that starts QEMU, not the interpreter that it translates."""
    child = "import subprocess, sys; print(sys.executable, sys.prefix, sep=chr(10))"
    code = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))"
    done = processors.run("Nehalem", ["-c", code])
    assert done.returncode == 0, done.stderr
    script = processors.python("Nehalem")
    assert done.stdout.split("\n")[:2] == [str(script), str(script.parents[1])]


def test_native_is_the_python_that_runs() -> None:
    assert str(processors.python("native")) == sys.executable


def test_without_qemu_and_without_a_way_to_it_a_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(processors, "FOLDER", tmp_path)
    with pytest.raises(processors.Missing, match="install Debian's package qemu-user"):
        processors.qemu()


def test_an_unpacked_package_is_used_where_none_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qemu").mkdir()
    (tmp_path / "qemu" / ".ready").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(processors, "FOLDER", tmp_path)
    assert processors.qemu() == tmp_path / "qemu" / "usr" / "bin" / "qemu-x86_64"


def test_the_record_and_the_page_say_what_was_found() -> None:
    right, wrong = running.Verdict(True, 1e-6), running.Verdict(False, 0.31, "noise of 31.00%")
    verdicts = {"fine": {"Haswell": right}, "bad": {"Haswell": wrong}}
    report = Report(verdicts, {"bad": ["weights shifted"]}, {"Haswell": ["AVX2", "FMA3"]})
    assert "Haswell: 1 of 2 right; wrong: bad (noise of 31.00%)" in report.page()
    assert "| **wrong** 31.0%" in report.page()
    record = json.loads(json.dumps(report.record()))
    assert record["processors"] == {"Haswell": ["AVX2", "FMA3"]}
    assert record["cases"]["bad"] == {
        "Haswell": {"right": False, "noise": 0.31, "reason": "noise of 31.00%"}, "done": ["weights shifted"],
    }  # fmt: skip
