"""The network, and the whole command on small data that the tests make."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

from training.errors import TrainingError
from training.kinds.images import statistics
from training.networks.images import TutorialCNN
from training.optimizers import rate
from training.settings import check, settings

from .conftest import Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 17, 41), (4, 10, 10)])
def test_the_network_takes_any_size(shape: tuple[int, int, int]) -> None:
    network = TutorialCNN(shape, 7)
    assert network(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_tutorials_network_has_the_tutorials_size() -> None:
    network = TutorialCNN((1, 28, 28), 10)
    size = sum(p.numel() for p in network.parameters()) * 4
    assert 13.4e6 < size < 13.7e6
    with pytest.raises(TrainingError, match="too small"):
        TutorialCNN((1, 6, 6), 10)


def test_from_folders_to_a_package(folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run(folder, out) == 0
    described = json.loads((out / "amaas.json").read_text())
    assert (described["name"], described["labels"]) == ("set", ["left", "right"])
    assert described["metrics"]["test_accuracy"] > 0.9
    assert described["dataset"]["splits"] == {"train": 92, "validation": 10, "test": 18}
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert described["metrics"]["validation_accuracy"] == max(row["validation_accuracy"] for row in rows)
    assert json.loads((out / "cleaning.json").read_text()) == {"dropped": {}, "items": []}


def at_a_terminal(command: list[str]) -> tuple[subprocess.CompletedProcess[str], str]:
    """With what it draws there, which is read as it comes: a terminal that nobody reads stops who writes to it."""
    ours, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))  # nothing is drawn in a terminal without columns
    parts: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while part := os.read(ours, 1 << 12):
                parts.append(part)

    reader = Thread(target=read)
    reader.start()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True, check=False)
    os.close(terminal)
    reader.join(10)
    os.close(ours)
    return done, b"".join(parts).decode()


def test_the_command_on_fashion_mnists_files(tmp_path: Path, idx: Callable[[Path, int, int], None]) -> None:
    idx(tmp_path / "fashion-mnist", 400, 50)
    options = [
        "--root",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--epochs",
        "4",
        "--batch",
        "20",
        "--lr",
        "0.02",
    ]
    small = ["--widths", "8", "8", "--hidden", "32", "--no-flip", "--shift", "0", "--device", "cpu"]
    command = [sys.executable, "-m", "training.train", "--data", "fashion-mnist", *options, *small]
    done, drawn = at_a_terminal(command)
    assert done.returncode == 0, drawn
    assert "360 to train on, 40 to validate, 50 to test" in done.stdout
    assert "epoch 4/4: " in drawn  # the progress bar, redrawn at most every tenth of a second
    described = json.loads((tmp_path / "out" / "amaas.json").read_text())
    assert described["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}]
    assert described["dataset"]["copyright"] == "2017 Zalando SE"
    assert described["metrics"]["test_accuracy"] > 0.8


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path, run: Run) -> None:
    plain = ["--epochs", "1", "--momentum", "0", "--weight-decay", "0", "--name", "same"]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(folder, tmp_path / name, "--seed", seed, *plain) == 0
    a, b, c = ((tmp_path / name / "model.onnx").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        ("empty class", [], "'third' has no image that can be read"),
        ("single class", [], "at least two"),
        ("corrupt class", [], "'right' has no image that can be read"),
        ("mixed sizes", [], "1 of 20x20): give --size"),
        (None, ["--batch", "500"], "smaller --batch"),
        (None, ["--lr", "1e20"], "smaller --lr"),
        (None, ["--device", "nonsense"], "try --device cpu"),
        (None, ["--name", "../etc"], "give a --name"),
        (None, ["--data", "cifar10", "--size", "8", "8"], "omit --size"),
        (None, ["--data", "nowhere"], "is not a data set"),
        ("out is a file", [], "give a folder"),
        ("nothing", ["--checkpoint", os.fsdecode(b"caf\xe9")], r"--checkpoint caf\xe9 is not UTF-8"),
        ("nothing", ["--checkpoint", "s3://bucket/run"], "is a folder of this machine"),
    ],
)
def test_bad_input_is_explained(
    folder: Path,
    tmp_path: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    spoil: str | None,
    more: list[str],
    message: str,
) -> None:
    files = sorted((folder / "right").iterdir())
    if spoil == "empty class":
        (folder / "third").mkdir()
    elif spoil == "single class":
        (folder / "right").rename(tmp_path / "elsewhere")
    elif spoil == "corrupt class":
        for file in files:
            file.write_bytes(b"\x89PNG\r\n\x1a\n")
    elif spoil == "mixed sizes":
        Image.new("L", (20, 20), 3).save(folder / "left" / "big.png")
    elif spoil == "out is a file":
        (tmp_path / "out").write_text("")
    assert run(folder, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_the_folder_of_now_is_a_place_for_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no parts, and the first of them was asked for."""
    monkeypatch.chdir(tmp_path)
    assert check(settings(["--data", "wine", "--out", ".", "--checkpoint", ".", "--device", "cpu"])) == "wine"


@pytest.mark.parametrize(
    "option", [["--epochs", "0"], ["--batch", "x"], ["--lr", "nan"], ["--lr", "-1"], ["--shift", "-1"]]
)
def test_numbers_are_checked(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    with pytest.raises(SystemExit):
        run(folder, tmp_path / "out", *option)
    assert f"argument {option[0]}: {option[1]!r} is no" in capsys.readouterr().err


def test_statistics_are_those_of_the_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, 5, 4, 3), dtype=np.uint8)
    mean, std = statistics(images)
    assert mean == [round(float(v), 4) for v in (images / 255).mean((0, 1, 2))]
    assert std == [round(float(v), 4) for v in (images / 255).std((0, 1, 2))]
    assert statistics(np.zeros((2, 4, 4, 1), np.uint8)) == ([0.0], [1.0])


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [rate(n / 100) for n in range(101)]
    assert max(rates) == rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] < 1e-9
