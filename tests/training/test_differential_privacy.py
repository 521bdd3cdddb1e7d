"""Private training: what is counted is what happens, and what would not be counted is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from training import train
from training.compress import __main__ as compress
from training.errors import TrainingError
from training.loop import differential_privacy
from training.networks import find as networks
from training.settings import settings

from .conftest import Run

PRIVATE = ["--epsilon", "8", "--clip", "1", "--batch", "23"]


def test_private_training_tells_its_epsilon(folder: Path, tmp_path: Path, run: Run) -> None:
    assert run(folder, tmp_path / "out", *PRIVATE, "--lr", "0.5") == 0
    described = json.loads((tmp_path / "out" / "amaas.json").read_text())
    spent = described["metrics"]["privacy"]
    assert 7 < spent["epsilon"] <= 8
    assert spent["delta"] == pytest.approx(1 / 920, rel=0.05)
    assert f"ε = {spent['epsilon']:g} at δ = {spent['delta']:g}" in described["card"]
    assert described["metrics"]["test_accuracy"] > 0.7  # it still learns


def test_steps_that_look_at_training_items_again_are_refused(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What looks at none keeps the promise; nor does a private package tell digests of its splits."""
    out = tmp_path / "out"
    assert run(folder, out, *PRIVATE, "--epochs", "1", "--widths", "4", "8", "--hidden", "16") == 0
    described = json.loads((out / "amaas.json").read_text())
    assert "digests" not in described["dataset"]
    own = ["--data", str(folder), "--max-drop", "100"]
    for step, more in (("prune", []), ("magnitude", []), ("distil", ["--student", "cnn"]), ("int8", [])):
        assert compress.main([step, str(out), "--out", str(tmp_path / step), *own, *more]) == 1
        assert f"{step} would look at training items again, which the ε = " in capsys.readouterr().err
    np.savez(tmp_path / "others.npz", image=np.load(out / "golden.npz")["input.image"])
    others = ["--calibration", str(tmp_path / "others.npz")]
    for step, more in (("weight8", []), ("int8", others)):
        assert compress.main([step, str(out), "--out", str(tmp_path / step), *own, *more]) == 0
        made = json.loads((tmp_path / step / "amaas.json").read_text())
        assert made["metrics"]["privacy"] == described["metrics"]["privacy"]


def test_more_privacy_is_more_noise_and_stopping_loses_no_count(folder: Path, tmp_path: Path, run: Run) -> None:
    noise = {}
    for epsilon in ("1", "20"):
        out = tmp_path / epsilon
        assert run(folder, out, "--epsilon", epsilon, "--clip", "1", "--batch", "23", "--epochs", "2") == 0
        noise[epsilon] = json.loads((out / "amaas.json").read_text())["metrics"]["privacy"]["noise_multiplier"]
    assert noise["1"] > 3 * noise["20"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epsilon", "8"], "give --clip"),
        (["--epsilon", "8", "--clip", "1", "--batch", "8"], "needs batches of 16 or more"),
        ([*PRIVATE, "--mixup", "0.2"], "--mixup puts an item into the gradients of two"),
        ([*PRIVATE, "--cutmix", "1"], "--cutmix puts an item into the gradients of two"),
        ([*PRIVATE, "--teacher", "x"], "does not account for what a --teacher saw"),
    ],
)
def test_what_private_training_needs_is_said(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(folder, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err


def test_one_process_alone() -> None:
    chosen = settings(["--data", "x", "--out", "y", *PRIVATE])
    differential_privacy.check(chosen, 1)
    with pytest.raises(TrainingError, match="without torchrun"):
        differential_privacy.check(chosen, 2)


def test_noise_and_lots_cannot_be_drawn_again(folder: Path, tmp_path: Path, run: Run) -> None:
    """The seed is on the card: with noise of that seed, whoever reads it could take the noise off."""
    drawn = []
    for name in "ab":
        assert run(folder, tmp_path / name, *PRIVATE, "--epochs", "1") == 0
        weights = onnx.load(tmp_path / name / "model.onnx").graph.initializer
        drawn.append({tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in weights})
    assert any(not np.array_equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


@pytest.mark.parametrize(("name", "shape"), [("resnet9", (1, 12, 12)), ("mlp", (5,))])
def test_networks_that_mix_a_batch_are_changed(name: str, shape: tuple[int, ...]) -> None:
    network = differential_privacy.without_batch_norm(networks.find(name)[0](shape, 3)).train()
    kinds = {type(part) for part in network.modules()}
    assert nn.GroupNorm in kinds and not kinds & {nn.BatchNorm1d, nn.BatchNorm2d}
    items = torch.randn(8, *shape)
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    torch.testing.assert_close(network(items)[:1], network(items[:1]), rtol=1e-4, atol=1e-4)


class Own(nn.Module):
    kind = "table"

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(shape[0], 16), nn.ReLU(), nn.Linear(16, classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


@pytest.mark.parametrize("model", ["mlp", f"{__name__}:Own"])
def test_a_table_is_learned_privately_and_none_of_its_rows_is_given_away(tmp_path: Path, model: str) -> None:
    random = np.random.default_rng(0)
    rows = [(*values, "high" if values.sum() > 0 else "low") for values in random.normal(size=(300, 3)).round(3)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "c", "level"), *rows])
    out = tmp_path / "out"
    given = ["--data", str(tmp_path / "t.csv"), "--out", str(out), "--model", model, "--device", "cpu", "--quiet"]
    assert train.main([*given, *PRIVATE, "--epochs", "10", "--lr", "0.5"]) == 0
    described: dict[str, Any] = json.loads((out / "amaas.json").read_text())
    assert described["metrics"]["privacy"]["epsilon"] <= 8 and described["metrics"]["test_accuracy"] > 0.7
    assert {path.name for path in out.iterdir() if path.suffix == ".csv"} == set()
    running = onnxruntime.InferenceSession(out / "model.onnx")
    feeds = {put.name: np.zeros((2, *put.shape[1:]), np.float32) for put in running.get_inputs()}
    assert running.run(None, feeds)[0].shape == (2, 2)
