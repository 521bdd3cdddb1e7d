"""Data: load, clean, split, normalise. Nothing is dropped without a line in the report. Files are read in folder.py."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training import fashion_mnist, folder
from training.errors import TrainingError

Split = tuple[np.ndarray, np.ndarray]  # images [N, H, W, C] uint8, labels [N] int64
Place = tuple[str, int]  # split, index in it
Report = list[dict[str, str]]
VALIDATION, TEST = 0.1, 0.15  # shares; TEST only where the data set has no test split of its own


@dataclass
class Dataset:
    """Cleaned and split. about: name, licence, source. report: what was dropped, and why."""

    train: Split
    validation: Split
    test: Split
    labels: list[str]
    about: dict[str, Any]
    report: Report = field(default_factory=list)

    def dropped(self) -> dict[str, int]:
        return dict(Counter(entry["reason"] for entry in self.report))


def load(name: str, root: Path, *, seed: int, size: tuple[int, int] | None = None) -> Dataset:
    """`fashion-mnist`, `cifar10`, or a folder with one sub-folder of images per class. Raises TrainingError.

    size: (height, width) that a folder's images are brought to; without it, they must all have the same.
    """
    report: Report = []
    names: dict[str, list[str]] = {}
    if name in ("fashion-mnist", "cifar10") and size:
        raise TrainingError(f"--size is for folders of images: {name} has a size of its own, leave --size away")
    if name == "fashion-mnist":
        splits, labels, about = fashion_mnist.load(root), fashion_mnist.LABELS, fashion_mnist.ABOUT
    elif name == "cifar10":
        splits, labels, about = _cifar10(root)
    elif Path(name).is_dir():
        images, targets, labels, names["train"] = folder.load(Path(name), size, report)
        splits, about = {"train": (images, targets)}, folder.about(Path(name))
    else:
        raise TrainingError(f"{name!r} is no data set: use fashion-mnist, cifar10, or a folder with a folder per class")
    splits = clean(splits, report, names)
    if "test" not in splits:
        splits["train"], splits["test"] = stratified(*splits["train"], TEST, seed)
    train, validation = stratified(*splits["train"], VALIDATION, seed)
    _check(train, splits["test"], labels)
    return Dataset(train, validation, splits["test"], labels, about, report)


def _cifar10(root: Path) -> tuple[dict[str, Split], list[str], dict[str, Any]]:
    from torchvision.datasets import CIFAR10

    try:
        parts = {split: CIFAR10(str(root), train=split == "train", download=True) for split in ("train", "test")}
    except Exception as error:  # torchvision raises whatever its downloads raise
        raise TrainingError(
            f"CIFAR-10 is not in {root} and could not be fetched ({error}): "
            "unpack its python version there, as the folder cifar-10-batches-py"
        ) from error
    splits = {split: (part.data, np.asarray(part.targets, np.int64)) for split, part in parts.items()}
    about = {"name": "CIFAR-10", "licence": "not stated by its authors", "source": "Krizhevsky, 2009"}
    return splits, list(parts["train"].classes), about


def clean(splits: dict[str, Split], report: Report, names: dict[str, list[str]] | None = None) -> dict[str, Split]:
    """Drop images without content, exact duplicates, and training images that are in the test set too.

    Equal images with different labels are all dropped: one of them is wrong, and nobody knows which.
    names: what the report calls the items of a split; else "split/index".
    """
    first: dict[bytes, Place] = {}
    dropped: dict[Place, tuple[str, Place | None]] = {}
    for split in sorted(splits):  # "test" comes before "train", so leaks are taken out of the training set
        for index, image in enumerate(splits[split][0]):
            if image.min() == image.max():
                dropped[split, index] = ("empty", None)
                continue
            twin = first.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), (split, index))
            if twin != (split, index):
                _drop_twin((split, index), twin, splits, dropped)
    report += [_line(place, *dropped[place], names or {}) for place in sorted(dropped)]
    return {split: _without(part, [index for s, index in dropped if s == split]) for split, part in splits.items()}


def _drop_twin(
    place: Place, twin: Place, splits: dict[str, Split], dropped: dict[Place, tuple[str, Place | None]]
) -> None:
    """Note why an image goes that was seen before, at twin; where their labels disagree, both go."""
    if twin[0] != place[0]:
        dropped[place] = (f"in the {twin[0]} set too", twin)
    elif twin in dropped or splits[twin[0]][1][twin[1]] != splits[place[0]][1][place[1]]:
        dropped[place] = ("duplicate with another label", twin)
        dropped.setdefault(twin, ("duplicate with another label", place))
    else:
        dropped[place] = ("duplicate", twin)


def _line(place: Place, reason: str, twin: Place | None, names: dict[str, list[str]]) -> dict[str, str]:
    line = {"item": _named(place, names), "reason": reason}
    return line | {"same_as": _named(twin, names)} if twin else line


def _named(place: Place, names: dict[str, list[str]]) -> str:
    split, index = place
    return names[split][index] if split in names else f"{split}/{index}"


def _without(part: Split, indices: list[int]) -> Split:
    return (np.delete(part[0], indices, 0), np.delete(part[1], indices)) if indices else part


def stratified(images: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[Split, Split]:
    """Two parts with the same mixture of classes; the second has `share` of each class, and at least one of it."""
    random = np.random.default_rng(seed)
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        second[members[: max(1, round(len(members) * share))]] = True
    return (images[~second], labels[~second]), (images[second], labels[second])


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` items in turn from every class: the first of each, then the second of each, and so on."""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.sort(np.argsort(turn, kind="stable")[:count])


def normalised(images: np.ndarray, mean: list[float], std: list[float]) -> np.ndarray:
    """Pixels [N, H, W, C] uint8 as a network's input [N, C, H, W] float32: (pixel / 255 - mean) / std per channel."""
    scaled = images.astype(np.float32) * np.float32(1 / 255)
    values = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _check(train: Split, test: Split, labels: list[str]) -> None:
    counts = Counter(train[1].tolist())
    for target, label in enumerate(labels):
        if not counts[target]:
            raise TrainingError(
                f"the class {label!r} has no training images left after cleaning and splitting: add some"
            )
    if not len(test[1]):
        raise TrainingError("the test set has no image left after cleaning: add some")
