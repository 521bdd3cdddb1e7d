"""torchvision's image data sets by name. It downloads them itself, and looks at the checksums."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.data.source import Report, Source, Split
from training.errors import TrainingError

SHORT = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "mnist": "MNIST", "kmnist": "KMNIST", "svhn": "SVHN"}
PREFIX = "torchvision:"
NAMES = {"CIFAR10": "CIFAR-10", "CIFAR100": "CIFAR-100"}
SOURCES = {
    "CIFAR10": "Krizhevsky, 2009",
    "CIFAR100": "Krizhevsky, 2009",
    "MNIST": "LeCun, Cortes, Burges, 1998",
    "KMNIST": "Clanuwat et al., 2018",
    "SVHN": "Netzer et al., 2011",
}
LICENCES = {"CIFAR10": "not stated by its authors", "KMNIST": "CC BY-SA 4.0"}  # torchvision knows none
PLACES = {"CIFAR10": ": unpack its python version there, as the folder cifar-10-batches-py"}


def called(name: str) -> str | None:
    """torchvision's class that a name on the command line means; None for other names."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else SHORT.get(name)


def source(name: str, root: Path, report: Report) -> Source:
    """Train and test split of a data set whose images are all of one size and held in memory.

    Raises TrainingError for a name that is none of these, and when it is neither in root nor can be fetched.
    """
    sets = _class(name)
    ways: list[dict[str, Any]] = [{"split": "train"}, {"split": "test"}]
    if "train" in inspect.signature(sets).parameters:
        ways = [{"train": True}, {"train": False}]
    title = NAMES.get(name, name)
    try:
        parts = [sets(str(root), **way, download=True) for way in ways]
    except Exception as error:  # torchvision raises whatever its downloads raise
        raise TrainingError(
            f"{title} is not in {root} and could not be fetched ({error})"
            + PLACES.get(name, f": put it there as torchvision's {name} has it")
        ) from error
    splits = {split: _arrays(part, name) for split, part in zip(("train", "test"), parts, strict=True)}
    labels = getattr(parts[0], "classes", None) or [str(n) for n in range(int(splits["train"][1].max()) + 1)]
    about = {"name": title, "licence": LICENCES.get(name), "source": SOURCES.get(name, f"torchvision's {name}")}
    return Source("image", splits, list(labels), about)


def _class(name: str) -> Callable[..., Any]:
    import torchvision.datasets as known

    member: Callable[..., Any] | None = getattr(known, name, None)
    takes = set(inspect.signature(member).parameters) if inspect.isclass(member) else set()
    if not callable(member) or "download" not in takes or not takes & {"train", "split"}:
        raise TrainingError(f"{PREFIX}{name} is not a data set with a train and a test split: use {', '.join(SHORT)}")
    return member


def _arrays(part: Any, name: str) -> Split:
    images = getattr(part, "data", None)
    labels = getattr(part, "targets", getattr(part, "labels", None))
    if images is None or labels is None or len(np.shape(images)) not in (3, 4):
        raise TrainingError(f"{PREFIX}{name} does not hold images of one size: save them as a folder per class")
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    elif images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):  # SVHN has its channels first
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images, np.asarray(labels, np.int64)
