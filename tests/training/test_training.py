"""The training job on small data that the tests make: cleaning, splits, the network, export, the whole command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from training import data, export, fashion_mnist, train
from training.augment import augment
from training.errors import TrainingError
from training.models import TutorialCNN

BUNDLED = Path(__file__).resolve().parents[2] / "layers" / "models" / "fashion-mnist"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes that are easy to tell apart: bright on the left, bright on the right."""
    random = np.random.default_rng(0)
    for label, side in (("left", slice(0, 6)), ("right", slice(6, 12))):
        (tmp_path / "set" / label).mkdir(parents=True)
        for n in range(60):
            pixels = random.integers(0, 60, (12, 12), dtype=np.uint8)
            pixels[:, side] += 150
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{n:03d}.png")
    return tmp_path / "set"


def run(folder: Path, out: Path, *more: str) -> int:
    arguments = ["--data", str(folder), "--out", str(out), "--epochs", "6", "--batch", "16", "--quiet", "--no-flip",
                 "--shift", "1", "--widths", "4", "8", "--hidden", "16", "--device", "cpu"]  # fmt: skip
    return train.main([*arguments, *more])


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


def test_from_folders_to_a_package(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(folder, out) == 0
    described = json.loads((out / "amaas.json").read_text())
    assert described["labels"] == ["left", "right"]
    assert described["metrics"]["test_accuracy"] > 0.9
    assert f"{described['metrics']['test_accuracy']:.2%}" in described["card"]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]
    _replay(out)


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(folder, tmp_path / name, "--seed", seed, "--epochs", "1", "--name", "same") == 0
    a, b, c = ((tmp_path / name / "model.onnx").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_cleaning_says_what_it_dropped(folder: Path) -> None:
    (folder / "left" / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.full((12, 12), 9, np.uint8)).save(folder / "left" / "empty.png")
    twin = (folder / "left" / "000.png").read_bytes()
    (folder / "left" / "twin.png").write_bytes(twin)
    (folder / "right" / "liar.png").write_bytes((folder / "left" / "001.png").read_bytes())
    loaded = data.load(str(folder), folder, seed=0)
    assert loaded.dropped() == {"unreadable": 1, "empty": 1, "duplicate": 1, "duplicate with another label": 1}
    parts = [loaded.train, loaded.validation, loaded.test]
    assert sum(len(labels) for _, labels in parts) == 119  # the liar's twin is gone too
    seen = [image.tobytes() for images, _ in parts for image in images]
    assert len(seen) == len(set(seen))


def test_what_is_in_the_test_set_leaves_the_training_set() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (6, 4, 4, 1), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    report: list = []
    cleaned = data.clean({"train": (images, labels), "test": (images[:2], labels[:2])}, report)
    assert (len(cleaned["train"][1]), len(cleaned["test"][1])) == (4, 2)
    assert {entry["reason"] for entry in report} == {"in the test set too"}


def test_splits_are_stratified_and_disjoint() -> None:
    images = np.arange(1000, dtype=np.int64).reshape(-1, 1, 1, 1)
    labels = np.array([0] * 900 + [1] * 100)
    (a, la), (b, lb) = data.stratified(images, labels, 0.1, seed=3)
    assert (np.bincount(la).tolist(), np.bincount(lb).tolist()) == ([810, 90], [90, 10])
    assert not set(a.reshape(-1)) & set(b.reshape(-1))
    again = data.stratified(images, labels, 0.1, seed=3)[1][0]
    assert np.array_equal(b, again)


def test_augmentation_is_seeded_and_changes_only_what_it_may() -> None:
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8)
    seeded = [augment(images, torch.Generator().manual_seed(5), shift=2, erase=3) for _ in range(2)]
    assert torch.equal(*seeded)
    assert seeded[0].shape == images.shape
    still = augment(images, torch.Generator().manual_seed(5), shift=0, flip=False)
    assert torch.equal(still, images)


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        ("empty class", [], "no image that can be read"),
        ("single class", [], "at least two"),
        ("mixed sizes", [], "--size"),
        (None, ["--batch", "500"], "smaller --batch"),
        (None, ["--lr", "1e20"], "smaller --lr"),
        ("nothing", [], "no data set"),
    ],
)
def test_bad_input_is_explained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, spoil: str | None, more: list[str], message: str
) -> None:
    if spoil == "empty class":
        (folder / "third").mkdir()
    elif spoil == "single class":
        for file in (folder / "right").iterdir():
            file.unlink()
        (folder / "right").rmdir()
    elif spoil == "mixed sizes":
        Image.new("L", (20, 20), 3).save(folder / "left" / "big.png")
    target = folder / "nowhere" if spoil == "nothing" else folder
    assert run(target, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_mixed_sizes_are_fine_when_a_size_is_given(folder: Path) -> None:
    Image.new("RGB", (20, 30), (3, 4, 200)).save(folder / "left" / "big.png")
    loaded = data.load(str(folder), folder, seed=0, size=(14, 10))
    assert loaded.train[0].shape[1:] == (14, 10, 3)


def test_idx_files_are_checked(tmp_path: Path) -> None:
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        rank = 3 if "idx3" in name else 1
        sizes = b"".join(n.to_bytes(4, "big") for n in ([2, 28, 28] if rank == 3 else [2]))
        body = bytes(2 * 784) if rank == 3 else bytes([4, 9])
        (tmp_path / name).write_bytes(bytes([0, 0, 8, rank]) + sizes + body)
    loaded = fashion_mnist.load(tmp_path)
    assert loaded["test"][0].shape == (2, 28, 28, 1)
    assert loaded["train"][1].tolist() == [4, 9]
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")
    with pytest.raises(TrainingError, match="cut off"):
        fashion_mnist.load(tmp_path)


def test_parity_is_really_checked(folder: Path) -> None:
    network = TutorialCNN((1, 12, 12), 2, (4, 8), 16).eval()
    sample = torch.randn(3, 1, 12, 12)
    body = export.to_onnx(network, sample)
    export.parity(network, body, sample)
    with torch.no_grad():
        network.head[-1].bias += 1
    with pytest.raises(TrainingError, match="differs"):
        export.parity(network, body, sample)


def test_the_bundled_package_is_what_its_card_says() -> None:
    described = json.loads((BUNDLED / "amaas.json").read_text())
    assert (BUNDLED / "model.onnx").stat().st_size < 1_000_000
    assert described["metrics"]["test_accuracy"] >= 0.9
    assert f"{described['metrics']['test_accuracy']:.2%}" in described["card"]
    assert described["labels"] == fashion_mnist.LABELS
    _replay(BUNDLED)


def _replay(package: Path) -> None:
    """Run the golden set as the gate does."""
    golden = np.load(package / "golden.npz", allow_pickle=False)
    session = onnxruntime.InferenceSession((package / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    outputs = session.run(["logits"], {"image": golden["input.image"]})[0]
    assert np.allclose(outputs, golden["output.logits"], rtol=1e-3, atol=1e-4)
    one = session.run(["logits"], {"image": golden["input.image"][:1]})[0]
    assert one.shape[0] == 1
