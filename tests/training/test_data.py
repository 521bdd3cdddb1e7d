"""What is read, what is dropped and why, how it is split."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, SVHN

from shared.serving.inputs import images
from shared.serving.inputs.images import decode
from training.data import catalog, clean
from training.data import dataset as data
from training.data import images as pictures
from training.data.named import fashion_mnist
from training.data.source import Options
from training.errors import TrainingError

from .conftest import Run


def test_cleaning_says_what_it_dropped(folder: Path) -> None:
    (folder / "left" / "broken.png").write_bytes(b"no image")
    (folder / "left" / "cut.png").write_bytes((folder / "left" / "002.png").read_bytes()[:-60])
    (folder / "left" / "notes.txt").write_text("not an image")
    Image.fromarray(np.full((12, 12), 9, np.uint8)).save(folder / "left" / "empty.png")
    shutil.copy(folder / "left" / "000.png", folder / "left" / "twin.png")
    shutil.copy(folder / "left" / "001.png", folder / "right" / "liar.png")
    loaded = data.load(str(folder), folder, seed=0)
    reasons = {line["item"]: (line["reason"], line.get("same_as")) for line in loaded.report}
    assert reasons == {
        "left/broken.png": ("unreadable", None),
        "left/cut.png": ("unreadable", None),
        "left/notes.txt": ("not an image file", None),
        "left/empty.png": ("empty", None),
        "left/twin.png": ("duplicate", "left/000.png"),
        "left/001.png": ("duplicate with another label", "right/liar.png"),
        "right/liar.png": ("duplicate with another label", "left/001.png"),
    }
    assert loaded.dropped()["duplicate with another label"] == 2
    parts = [loaded.train, loaded.validation, loaded.test]
    assert sum(len(labels) for _, labels in parts) == 119
    seen = [image.tobytes() for images, _ in parts for image in images]
    assert len(seen) == len(set(seen))


def test_a_third_copy_of_contradicting_images_goes_too() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    dropped = clean.drops({"train": (np.concatenate([image] * 3), np.array([0, 1, 0]))}, "image")
    assert sorted(dropped) == [("train", n) for n in range(3)]
    assert [reason for reason, _ in dropped.values()] == ["duplicate with another label"] * 3


def test_what_is_in_the_test_set_leaves_the_training_set() -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 1), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    dropped = clean.drops({"train": (images, labels), "test": (images[:2], labels[:2])}, "image")
    assert dropped == {("train", n): ("in the test set too", ("test", n)) for n in range(2)}
    assert clean.line(("train", 1), *dropped["train", 1], {"train": ["a.png", "b.png"]}) == {
        "item": "b.png",
        "reason": "in the test set too",
        "same_as": "test/1",
    }


def test_splits_are_stratified_and_disjoint() -> None:
    images = np.arange(1000, dtype=np.int64).reshape(-1, 1, 1, 1)
    labels = np.array([0] * 900 + [1] * 100)
    (a, la), (b, lb) = data.stratified(images, labels, 0.1, seed=3)
    assert (np.bincount(la).tolist(), np.bincount(lb).tolist()) == ([810, 90], [90, 10])
    assert set(a.reshape(-1)) | set(b.reshape(-1)) == set(range(1000))
    assert len(a) + len(b) == 1000
    assert np.array_equal(b, data.stratified(images, labels, 0.1, seed=3)[1][0])
    assert not np.array_equal(b, data.stratified(images, labels, 0.1, seed=4)[1][0])


def test_mixed_sizes_and_colors_are_fine_when_a_size_is_given(folder: Path) -> None:
    Image.new("RGB", (20, 30), (3, 4, 200)).save(folder / "left" / "big.png")
    loaded = data.load(str(folder), folder, seed=0, size=(14, 10))
    assert loaded.train[0].shape[1:] == (14, 10, 3)


def test_images_are_turned_upright_as_serving_does(folder: Path) -> None:
    turned = Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 6, 0).repeat(12, 1))  # bright below
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    turned.save(folder / "left" / "zz.png", exif=exif)
    source = pictures.from_folder(folder, Options(), [])
    upright = source.splits["train"][0][source.names["train"].index("left/zz.png"), :, :, 0]
    assert upright[:6].min() == 255
    assert upright[6:].max() == 0


def test_grey_of_16_bits_is_read_as_serving_reads_it(folder: Path) -> None:
    """It was clipped to white, and then dropped as empty."""
    deep = np.random.default_rng(5).integers(256, 65536, (12, 12)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(folder / "left" / "zz.png", exif=exif)
    source = pictures.from_folder(folder, Options(), [])
    read = source.splits["train"][0][source.names["train"].index("left/zz.png"), :, :, 0]
    served = decode((folder / "left" / "zz.png").read_bytes(), "L")
    assert np.array_equal(read, served)
    assert np.array_equal(read, np.rot90(np.round(deep / 257).astype(np.uint8), -1))
    assert data.load(str(folder), folder, seed=0).report == []


def test_an_image_of_absurd_size_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 30), 3).save(folder / "left" / "bomb.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 800)  # what serving would not take is nothing to learn from
    loaded = data.load(str(folder), folder, seed=0)
    assert [line["item"] for line in loaded.report if line["reason"] == "unreadable"] == ["left/bomb.png"]


def test_a_class_of_two_is_too_small_to_split(folder: Path) -> None:
    (folder / "third").mkdir()
    for n in range(2):
        shutil.copy(folder / "left" / f"{n:03d}.png", folder / "third")
        (folder / "left" / f"{n:03d}.png").unlink()
    with pytest.raises(TrainingError, match="'third' has no training images left"):
        data.load(str(folder), folder, seed=0)


def test_a_class_that_cleaning_empties_is_told_with_the_reasons(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "third").mkdir()
    for n in range(5):
        shutil.copy(folder / "left" / f"{n:03d}.png", folder / "third" / f"{n}.png")
    for n in range(2):
        Image.new("L", (12, 12), n).save(folder / "third" / f"empty{n}.png")
    (folder / "third" / "broken.png").write_bytes(b"no image")
    assert run(folder, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert (
        "the class 'third' has no training images left after cleaning and splitting "
        "(5 dropped: duplicate with another label, 2 dropped: empty): add some; "
        f"{tmp_path / 'out' / 'cleaning.json'} names what was dropped"
    ) in said
    told = json.loads((tmp_path / "out" / "cleaning.json").read_text())
    assert told["dropped"] == {"unreadable": 1, "duplicate with another label": 10, "empty": 2}
    assert {"item": "third/0.png", "reason": "duplicate with another label", "same_as": "left/000.png"} in told["items"]


def test_a_test_set_that_cleaning_empties_is_told_with_the_reasons(folder: Path) -> None:
    for split in ("train", "test"):
        for label in ("left", "right"):
            (folder.parent / "own" / split / label).mkdir(parents=True)
            for n in range(20 if split == "train" else 2):
                image = Image.open(folder / label / f"{n:03d}.png") if split == "train" else Image.new("L", (12, 12), n)
                image.save(folder.parent / "own" / split / label / f"{n}.png")
    with pytest.raises(
        TrainingError, match=r"test set has no images left after cleaning \(4 dropped: empty\): add some"
    ):
        data.load(str(folder.parent / "own"), folder, seed=0)


@pytest.mark.parametrize("name", ["0.png", "notes.txt"])
def test_a_test_set_that_cannot_be_read_is_not_replaced(folder: Path, name: str) -> None:
    """A part of the training set was the test, and nobody was told."""
    own = folder.parent / "own"
    shutil.copytree(folder, own / "train")
    for label in ("left", "right"):
        (own / "test" / label).mkdir(parents=True)
        (own / "test" / label / name).write_bytes(b"no image")
    with pytest.raises(TrainingError, match="test set has no images left after cleaning: add some, or take it away"):
        data.load(str(own), folder, seed=0)


def test_a_files_name_need_not_be_utf_8_but_a_class_and_a_data_sets_must(folder: Path) -> None:
    """The report of what was dropped could not be written, nor amaas.json after the whole training."""
    strange = os.fsdecode(b"caf\xe9")
    (folder / "left" / f"{strange}.png").write_bytes(b"no image")
    shutil.copy(folder / "left" / "000.png", folder / "left" / f"twin {strange}.png")
    loaded = data.load(str(folder), folder, seed=0)
    data.write(loaded.report, folder.parent / "cleaning.json")
    told = json.loads((folder.parent / "cleaning.json").read_text(encoding="utf-8"))["items"]
    assert {line["item"] for line in told} == {r"left/caf\xe9.png", r"left/twin caf\xe9.png"}
    (folder / "right").rename(folder / strange)
    with pytest.raises(TrainingError, match=r"the class folder 'caf\\xe9' is not UTF-8.*: rename it"):
        data.load(str(folder), folder, seed=0)
    (folder / strange).rename(folder / "right")
    named = folder.rename(folder.with_name(strange))
    with pytest.raises(TrainingError, match=r"the data set 'caf\\xe9' is not UTF-8"):
        data.load(str(named), named, seed=0)
    rows = folder.parent / "rows"
    rows.mkdir()
    (rows / f"{strange}.csv").write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(TrainingError, match=r"the file 'caf\\xe9.csv' is not UTF-8"):
        data.load(str(rows), rows, seed=0)


def test_hidden_folders_are_no_classes(folder: Path) -> None:
    (folder / ".checkpoints").mkdir()
    assert data.load(str(folder), folder, seed=0).labels == ["left", "right"]


def test_idx_files_plain_and_packed(tmp_path: Path, idx: Callable[[Path, int, int], None]) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    idx(raw, 30, 10)
    plain = fashion_mnist.load(tmp_path)
    for path in list(raw.iterdir()):
        (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = fashion_mnist.load(tmp_path)
    assert plain["train"][0].shape == (30, 28, 28, 1)
    assert plain["test"][1].tolist() == list(range(10))
    assert all(np.array_equal(a, b) for split in plain for a, b in zip(plain[split], packed[split], strict=True))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("train-images-idx3-ubyte", lambda body: body[:-1], "cut off"),
        ("train-images-idx3-ubyte", lambda body: b"\0\0\x08\x03\0", "cut off"),
        ("train-labels-idx1-ubyte", lambda body: b"\0\0\x0d\x01" + body[4:], "not an idx file"),
        ("train-labels-idx1-ubyte", lambda body: body[:-1] + b"\x0b", "labels up to 11"),
        ("train-labels-idx1-ubyte", lambda body: body[:7] + b"\x1d" + body[8:-1], "30 images for 29 labels"),
        ("train-labels-idx1-ubyte.gz", gzip.compress, "fetched again"),
    ],
)
def test_damaged_idx_files_are_explained(
    tmp_path: Path, idx: Callable[[Path, int, int], None], name: str, spoil: Callable[[bytes], bytes], message: str
) -> None:
    idx(tmp_path, 30, 10)
    plain = tmp_path / name.removesuffix(".gz")
    body = spoil(plain.read_bytes())
    plain.unlink()
    (tmp_path / name).write_bytes(body[:-9] if name.endswith(".gz") else body)
    with pytest.raises(TrainingError, match=message):
        fashion_mnist.load(tmp_path)


def test_cifar10_in_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's own reader on three small files; only its list of checksums is exchanged."""
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    random = np.random.default_rng(0)
    digests = {}
    for name, count in (("data_batch_1", 40), ("test_batch", 20)):
        pixels = random.integers(0, 255, (count, 3072), dtype=np.uint8)
        digests[name] = _pickled(base / name, {"data": pixels, "labels": [n % 10 for n in range(count)]})
    digests["batches.meta"] = _pickled(base / "batches.meta", {"label_names": [f"class {n}" for n in range(10)]})
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", digests["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": digests["batches.meta"]})
    loaded = data.load("cifar10", tmp_path, seed=0)
    assert loaded.labels[3] == "class 3"
    assert (loaded.train[0].shape, loaded.test[0].shape) == ((30, 32, 32, 3), (20, 32, 32, 3))
    assert np.bincount(loaded.validation[1]).tolist() == [1] * 10


def _pickled(path: Path, content: dict) -> str:
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_mnists_files_are_read_by_torchvision(tmp_path: Path, idx: Callable[[Path, int, int], None]) -> None:
    idx(tmp_path / "KMNIST" / "raw", 60, 20)
    loaded = data.load("kmnist", tmp_path, seed=0)
    assert (loaded.train[0].shape[1:], len(loaded.labels)) == ((28, 28, 1), 10)
    assert loaded.about == {"name": "KMNIST", "licence": "CC BY-SA 4.0", "source": "Clanuwat et al., 2018"}


def test_svhns_channels_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (32, 32, 3, 40), dtype=np.uint8)
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels, "y": np.arange(40)[:, None] % 10})
        digest = hashlib.md5((tmp_path / f"{split}_32x32.mat").read_bytes()).hexdigest()
        monkeypatch.setitem(SVHN.split_list, split, ["", f"{split}_32x32.mat", digest])
    source = catalog.find("svhn", tmp_path, Options(), [])
    assert source.labels == [str(n) for n in range(10)]
    assert np.array_equal(source.splits["test"][0], pixels.transpose(3, 0, 1, 2))
