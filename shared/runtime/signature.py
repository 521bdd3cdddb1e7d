"""What a model takes and gives, and the check of one call's tensors against it. Needs no ONNX Runtime.

Two kinds of sessions keep to it: one in this process (onnx.py), and one in a process of its own (confined.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct

from shared.errors import AmaasError, BadInput, Unavailable
from shared.runtime.arrays import DTYPES


class Unloadable(AmaasError):
    """ONNX Runtime refuses the model itself. kind: ONNX Runtime's own class of the error."""

    status = 503
    code = "unloadable"

    def __init__(self, message: str, kind: str = "Fail") -> None:
        super().__init__(message)
        self.kind = kind


class OutOfMemory(Unavailable):
    """A tensor that the model asked for did not fit."""


class TensorSpec(Struct, frozen=True):
    """One input or output. datatype: the protocol's name, or ONNX Runtime's where the protocol has none.

    shape: -1 where the dimension may vary.
    """

    name: str
    datatype: str
    shape: list[int]


class Session(Protocol):
    """A model that is loaded. Safe to call from several threads. optional: inputs that have a default in the model."""

    inputs: list[TensorSpec]
    optional: list[TensorSpec]
    outputs: list[TensorSpec]

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the named outputs, or all.

        Raises BadInput when the model cannot take these values, OutOfMemory; a confined one what Confined.run does.
        """
        ...


class Signature:
    """A model's inputs and outputs, by name."""

    def __init__(
        self, inputs: Sequence[TensorSpec], optional: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> None:
        self.accepted = {spec.name: spec for spec in (*inputs, *optional)}
        self.outputs = {spec.name: spec for spec in outputs}
        self._required = {spec.name for spec in inputs}

    def check(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The feeds as the model takes them: text as `str`. Raises BadInput."""
        if not self._required <= feeds.keys() <= self.accepted.keys():
            raise BadInput(f"the inputs are {sorted(feeds)}, the model takes {sorted(self.accepted)}")
        if outputs and not self.outputs.keys() >= set(outputs):
            missing = sorted(set(outputs) - self.outputs.keys())
            raise BadInput(f"the model has no output {missing}: it has {list(self.outputs)}")
        return {name: _feed(self.accepted[name], array) for name, array in feeds.items()}


def _feed(spec: TensorSpec, array: np.ndarray) -> np.ndarray:
    """The array as ONNX Runtime takes it. Raises BadInput for another rank or datatype than the model's."""
    if array.ndim != len(spec.shape):
        raise BadInput(f"input {spec.name!r} has shape {list(array.shape)}, the model takes {spec.shape}")
    if spec.datatype == "BYTES":
        return _text(spec.name, array)
    if array.dtype != DTYPES.get(spec.datatype):
        raise BadInput(f"input {spec.name!r} is of type {array.dtype}, the model takes {spec.datatype}")
    return array


def _text(name: str, array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes `str`; bytes objects it would feed as their repr."""
    if array.dtype.kind not in "OSU":
        raise BadInput(f"input {name!r} is of type {array.dtype}, the model takes BYTES")
    if array.dtype.kind == "U":
        return array.astype(np.object_)
    try:
        flat = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r} holds bytes that are not UTF-8, which ONNX strings have to be") from error
    text = np.empty(len(flat), np.object_)
    text[:] = flat
    return text.reshape(array.shape)
