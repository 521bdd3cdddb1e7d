"""What a run learns: the data, read and split, as it is encoded for the network's kind of input; and the teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from training import teacher as teachers
from training.data import catalog
from training.data import dataset as datasets
from training.data.source import Report
from training.errors import TrainingError
from training.kinds import choose as kinds
from training.kinds.kind import Inputs, Kind
from training.loop.process_group import ProcessGroup
from training.options import Data, Settings
from training.settings import fitted
from training.teacher import Teacher

CLEANING = "cleaning.json"


@dataclass(frozen=True)
class PreparedData:
    """inputs, labels: of the training items, encoded. validation, test: the same of the other splits."""

    data: datasets.Dataset
    kind: Kind
    teacher: Teacher | None
    inputs: Inputs
    labels: torch.Tensor
    validation: tuple[Inputs, np.ndarray]
    test: tuple[Inputs, np.ndarray]

    @property
    def teacher_reference(self) -> str | None:
        """What lineages call the teacher, if there is one."""
        return self.teacher.reference if self.teacher else None

    def __len__(self) -> int:
        """Training items."""
        return len(self.labels)


def prepare(settings: Settings, group: ProcessGroup) -> tuple[PreparedData, Settings]:
    """Read, clean, split, and fit the kind on the training split, or take the teacher's. Raises TrainingError.

    Returns the settings too, with what follows from the data filled in.
    """
    teacher = teachers.teacher(settings.distillation.teacher) if settings.distillation.teacher else None
    usual = kinds.reading(teacher.manifest, teacher.folder) if teacher else {}
    data = group.one_first(lambda: load(settings, usual))
    settings = fitted(settings, data.kind)
    if teacher:
        teachers.check_labels(teacher, data.labels)
        kind = kinds.matching(teacher.manifest, teacher.folder, teacher.reference, data)
        settings = replace(settings, data=as_read(settings.data, usual))
    else:
        kind = kinds.fit(data.train[0], data.kind, data.details, settings.preparation)
    inputs, labels = kind.encode(data.train[0]), torch.from_numpy(data.train[1])
    validation, test = ((kind.encode(part[0]), part[1]) for part in (data.validation, data.test))
    batch = settings.optimization.batch
    if len(labels) < batch:
        raise TrainingError(f"{len(labels)} training items are fewer than a batch of {batch}: give a smaller --batch")
    return PreparedData(data, kind, teacher, inputs, labels, validation, test), settings


def as_read(data: Data, usual: dict[str, Any]) -> Data:
    """With the size or rate that the teacher takes, as if it had been chosen: a later step must read files so again."""
    if catalog.named(data.data):
        return data
    return replace(data, **{name: getattr(data, name) or value for name, value in usual.items()})


def load(settings: Settings, usual: dict[str, Any]) -> datasets.Dataset:
    """Where nothing is left to train on, the report of cleaning is in OUT. usual: as of dataset.load."""
    report: Report = []
    data, out = settings.data, settings.output.out
    try:
        return datasets.load(
            data.data, data.root, seed=settings.machine.seed, report=report, usual=usual, **data.reading()
        )
    except TrainingError as error:
        if not report:
            raise
        out.mkdir(parents=True, exist_ok=True)
        datasets.write(report, out / CLEANING)
        raise TrainingError(f"{error}; {out / CLEANING} names what was dropped") from error
