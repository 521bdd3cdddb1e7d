"""The kind of some data: fitted on the training split, or as a package declares it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training.data.dataset import Dataset
from training.errors import TrainingError
from training.kinds.kind import Kind
from training.options import Preparation

TASKS = {
    "image": "image-classification",
    "text": "text-classification",
    "audio": "audio-classification",
    "table": "tabular",
}


class KindClass(Protocol):
    """What is common to the classes of kinds, beside what their instances have."""

    def fit(self, values: np.ndarray, details: dict[str, Any], preparation: Preparation) -> Kind: ...

    def declared(self, manifest: dict[str, Any], folder: Path | None) -> Kind: ...


def fit(values: np.ndarray, name: str, details: dict[str, Any], preparation: Preparation) -> Kind:
    """The kind of this name, fitted on values, which must be the training split's alone. Raises TrainingError."""
    return _class(name).fit(values, details, preparation)


def reading(manifest: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """How files are to be read, so that the model of this package can take them: what data.load calls `usual`."""
    return declared(manifest, folder).reading


def matching(manifest: dict[str, Any], folder: Path | None, teacher: str, data: Dataset) -> Kind:
    """As a teacher's package takes its inputs, so that both networks get the same. teacher: its name, for messages.

    Raises TrainingError for data of another form: what can be read in one way only, or was read as the options say, may
    have another size even after `reading`.
    """
    kind = declared(manifest, folder)
    if kind.name != data.kind:
        raise TrainingError(
            f"the teacher takes data of the kind {kind.name}, these are {data.kind}: give another --teacher"
        )
    if (mismatch := kind.mismatch(data.train[0], data.details)) is not None:
        raise TrainingError(f"the teacher {teacher} takes {mismatch}, or give another --teacher")
    return kind


def declared(manifest: dict[str, Any], folder: Path | None) -> Kind:
    """As a package declares it. Raises TrainingError where it prepares data in a way that is not known here.

    folder: the package's; without it, a kind that needs files of it (texts their tokenizer) cannot be made.
    """
    name = {task: name for name, task in TASKS.items()}.get(str(manifest.get("task", "tensor")))
    if name is None or not isinstance(manifest.get("preprocess"), dict):
        raise TrainingError(
            f"data sets are for {', '.join(TASKS.values())}: this package's task is {manifest.get('task', 'tensor')}, "
            "or it does not say how its inputs are prepared"
        )
    return _class(name).declared(manifest, folder)


def _class(name: str) -> KindClass:
    """Imported when it is needed: each brings libraries of its own."""
    if name == "image":
        from training.kinds.images import Images

        return Images
    if name == "text":
        from training.kinds.texts import Texts

        return Texts
    if name == "audio":
        from training.kinds.sounds import Sounds

        return Sounds
    from training.kinds.tables import Tables

    return Tables
