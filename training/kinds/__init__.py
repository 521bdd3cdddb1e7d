"""The kinds of data: how each becomes a network's input, is changed at random, and is described in amaas.json.

A kind is fitted on the training split, or taken from a package as it declares it; then it makes the very tensors that
the service makes of the same data. For texts, sound and tables it is the service's own code that makes them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from training.errors import TrainingError
from training.teacher import Teacher

if TYPE_CHECKING:
    from training.data import Dataset

Inputs = dict[str, torch.Tensor]  # a network's inputs by name, in its order; the first axis is the items


class Kind(Protocol):
    """name: image, text, audio or table. plan: amaas.json's preprocess. files: what goes into the package with it.

    reading: options of data.load, without which files would come in another size, or at another rate.
    puts: amaas.json's inputs. shape: of one item, as networks are called with. axes: per input, its axes that vary
    beside the first, by name. described: for messages.
    """

    name: str
    task: str
    plan: dict[str, Any]
    files: dict[str, bytes]
    shape: tuple[int, ...]
    described: str

    @property
    def reading(self) -> dict[str, Any]: ...

    @property
    def puts(self) -> list[dict[str, Any]]: ...

    @property
    def axes(self) -> list[dict[int, str]]: ...

    def unlike(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        """Where these (as in Source) would be taken for what they are not: what is taken, and what these are."""

    def stored(self, values: np.ndarray) -> Inputs:
        """All items of a split, as compact as they can be kept, computed once."""

    def inputs(self, stored: Inputs, picked: torch.Tensor | slice) -> Inputs:
        """The network's inputs for some of them."""

    def augmented(self, stored: Inputs, picked: torch.Tensor, random: torch.Generator, s: argparse.Namespace) -> Inputs:
        """The network's inputs for some of them, changed at random as the settings say."""

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        """Inputs of zeros, to try a network on."""

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Plain properties of each item [N], which later traffic is compared by, and accuracy is told by parts of."""


def fit(values: np.ndarray, name: str, details: dict[str, Any], s: argparse.Namespace) -> Kind:
    """The kind of this name, fitted on values, which must be the training split's alone. Raises TrainingError."""
    return _class(name).fit(values, details, s)


def reading_of(teacher: Teacher) -> dict[str, Any]:
    """How files are to be read, so that the teacher can take them: what data.load calls `usual`."""
    return declared(teacher.manifest, teacher.folder).reading


def of(teacher: Teacher, data: Dataset) -> Kind:
    """As the teacher takes its inputs, so that both are asked the same. Raises TrainingError for data of another form.

    What can be read in one way only, or was asked for in another way, has another size, say, even after reading_of.
    """
    kind = declared(teacher.manifest, teacher.folder)
    if kind.name != data.kind:
        raise TrainingError(
            f"the teacher takes data of the kind {kind.name}, these are {data.kind}: give another --teacher"
        )
    if (found := kind.unlike(data.train[0], data.details)) is not None:
        raise TrainingError(f"the teacher {teacher.reference} takes {found}, or give another --teacher")
    return kind


def declared(manifest: dict[str, Any], folder: Path | None) -> Kind:
    """As a package declares it. Raises TrainingError where it prepares data in a way that is not known here.

    folder: the package's; without it, a kind that needs files of it (texts their tokenizer) cannot be made.
    """
    found = {task: name for name, task in TASKS.items()}.get(str(manifest.get("task", "tensor")))
    if found is None or not isinstance(manifest.get("preprocess"), dict):
        raise TrainingError(
            f"data sets are for {', '.join(TASKS.values())}: this package's task is {manifest.get('task', 'tensor')}, "
            "or it does not say how its inputs are prepared"
        )
    return _class(found).declared(manifest, folder)


TASKS = {
    "image": "image-classification",
    "text": "text-classification",
    "audio": "audio-classification",
    "table": "tabular",
}


def _class(name: str) -> Any:
    if name == "image":
        from training.kinds.images import Images as Found
    elif name == "text":
        from training.kinds.texts import Texts as Found
    elif name == "audio":
        from training.kinds.sounds import Sounds as Found
    else:
        from training.kinds.tables import Tables as Found
    return Found
