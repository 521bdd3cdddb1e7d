"""The steps after training: what is quantized already, and no room to write to; and the picture of a search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.compress import pareto_plot

from .drawn import drawn_is
from .packages import compress, digest, matmul

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("step", ["fp16", "int8", "dynamic", "weight8", "int4"])
def test_what_is_quantized_already_is_refused_with_its_parents_name(
    step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = tmp_path / "once"
    assert compress("dynamic", matmul(tmp_path / "plain"), once) == 0
    rows = str(tmp_path / "plain" / "golden.npz")
    assert compress(step, once, tmp_path / "twice", "--calibration", rows) == 1
    said = capsys.readouterr().err
    assert f"is quantized already (by dynamic): give its parent, plain@sha256:{digest(tmp_path / 'plain')}" in said
    (once / "amaas.json").unlink()
    assert compress(step, once, tmp_path / "twice", "--calibration", rows) == 1
    assert "is quantized already (it has MatMulInteger): give the one in floating point" in capsys.readouterr().err


def test_what_is_quantized_already_can_still_be_fused(tmp_path: Path) -> None:
    assert compress("graph", ROOT / "layers" / "models" / "languages", tmp_path / "out") == 0


@pytest.mark.parametrize("step", ["graph", "dynamic", "search"])
def test_an_output_that_cannot_be_made_is_refused_at_once(
    step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.csv").touch()
    assert compress(step, matmul(tmp_path / "plain"), tmp_path / "file.csv" / "x") == 1
    assert f"cannot be made: {tmp_path / 'file.csv'} is a file" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["dynamic", "int8", "weight8", "fp16", "search"])
def test_no_room_is_what_is_said_when_there_is_none(step: str, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: writing fails halfway."""
    code = (
        "import resource, sys\nfrom training.compress.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\nsys.exit(main(sys.argv[1:]))"
    )
    plain = matmul(tmp_path / "plain")  # 16 kB
    arguments = [step, plain, "--out", tmp_path / "out", "--calibration", plain / "golden.npz"]
    line = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "File too large" in done.stderr and "free space there" in done.stderr
    assert list(tmp_path.iterdir()) == [plain], "nothing is left behind"


def picture(path: Path, steps: list[dict[str, Any]], **more: Any) -> str:
    """Its text, after a look at what is in it."""
    report = {"parent": "m@sha256:0", "machine": {"cpu": "x"}, "target": "size", "best": steps[1]["step"]}
    report |= {"max_drop": 0.5, "steps": steps} | more
    pareto_plot.plot(report, path)
    drawn_is(report, path)
    return path.read_text()


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_picture_shows_noise_where_there_was_no_data(noise: float, tmp_path: Path) -> None:
    sizes = {"parent": 9000, "int8": 3000, "int4": 4000}
    steps = [
        {"step": name, "size": size, "latency_us": 5.0 + n, "noise": noise * n, "pareto": name != "int4"}
        for n, (name, size) in enumerate(sizes.items())
    ]
    text = picture(tmp_path / "pareto.svg", steps, parent="m<$1>@sha256:0", machine={"cpu": "x & y"})
    assert "noise of the outputs" in text and "accuracy" not in text
    assert "m&lt;$1&gt;: the result of each step" in text and "x &amp; y, one thread" in text


def test_the_picture_goes_to_an_accuracy_of_one_and_not_beyond(tmp_path: Path) -> None:
    steps = [
        {"step": name, "size": 9, "latency_us": 5.0, "noise": 0.0, "validation_accuracy": 1.0, "pareto": True}
        for name in ("parent", "fp16")
    ]
    text = picture(tmp_path / "pareto.svg", steps)
    assert ">100.00%<" in text and ">100.10%<" not in text
    assert picture(tmp_path / "again.svg", steps) == text, "the same bytes from the same figures"
