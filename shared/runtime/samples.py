"""Samples: a few inputs with their outputs, stored with a version.

The checks choose them; inference replays them on a kind of processor on which the version has not been checked.
Encoded as MessagePack: reading an archive would take too long in a cold start.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shared.errors import AmaasError
from shared.runtime.arrays import DTYPES, TEXT, computable, datatype_of
from shared.runtime.signature import Session

FILE = ".samples"  # its name among the files of a version; no file of a package is called so
FORMAT = 1
# Above the noise of a quantized network in which some values are rounded the other way, below that of cut-off sums.
NOISE = 0.02


class Array(Struct, frozen=True, array_like=True):
    """datatype: the protocol's name. data: little-endian numbers, or for BYTES a list of texts as MessagePack."""

    datatype: str
    shape: list[int]
    data: bytes


class Sample(Struct, frozen=True):
    """tolerance: rtol and atol of a golden set; None if `noise` is the measure."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    tolerance: tuple[float, float] | None = None

    @property
    def size(self) -> int:
        return sum(len(array.data) for array in (*self.inputs.values(), *self.outputs.values()))


class Samples(Struct, frozen=True):
    samples: list[Sample]
    format: int = FORMAT


DECODER = msgspec.msgpack.Decoder(Samples)


def encode(samples: list[Sample]) -> bytes:
    return msgspec.msgpack.encode(Samples(samples))


def decode(body: bytes) -> list[Sample]:
    """Raises AmaasError if the bytes are not what `encode` writes."""
    try:
        return DECODER.decode(body).samples
    except msgspec.MsgspecError as error:
        raise AmaasError(f"the version's samples cannot be read: {error}; push the model again") from error


def pack(array: np.ndarray) -> Array:
    if array.dtype.kind in TEXT:
        texts = [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in array.reshape(-1)]
        return Array("BYTES", list(array.shape), msgspec.msgpack.encode(texts))
    return Array(datatype_of(array), list(array.shape), np.asarray(array, order="C").tobytes())


def unpack(array: Array) -> np.ndarray:
    if array.datatype == "BYTES":
        texts = np.empty(math.prod(array.shape), np.object_)
        texts[:] = msgspec.msgpack.decode(array.data)
        return texts.reshape(array.shape)
    return np.frombuffer(array.data, DTYPES[array.datatype]).reshape(array.shape)


def replay(session: Session, samples: Sequence[Sample], seconds: float) -> str | None:
    """Why the session must not serve here; None if it may. Replays one sample, and others while there is time."""
    deadline = time.perf_counter() + seconds
    for sample in samples:
        names = list(sample.outputs)
        try:
            answers = session.run(names, {name: unpack(array) for name, array in sample.inputs.items()})
        except AmaasError as error:
            return str(error)
        expected = [unpack(sample.outputs[name]) for name in names]
        if sample.tolerance is not None:
            rtol, atol = sample.tolerance
            for name, old, new in zip(names, expected, answers, strict=True):
                gap, tolerated = difference(old, new, rtol, atol)
                if not tolerated:
                    return f"output {name!r} differs by up to {gap:.3g} from the golden set"
        elif (distance := noise(expected, answers)) > NOISE:
            return f"the outputs are {distance:.1%} away from the correct ones"
        if time.perf_counter() > deadline:
            break
    return None


def difference(expected: Any, actual: Any, rtol: float, atol: float) -> tuple[float, bool]:
    """The largest absolute difference, and whether all differences are tolerated. Texts and integers must be equal."""
    if expected.shape != actual.shape:
        return float("inf"), False
    if expected.dtype == actual.dtype:
        expected, actual = computable(expected), computable(actual)
    if expected.dtype.kind != "f" and actual.dtype.kind != "f":
        same = bool(np.array_equal(expected, actual))
        return (0.0 if same else float("inf")), same
    if expected.size == 0:
        return 0.0, True
    with np.errstate(all="ignore"):
        wide, other = expected.astype(np.float64), actual.astype(np.float64)
        equal = (wide == other) | (np.isnan(wide) & np.isnan(other))
        gap = np.where(equal, 0.0, np.abs(wide - other))
        tolerated = equal | (np.isfinite(gap) & (gap <= atol + rtol * np.abs(wide)))  # infinite is like nothing else
    largest = float(np.where(np.isnan(gap), np.inf, gap).max())
    return largest, bool(tolerated.all())


def noise(expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> float:
    """The largest ‖actual - expected‖ / ‖expected‖ of any output; infinite if shapes differ, or places of NaN.

    Outputs of class numbers and texts count only if there are no others: by the share of elements that differ.
    """
    pairs = list(zip(expected, actual, strict=True))
    measured = [pair for pair in pairs if pair[0].dtype.kind not in "OUSb" and pair[0].dtype != np.int64]
    return max((_noise(*pair) for pair in measured or pairs), default=0.0)


def _noise(expected: np.ndarray, actual: np.ndarray) -> float:
    if expected.shape != actual.shape:
        return math.inf
    if expected.size == 0:
        return 0.0
    if expected.dtype.kind in "OUSb" or expected.dtype == np.int64:
        return float(np.mean(np.asarray(expected != actual)))
    one, other = computable(expected), computable(actual)
    with np.errstate(all="ignore"):
        one, other = one.astype(np.float64), other.astype(np.float64)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        gap = np.where(same | (np.abs(one - other) <= _step(one, other)), 0.0, one - other)
        if not np.isfinite(gap).all():
            return math.inf
        length = math.sqrt(float(np.square(np.where(np.isfinite(one), one, 0.0)).sum()))
        distance = math.sqrt(float(np.square(gap).sum()))
    return distance / length if length else (0.0 if distance < 1e-6 else math.inf)


def _step(expected: np.ndarray, actual: np.ndarray) -> float:
    """The step of quantized values, with some margin; 0 for values that are on no common grid.

    Processors add floats in different orders, so a number between two steps may be rounded either way.
    """
    values = np.sort(np.concatenate([expected.reshape(-1), actual.reshape(-1)]))  # numpy.unique would import modules
    gaps = values[1:] - values[:-1]
    gaps = gaps[np.isfinite(gaps) & (gaps > 0)]
    if not 3 <= gaps.size <= 256:
        return 0.0
    step = float(gaps.min())
    return 1.01 * step if float(np.abs(gaps / step - np.rint(gaps / step)).max()) < 1e-3 else 0.0
