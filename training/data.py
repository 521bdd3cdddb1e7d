"""Data: load, clean, split. Nothing is dropped without a line in the report."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training import fashion_mnist
from training.errors import TrainingError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
Split = tuple[np.ndarray, np.ndarray]  # images [N, H, W, C] uint8, labels [N] int64


@dataclass
class Dataset:
    """Cleaned and split. about: name, licence, source. report: what was dropped, and why."""

    train: Split
    validation: Split
    test: Split
    labels: list[str]
    about: dict[str, Any]
    report: list[dict[str, Any]] = field(default_factory=list)

    def dropped(self) -> dict[str, int]:
        return dict(Counter(entry["reason"] for entry in self.report))


def load(name: str, root: Path, *, seed: int, size: tuple[int, int] | None = None) -> Dataset:
    """`fashion-mnist`, `cifar10`, or a folder with one sub-folder of images per class. Raises TrainingError.

    size: (height, width) that a folder's images are brought to; without it, they must all have the same.
    """
    report: list[dict[str, Any]] = []
    if name == "fashion-mnist":
        splits, labels, about = fashion_mnist.load(root), fashion_mnist.LABELS, fashion_mnist.ABOUT
    elif name == "cifar10":
        splits, labels, about = _cifar10(root)
    elif Path(name).is_dir():
        splits, labels, about = _folder(Path(name), size, report)
    else:
        raise TrainingError(f"{name!r} is no data set: use fashion-mnist, cifar10, or a folder with a folder per class")
    splits = clean(splits, report)
    if "test" not in splits:
        splits["train"], splits["test"] = stratified(*splits["train"], 0.15, seed)
    train, validation = stratified(*splits["train"], 0.1, seed)
    _check(train, labels)
    return Dataset(train, validation, splits["test"], labels, about, report)


def _cifar10(root: Path) -> tuple[dict[str, Split], list[str], dict[str, Any]]:
    from torchvision.datasets import CIFAR10

    try:
        parts = {split: CIFAR10(str(root), train=split == "train", download=True) for split in ("train", "test")}
    except Exception as error:  # torchvision raises whatever its downloads raise
        raise TrainingError(f"CIFAR-10 is not in {root} and could not be fetched ({error}): put it there") from error
    splits = {split: (part.data, np.asarray(part.targets, np.int64)) for split, part in parts.items()}
    about = {"name": "CIFAR-10", "licence": "not stated by its authors", "source": "Krizhevsky, 2009"}
    return splits, list(parts["train"].classes), about


def _folder(
    root: Path, size: tuple[int, int] | None, report: list[dict[str, Any]]
) -> tuple[dict[str, Split], list[str], dict[str, Any]]:
    labels = sorted(path.name for path in root.iterdir() if path.is_dir())
    images: list[np.ndarray] = []
    targets: list[int] = []
    for target, label in enumerate(labels):
        files = sorted(path for path in (root / label).iterdir() if path.suffix.lower() in SUFFIXES)
        read = [(path, _image(path, size, report)) for path in files]
        images += [image for _, image in read if image is not None]
        targets += [target for _, image in read if image is not None]
        if target not in targets:
            raise TrainingError(f"the class {label!r} has no image that can be read: add some, or remove its folder")
    if len(labels) < 2:
        raise TrainingError(f"{root} has {len(labels)} class folders: a classifier needs at least two")
    about = {"name": root.name, "licence": None, "source": "a folder of images"}
    return {"train": (_stack(images), np.asarray(targets, np.int64))}, labels, about


def _image(path: Path, size: tuple[int, int] | None, report: list[dict[str, Any]]) -> np.ndarray | None:
    try:
        with Image.open(path) as image:
            plain = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
            return np.asarray(plain.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else plain)
    except (OSError, SyntaxError, ValueError) as error:
        report.append({"item": str(path), "reason": "unreadable", "detail": str(error)[:200]})
        return None


def _stack(images: list[np.ndarray]) -> np.ndarray:
    """One array of all images; grey ones become RGB when any has colour."""
    sizes = Counter(image.shape[:2] for image in images)
    if len(sizes) > 1:
        raise TrainingError(f"the images have different sizes, {dict(sizes.most_common(3))}: give --size HEIGHT WIDTH")
    if any(image.ndim == 3 for image in images):
        return np.stack([image if image.ndim == 3 else np.repeat(image[..., None], 3, 2) for image in images])
    return np.stack(images)[..., None]


def clean(splits: dict[str, Split], report: list[dict[str, Any]]) -> dict[str, Split]:
    """Drop images without content, exact duplicates, and training images that are in the test set too.

    Two equal images with different labels are both dropped: one of them is wrong, and nobody knows which.
    """
    seen: dict[bytes, tuple[str, int]] = {}
    keep = {split: np.ones(len(labels), bool) for split, (_, labels) in splits.items()}
    for split in sorted(splits):  # "test" comes before "train", so leaks are taken out of the training set
        images, labels = splits[split]
        for index in range(len(labels)):
            reason = _fault(images[index], labels[index], (split, index), seen, splits, keep)
            if reason:
                keep[split][index] = False
                report.append({"item": f"{split}/{index}", "reason": reason})
    return {split: (images[keep[split]], labels[keep[split]]) for split, (images, labels) in splits.items()}


def _fault(
    image: np.ndarray, label: int, where: tuple[str, int], seen: dict, splits: dict[str, Split], keep: dict
) -> str | None:
    if image.min() == image.max():
        return "empty"
    digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    split, index = seen.setdefault(digest, where)
    if (split, index) == where:
        return None
    if split != where[0]:
        return "in the test set too"
    if splits[split][1][index] != label:
        keep[split][index] = False
        return "duplicate with another label"
    return "duplicate"


def stratified(images: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[Split, Split]:
    """Two parts with the same mixture of classes; the second has `share` of each class, and at least one of it."""
    random = np.random.default_rng(seed)
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        second[members[: max(1, round(len(members) * share))]] = True
    return (images[~second], labels[~second]), (images[second], labels[second])


def _check(train: Split, labels: list[str]) -> None:
    counts = Counter(train[1].tolist())
    for target, label in enumerate(labels):
        if not counts[target]:
            raise TrainingError(
                f"the class {label!r} has no training images left after cleaning and splitting: add some"
            )
