"""What an uploaded amaas.json may say, and that reading it costs no more than its size: in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.errors import AmaasError, BadInput
from shared.ingest import supervisor
from shared.ingest.outcome import SystemCallFilterMissing
from shared.ingest.verdict import Limits, Refused
from shared.package import bounds, manifest

BOMBS = {
    "unknown members": b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}",
    "unknown members within the size": b"{" + b",".join(b'"k%d":1' % i for i in range(90_000)) + b"}",
    "empty objects": b'{"metrics":{"a":[' + b"{}," * 5_000_000 + b"{}]}}",
    "empty objects within the size": b'{"metrics":{"a":[' + b"{}," * 340_000 + b"{}]}}",
    "a deep list": b'{"metrics":{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}}",
    "a less deep list": b'{"metrics":{"a":' + b"[" * 20 + b"]" * 20 + b"}}",
    "a long number": b'{"metrics":{"a":' + b"1" * 1_000_000 + b"}}",
    "broken text": b'{"name":"\xff"}',
    "half a pair": b'{"card":"\\ud800"}',
    "no object": b"[]",
    "nothing": b"",
}


def decoded(body: bytes) -> tuple[str, float, int]:
    """In a process of its own: how a decoding ended, its seconds of CPU, and the MiB that it took."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            manifest.decode(body, check_names=True)
            outcome = "decoded"
        except AmaasError as error:
            outcome = str(error)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        os.write(writer, json.dumps([outcome[:200], time.process_time() - started, grown]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        outcome, seconds, grown = json.loads(answer.read())
    os.waitpid(child, 0)
    return outcome, seconds, grown


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_at_once(bomb: str) -> None:
    outcome, seconds, grown = decoded(BOMBS[bomb])
    assert outcome.startswith("amaas.json")
    assert seconds < 2  # of CPU: 0.2 here, where it was minutes
    assert grown < 100


def test_long_names_that_nothing_reads_take_no_time() -> None:
    body = b"{" + b",".join(b'"%d%s":1' % (i, b"metrics" * 1400) for i in range(99)) + b"}"
    outcome, seconds, _ = decoded(body)
    assert outcome == "decoded" and seconds < 2  # of CPU


def described(**members: Any) -> bytes:
    return json.dumps(members).encode()


FILLED = {"task": "image-classification", "preprocess": {"size": [16384, 16384]}}
SOUND = {"task": "audio-classification"}
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1]}
OUTSIDE = {
    "golden.rtol": described(golden={"rtol": 1e300}),
    "rtol just above": described(golden={"rtol": 0.51}),
    "golden.atol": described(golden={"atol": 1e7}),
    "golden.atol below 0": described(golden={"atol": -1}),
    "golden.atol beyond all numbers": b'{"golden":{"atol":1e999}}',
    "a label": described(labels=["x" * 1001]),
    "labels": described(labels=["x"] * 100_001),
    "a tag": described(tags=["x" * 101]),
    "name": described(name="x" * 101),
    "licence": described(licence="x" * 1001),
    "metrics": described(metrics={str(n): n for n in range(1001)}),
    "metrics in bytes": described(metrics={"a": "x" * 100_001}),
    "dataset": described(dataset="x" * 100_001),
    "lineage": described(lineage={"details": {"a": "x" * 100_001}}),
    "inputs": described(inputs=[TENSOR] * 1001),
    "a rank": described(inputs=[TENSOR | {"shape": [1] * 17}]),
    "a size": described(outputs=[TENSOR | {"shape": [2**31 + 1]}]),
    "a size below -1": described(outputs=[TENSOR | {"shape": [-2]}]),
    "preprocess.size": described(**FILLED),
    "preprocess.crop": described(**FILLED | {"preprocess": {"crop": [16384, 2048]}}),
    "preprocess.shorter": described(**FILLED | {"preprocess": {"shorter": 16384}}),
    "std of images": described(**FILLED | {"preprocess": {"std": [1.0, 0.0, 1.0]}}),
    "samples": described(**SOUND, preprocess={"seconds": 600, "sample_rate": 192_000}),
    "spectrogram": described(**SOUND, preprocess={"seconds": 600, "features": "mel", "hop_length": 1}),
    "std of sounds": described(**SOUND, preprocess={"std": 0}),
    "std of a column": described(task="tabular", preprocess={"columns": [{"name": "a", "std": 0}]}),
    "a category": described(
        task="tabular", preprocess={"columns": [{"name": "a", "type": "category", "categories": ["x" * 1001]}]}
    ),
    "a name in the plan of a tower": described(
        task="zero-shot-classification",
        preprocess={"kind": "image"},
        postprocess={"kind": "similarity", "text": {"ids": "x" * 1001}},
    ),
    "a name in a plan": described(task="text-classification", preprocess={"ids": "x" * 1001}),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_what_is_out_of_bounds_is_refused_in_a_sentence(case: str) -> None:
    with pytest.raises(BadInput, match=r"^amaas\.json") as refused:
        manifest.decode(OUTSIDE[case], check_names=True)
    assert 30 < len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"task": "tensor"}'.encode("utf-16"), r"byte 0 \(0xff\) is no UTF-8"),
        (b'{"golden": {"atol": NaN}}', "at byte 20, NaN is none of JSON's numbers"),
        (b" ", "it is empty"),
    ],
)
def test_what_is_no_json_is_refused_with_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=f"^amaas.json is not valid JSON: .*{words}"):
        manifest.decode(body, check_names=True)


