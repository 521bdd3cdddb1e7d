"""What a run learns: the data, read and split, as it is stored for the network's kind of input."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from training import data as datasets
from training import kinds
from training import teacher as teachers
from training.errors import TrainingError
from training.kinds import Inputs, Kind
from training.loop.group import Group
from training.settings import fit, reading
from training.teacher import Teacher

CLEANING = "cleaning.json"


@dataclass(frozen=True)
class Task:
    """x, y: what is stored of the training items, and their labels. held_out, tested: the same of the other splits."""

    data: datasets.Dataset
    kind: Kind
    teacher: Teacher | None
    x: Inputs
    y: torch.Tensor
    held_out: tuple[Inputs, np.ndarray]
    tested: tuple[Inputs, np.ndarray]

    @property
    def taught_by(self) -> str | None:
        """What lineages call the teacher, if there is one."""
        return self.teacher.reference if self.teacher else None

    def __len__(self) -> int:
        """Training items."""
        return len(self.y)


def find_task(s: argparse.Namespace, group: Group) -> Task:
    """Read, clean, split, and fit the kind on the training split, or take the teacher's. Raises TrainingError."""
    teacher = teachers.teacher(s.teacher) if s.teacher else None
    usual = kinds.reading_of(teacher) if teacher else {}
    data = group.one_first(lambda: load(s, usual))
    fit(s, data.kind)
    if teacher:
        teachers.same_labels(teacher, data.labels)
        kind = kinds.of(teacher, data)
        note(s, usual)
    else:
        kind = kinds.fit(data.train[0], data.kind, data.details, s)
    stored, labels = kind.stored(data.train[0]), torch.from_numpy(data.train[1])
    held_out, tested = ((kind.stored(part[0]), part[1]) for part in (data.validation, data.test))
    if len(labels) < s.batch:
        raise TrainingError(f"{len(labels)} training items are fewer than a batch of {s.batch}: give a smaller --batch")
    return Task(data, kind, teacher, stored, labels, held_out, tested)


def note(s: argparse.Namespace, usual: dict[str, Any]) -> None:
    """How files were read for the teacher's sake, as if it had been asked for: a later step must read them so again."""
    if not datasets.named(s.data):
        for name, value in usual.items():
            setattr(s, name, getattr(s, name) or value)


def load(s: argparse.Namespace, usual: dict[str, Any]) -> datasets.Dataset:
    """With the report of cleaning left in OUT where nothing can be trained on what is left. usual: as data.load's."""
    report: datasets.Report = []
    try:
        return datasets.load(s.data, s.root, seed=s.seed, report=report, usual=usual, **reading(s))
    except TrainingError as error:
        if not report:
            raise
        s.out.mkdir(parents=True, exist_ok=True)
        datasets.write(report, s.out / CLEANING)
        raise TrainingError(f"{error}; {s.out / CLEANING} names what was dropped") from error
