"""Data: read, clean, split. Nothing is dropped without a line in the report.

catalog.py finds the reader of a data set, which makes a Source (source.py); what is here makes a Dataset of it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training.data import catalog
from training.data.clean import drops, line
from training.data.clean import named as item
from training.data.digest import contents
from training.data.doubtful_labels import alone, suspects
from training.data.near_duplicates import pairs as near_pairs
from training.data.source import KEPT, PLURAL, Options, Report, Source, Split
from training.data.split import stratified
from training.errors import TrainingError
from training.options import KindName, Outliers

VALIDATION, TEST = 0.1, 0.15  # shares; TEST only where the data set has no test split of its own


@dataclass
class Dataset:
    """Cleaned and split. Values, about and details are as in Source.

    report: what was dropped, and why. An item that was reported, but not dropped, has "kept" in its line.
    """

    train: Split
    validation: Split
    test: Split
    labels: list[str]
    about: dict[str, Any]
    report: Report = field(default_factory=list)
    kind: KindName = "image"
    details: dict[str, Any] = field(default_factory=dict)

    def dropped(self) -> dict[str, int]:
        return dropped(self.report)

    def noticed(self) -> dict[str, int]:
        """How many items were only noticed, by reason."""
        return dict(Counter(entry["reason"] for entry in self.report if "kept" in entry))

    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def digests(self) -> dict[str, str]:
        """What each split contains, as a line of text."""
        return {name: contents(split) for name, split in self.splits().items()}


def dropped(report: Report) -> dict[str, int]:
    """How many items were dropped, by reason."""
    return dict(Counter(entry["reason"] for entry in report if "kept" not in entry))


def write(report: Report, path: Path) -> None:
    """What was dropped, counted by reason, then item by item."""
    content = {"dropped": dropped(report), "items": report}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(
    name: str,
    root: Path,
    *,
    seed: int,
    task: KindName | None = None,
    size: tuple[int, int] | None = None,
    text: str | None = None,
    target: str | None = None,
    group: str | None = None,
    rate: int | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    near: bool = False,
    outliers: Outliers = "off",
    report: Report | None = None,
    usual: dict[str, Any] | None = None,
) -> Dataset:
    """A data set by name (catalog.py), or from a file or folder, cleaned and split. Raises TrainingError.

    root: where what is downloaded is kept. task to usual: as in Options; without a size, images must all have the same.
    near: look for look-alikes, too. outliers: report training items with doubtful labels, or drop them. report: is
    filled as cleaning goes on, so that it is there after an error, too.
    """
    report = [] if report is None else report
    options = Options(task, size, text, target, group, rate, delimiter, decimal, usual or {})
    source = catalog.find(name, root, options, report)
    parts = _split(source, report, seed)
    if near:
        parts = _without_look_alikes(source, parts, report)
    if outliers != "off":
        parts["train"] = _without_doubtful_labels(source, parts["train"], report, seed, drop=outliers == "drop")
    selected = {part: (source.splits[split][0][indices], labels) for part, (split, indices, labels) in parts.items()}
    _check(selected["train"], selected["test"], source, report)
    return Dataset(
        **selected, labels=source.labels, about=source.about, report=report, kind=source.kind, details=source.details
    )


Part = tuple[str, np.ndarray, np.ndarray]  # a split of the source, indices in it, their labels


def _split(source: Source, report: Report, seed: int) -> dict[str, Part]:
    """What exact cleaning leaves of a source, as train, validation and test."""
    dropped = drops(source.splits, source.kind)
    report += [line(place, *dropped[place], source.names) for place in sorted(dropped)]
    left = {}
    for split, (_, labels) in source.splits.items():
        indices = np.array([index for index in range(len(labels)) if (split, index) not in dropped], np.int64)
        left[split] = indices, labels[indices]
    groups = {split: np.array(names) for split, names in source.groups.items()}
    if "test" in left and groups:
        left["train"] = _without_tested_groups(left, groups, report, source.names)
    test_of = "test" if "test" in left else "train"
    if test_of == "train":
        left["train"], left["test"] = stratified(*left["train"], TEST, seed, _of(groups, left["train"]))
    train, validation = stratified(*left["train"], VALIDATION, seed, _of(groups, left["train"]))
    return {"train": ("train", *train), "validation": ("train", *validation), "test": (test_of, *left["test"])}


def _of(groups: dict[str, np.ndarray], train: Split) -> np.ndarray | None:
    return groups["train"][train[0]] if groups else None


def _without_tested_groups(
    left: dict[str, Split], groups: dict[str, np.ndarray], report: Report, names: dict[str, list[str]]
) -> Split:
    """The training items of no group that the test set has, too."""
    indices, labels = left["train"]
    tested = np.isin(groups["train"][indices], groups["test"][left["test"][0]])
    for index in indices[tested]:
        entry = line(("train", int(index)), "of a group in the test set", None, names)
        report.append(entry | {"detail": str(groups["train"][index])})
    return indices[~tested], labels[~tested]


def _without_look_alikes(source: Source, parts: dict[str, Part], report: Report) -> dict[str, Part]:
    """Drop what is like an item of the test set, or, out of the training set, of the validation set.

    Look-alikes within a part stay, and are reported once each.
    """
    order = ("test", "validation", "train")
    values = np.concatenate([source.splits[parts[part][0]][0][parts[part][1]] for part in order])
    places = [(part, parts[part][0], int(index)) for part in order for index in parts[part][1]]
    labels = np.concatenate([parts[part][2] for part in order])
    twins: dict[int, int] = {}
    for first, second in sorted(near_pairs(values, source.kind, source.details)):
        twins.setdefault(second, first)  # the first is in the same part or in one that is of more weight
    for second, first in sorted(twins.items()):
        part, other = places[second][0], places[first][0]
        place, twin = places[second][1:], places[first][1:]
        reason = "near duplicate" if labels[first] == labels[second] else "near duplicate with another label"
        if part == other:
            report.append(line(place, reason, twin, source.names) | KEPT)
        else:
            report.append(line(place, f"{reason} in the {other} set", twin, source.names))
    gone = {places[second][1:] for second, first in twins.items() if places[second][0] != places[first][0]}
    return {name: _left(part, [(part[0], int(index)) not in gone for index in part[1]]) for name, part in parts.items()}


def _without_doubtful_labels(source: Source, part: Part, report: Report, seed: int, *, drop: bool) -> Part:
    """Report, or drop, the items of a part that carry a doubtful label. Those that cannot be judged are reported."""
    split, indices, labels = part
    for index in indices[alone(labels)]:
        report.append(line((split, int(index)), "not judged, alone in its class", None, source.names) | KEPT)
    doubtful = suspects(source.splits[split][0][indices], labels, source.kind, source.details, seed=seed)
    for one in doubtful:
        entry = line((split, int(indices[one.item])), "doubtful label", None, source.names)
        label, likely = source.labels[one.label], source.labels[one.likely]
        entry["detail"] = f"given {label!r}, likely {likely!r} ({one.confidence:.2f})"
        report.append(entry if drop else entry | KEPT)
    dropped_items = {one.item for one in doubtful}
    return _left(part, [n not in dropped_items for n in range(len(indices))]) if drop else part


def _left(part: Part, mask: list[bool]) -> Part:
    split, indices, labels = part
    return split, indices[np.array(mask, bool)], labels[np.array(mask, bool)]


def _check(train: Split, test: Split, source: Source, report: Report) -> None:
    """Raises TrainingError, with why items were dropped, for a class or a test set of which nothing is left."""
    counts = Counter(train[1].tolist())
    items = PLURAL[source.kind]
    for target, label in enumerate(source.labels):
        if not counts[target]:
            own = {split: np.flatnonzero(part[1] == target) for split, part in source.splits.items()}
            raise TrainingError(
                f"the class {label!r} has no training {items} left after cleaning and splitting"
                f"{_why(own, source, report)}: add some"
            )
    if not len(test[1]):
        split = "test" if "test" in source.splits else "train"
        own = {split: np.arange(len(source.splits[split][1]))}
        raise TrainingError(
            f"the test set has no {items} left after cleaning{_why(own, source, report)}: add some, or take it away, "
            "and a part of the training set becomes the test"
        )


def _why(own: dict[str, np.ndarray], source: Source, report: Report) -> str:
    """ " (12 dropped: duplicate with another label)": of these items of the splits; nothing where none was dropped."""
    named_so = {item((split, int(index)), source.names) for split, selected in own.items() for index in selected}
    counted = dropped([entry for entry in report if entry["item"] in named_so])
    reasons = ", ".join(f"{count} dropped: {reason}" for reason, count in counted.items())
    return f" ({reasons})" if reasons else ""