def test_a_byte_order_mark_is_none_of_its_characters() -> None:
    marked = manifest.decode(b"\xef\xbb\xbf" + described(task="tensor"), check_names=True)
    assert marked == manifest.decode(described(task="tensor"), check_names=True)


def test_what_is_at_its_bounds_is_accepted() -> None:
    body = described(
        golden={"rtol": bounds.RTOL, "atol": bounds.ATOL},
        labels=["x" * bounds.LABEL],
        metrics={"accuracy": 0.9, "by_class": {"a": [1, [2, [3]]]}},
        inputs=[TENSOR | {"shape": [-1] * bounds.MAX_RANK}],
        task="image-classification",
        preprocess={"shorter": 256, "size": [4096, 4096], "std": [0.1]},
        **{f"member{n}of-a-later-release": n for n in range(bounds.MAX_UNKNOWN)},
    )
    accepted = manifest.decode(body, check_names=True)
    assert accepted.labels == ["x" * bounds.LABEL]


@pytest.mark.parametrize("check_names", [True, False])
def test_an_editors_byte_order_mark_is_no_part_of_it(check_names: bool) -> None:
    assert manifest.decode(b'\xef\xbb\xbf{"name": "wine"}', check_names=check_names).name == "wine"


def test_what_is_registered_stays_readable_whatever_its_bounds() -> None:
    for case, body in OUTSIDE.items():
        try:
            read = manifest.decode(body)
        except BadInput:
            assert case in ("golden.atol below 0", "golden.atol beyond all numbers", "labels")
            continue
        assert manifest.decode(manifest.encode(read)) == read, case


def test_the_stored_form_of_a_large_manifest_is_not_much_larger() -> None:
    deep: Any = [0] * 200_000
    for _ in range(bounds.MAX_DEPTH - 2):
        deep = [deep]
    assert len(manifest.encode(manifest.Manifest(name="m", reference={"a": deep}))) < 500_000


# ---- in the reader's process


def written(folder: Path, body: bytes) -> Path:
    path = folder / "amaas.json"
    path.write_bytes(body)
    return path


def test_the_reader_gives_the_manifest_as_it_is(tmp_path: Path) -> None:
    for path in sorted(Path("layers/models").glob("*/amaas.json")):
        body = path.read_bytes()
        assert supervisor.read_manifest(written(tmp_path, body)) == manifest.decode(body, check_names=True)


@pytest.mark.parametrize("bomb", BOMBS)
def test_the_reader_refuses_a_bomb(bomb: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"amaas\.json") as refused:
        supervisor.read_manifest(written(tmp_path, BOMBS[bomb]))
    assert refused.value.code == "bad_manifest"


def test_nothing_is_decoded_in_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "decode", None)
    assert supervisor.read_manifest(written(tmp_path, b'{"name": "m"}')).name == "m"


@pytest.mark.parametrize(("ending", "why"), [("os._exit(3)", "status 3"), ("os.abort()", "status -6")])
def test_a_reader_that_dies_is_a_refusal(
    ending: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" -c "import os; {ending}"\n')  # type: ignore[attr-defined]
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    with pytest.raises(Refused, match=why):
        supervisor.read_manifest(written(tmp_path, b"{}"))


# ---- without a filter of system calls


@pytest.fixture
def unfiltered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and readers of a kernel that takes no filter."""
    import sys

    program, script = tmp_path / "child.py", tmp_path / "python"
    program.write_text(
        "import os, runpy, sys\n"
        "sys.path[:0] = os.environ['PYTHONPATH'].split(os.pathsep)\n"
        "from shared.runtime import sandbox\n"
        "sandbox.filter_system_calls = lambda: False\n"
        "runpy.run_module(sys.argv[3], run_name='__main__', alter_sys=True)\n"
    )
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_without_a_filter_there_is_no_verdict(
    unfiltered: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support import linear

    model = tmp_path / "model.onnx"
    model.write_bytes(linear([[1.0]]))
    with pytest.raises(SystemCallFilterMissing, match="RequireSystemCallFilter=false"):
        supervisor.check_model({"model.onnx": model}, None)
    with pytest.raises(SystemCallFilterMissing):
        supervisor.read_manifest(written(tmp_path, b"{}"))
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["SystemCallFilterMissing"], line["service"]) for line in lines] == [(1, "sandbox")] * 2


def test_where_the_operator_says_so_there_is_a_verdict_and_an_alarm(
    unfiltered: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support import linear

    model, limits = tmp_path / "model.onnx", Limits(require_filter=False)
    model.write_bytes(linear([[1.0]]))
    verdict = supervisor.check_model({"model.onnx": model}, None, limits)
    assert verdict.accepted and verdict.runtime["seccomp"] is False
    assert supervisor.read_manifest(written(tmp_path, b'{"name": "m"}'), limits).name == "m"
    assert capsys.readouterr().out.count('"SystemCallFilterMissing":1') == 2


def test_the_alarm_watches_what_is_counted() -> None:
    from tests.cloud.template import TEMPLATE

    alarm = TEMPLATE["Resources"]["SystemCallFilterMissingAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Amaas", "SystemCallFilterMissing")
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "sandbox"}]
    variables = TEMPLATE["Resources"]["IngestFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["REQUIRE_SYSTEM_CALL_FILTER"] == {"Ref": "RequireSystemCallFilter"}
