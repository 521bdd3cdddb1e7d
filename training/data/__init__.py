"""Data: read, clean, split. Nothing is dropped without a line in the report.

catalogue.py finds the reader of a data set, which makes a Source (source.py); what is here makes a Dataset of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.data import catalogue
from training.data.catalogue import named
from training.data.clean import clean, drops, line
from training.data.source import PLURAL, Kind, Options, Report, Source, Split
from training.data.split import spread, stratified
from training.errors import TrainingError

__all__ = [
    "Dataset", "Kind", "Options", "Report", "Source", "Split", "clean", "load", "named", "spread",
    "stratified",
]  # fmt: skip
VALIDATION, TEST = 0.1, 0.15  # shares; TEST only where the data set has no test split of its own


@dataclass
class Dataset:
    """Cleaned and split. Values, about and details are as in Source. report: what was dropped, and why."""

    train: Split
    validation: Split
    test: Split
    labels: list[str]
    about: dict[str, Any]
    report: Report = field(default_factory=list)
    kind: Kind = "image"
    details: dict[str, Any] = field(default_factory=dict)

    def dropped(self) -> dict[str, int]:
        return dict(Counter(entry["reason"] for entry in self.report))


def load(
    name: str, root: Path, *, seed: int, task: Kind | None = None, size: tuple[int, int] | None = None,
    text: str | None = None, target: str | None = None, rate: int | None = None,
) -> Dataset:  # fmt: skip
    """A data set by name (catalogue.py), or from a file or folder, cleaned and split. Raises TrainingError.

    root: where what is downloaded is kept. task: the kind, where it is not to be guessed. size: (height, width) that
    images are brought to; without it, they must all have the same. text, target: columns. rate: of sounds, in Hz.
    """
    report: Report = []
    source = catalogue.find(name, root, Options(task, size, text, target, rate), report)
    parts = _split(source, report, seed)
    picked = {part: (source.splits[split][0][indices], labels) for part, (split, indices, labels) in parts.items()}
    _check(picked["train"], picked["test"], source.labels, source.kind)
    return Dataset(**picked, labels=source.labels, about=source.about, report=report, kind=source.kind,
                   details=source.details)  # fmt: skip


Part = tuple[str, np.ndarray, np.ndarray]  # a split of the source, indices in it, their labels


def _split(source: Source, report: Report, seed: int) -> dict[str, Part]:
    """What cleaning leaves of a source, as train, validation and test."""
    dropped = drops(source.splits, source.kind)
    report += [line(place, *dropped[place], source.names) for place in sorted(dropped)]
    left = {}
    for split, (_, labels) in source.splits.items():
        indices = np.array([index for index in range(len(labels)) if (split, index) not in dropped], np.int64)
        left[split] = indices, labels[indices]
    test_of = "test" if "test" in left else "train"
    if test_of == "train":
        left["train"], left["test"] = stratified(*left["train"], TEST, seed)
    train, validation = stratified(*left["train"], VALIDATION, seed)
    return {"train": ("train", *train), "validation": ("train", *validation), "test": (test_of, *left["test"])}


def _check(train: Split, test: Split, labels: list[str], kind: Kind) -> None:
    counts = Counter(train[1].tolist())
    items = PLURAL[kind]
    for target, label in enumerate(labels):
        if not counts[target]:
            raise TrainingError(
                f"the class {label!r} has no training {items} left after cleaning and splitting: add some"
            )
    if not len(test[1]):
        raise TrainingError(f"the test set has no {items} left after cleaning: add some")
