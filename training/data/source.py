"""What every reader of data returns: items with their classes, in one or two splits. Cleaning is not in here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.errors import TrainingError
from training.options import KindName

Split = tuple[np.ndarray, np.ndarray]  # values [N, …], labels [N] int64
Report = list[dict[str, str]]  # item, reason; where there is more to say: detail, same_as; kept: only noticed
KEPT = {"kept": "yes"}  # in the report's line of what was only noticed
PLURAL: dict[KindName, str] = {"image": "images", "text": "texts", "audio": "sounds", "table": "rows"}


@dataclass
class Source:
    """A data set as it was found.

    splits: "train", and "test" where the data set has one of its own. Values are, by kind: image, [N, H, W, C] uint8;
    text, [N] str; audio, [N] arrays of samples, one channel, FP32 in -1..1; table, [N] dicts of column → number,
    category (text, number or truth value) or None, without the target. All but images are arrays of objects.
    labels: the classes' names by index. about: name, licence, source, and copyright or synthetic where they apply.
    names: what the report calls the items of a split; else "split/index".
    groups: what each item of a split belongs to, as a patient, a speaker, an article: no group is in two splits.
    details: image, {"sizes": (width, height) of each, before it was resized}, where they differ; audio,
    {"sample_rate": Hz}; table, {"columns": names, "types": {name: number or category}, "target": name,
    "declared": what `preprocess` has to say, for whoever sends such files}.
    """

    kind: KindName
    splits: dict[str, Split]
    labels: list[str]
    about: dict[str, Any]
    names: dict[str, list[str]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """How the data is to be read, as far as somebody said so; None: as its reader finds out.

    size: (height, width) of images. text, target, group: columns. rate: of sounds, in Hz. delimiter, decimal: of CSV.
    usual: a size or a rate that is taken where none is given, and has no meaning for data of another kind.
    """

    task: KindName | None = None
    size: tuple[int, int] | None = None
    text: str | None = None
    target: str | None = None
    group: str | None = None
    rate: int | None = None
    delimiter: str | None = None
    decimal: str | None = None
    usual: dict[str, Any] = field(default_factory=dict)

    def chosen(self) -> set[str]:
        return {f"--{name}" for name, value in vars(self).items() if value is not None and name != "usual"}

    def filled(self, fitting: set[str]) -> Options:
        """With what is usual, of these options, where nothing is given."""
        fits = {name: value for name, value in self.usual.items() if f"--{name}" in fitting - self.chosen()}
        return replace(self, **fits, usual={})


class Item(NamedTuple):
    """An encoded item before it is decoded: its name in the report, its class, and its file or its bytes."""

    name: str
    target: int
    body: Path | bytes

    def read(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.read_bytes()


def objects(values: Iterable[Any]) -> np.ndarray:
    """[N] of any Python objects; NumPy alone would look into them, and make [N, T] of sounds of equal length."""
    items = list(values)
    array = np.empty(len(items), object)
    for index, value in enumerate(items):
        array[index] = value
    return array


def targets(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.int64)


def printable(name: str) -> str:
    """A file's name as text that can be written; what is not UTF-8 in it as \\xe9."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_utf8(path: Path, what: str) -> None:
    """Raises TrainingError for a name that is not UTF-8, and is to stand in the package."""
    if (shown := printable(path.name)) != path.name:
        raise TrainingError(f"the name of the {what} '{shown}' is not UTF-8, and the package is to tell it: rename it")


def every_class(counted: np.ndarray, labels: list[str], kind: KindName, what: str) -> None:
    """Raises TrainingError for a class of which nothing is left. counted: the targets of what could be read."""
    for target, label in enumerate(labels):
        if target not in counted:
            raise TrainingError(f"the class {label!r} has no {kind} that can be read: add some, or remove its {what}")
