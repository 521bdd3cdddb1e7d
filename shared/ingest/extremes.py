"""Extreme calls: tensors without elements, sizes that do not fit each other, and numbers at the ends of their types.

They are made after the verdict is written: one that ends the process here would end the service, too, and turns the
verdict into a rejection.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.ingest.verdict import Limits
from shared.runtime.arrays import BF16, DTYPES
from shared.runtime.onnx import Session, TensorSpec

Feeds = dict[str, np.ndarray]

SECONDS = 1.0  # of CPU for all calls: a small model has had every call by then
LONGEST = 3  # seconds of CPU of one call, after which the kernel ends the process: that says nothing of the model
MAX_PAIRS, MAX_AXES = 12, 40
MAX_ELEMENTS = 1_000_000  # of an input that is copied once more for a call
# as the rejection names them
EXTREMES = SMALLEST, LARGEST, ZERO, MINUS_ONE, NAN = "the smallest value", "the largest value", "0", "-1", "NaN"


def run_calls(
    session: Session, feeds: Feeds | None, limits: Limits, peak: Callable[[], int], record: Callable[[str], None]
) -> None:
    """Call the model with extreme values. feeds: inputs that it ran on, if any. peak: memory that was used so far.

    record: gets a description before each call, so that the supervisor knows which one ended the process.
    """
    started = time.process_time()
    if started > limits.cpu / 3 or peak() > limits.memory / 2:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(int(started + SECONDS) + LONGEST, hard), hard))
    for description, extreme_feeds in calls(session, feeds or _ones(session.inputs)):
        if time.process_time() - started > SECONDS:
            return
        record(description)
        with contextlib.suppress(AmaasError, MemoryError):
            session.run(None, extreme_feeds)


def calls(session: Session, tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """Extreme calls with their descriptions. tame: ordinary inputs, for those that are not extreme in a call."""
    yield from _empty(session.inputs, tame)
    yield from _uneven(session.inputs, tame)
    optional = _ones(session.optional)
    specs = {spec.name: spec for spec in (*session.inputs, *session.optional)}
    for names in _groups([spec.name for spec in session.inputs], list(optional)):
        arrays = {name: tame.get(name, optional.get(name)) for name in names}
        for end in EXTREMES:
            filled = {name: _filled(specs[name], array, end) for name, array in arrays.items()}
            changed = {name: array for name, array in filled.items() if array is not None}
            if changed:
                yield f"{_listed(changed)} filled with {end}", tame | changed
    yield from _single(session.inputs, tame)
    yield from _pairs({**tame, **optional}, tame)


def _groups(inputs: list[str], optional: list[str]) -> list[list[str]]:
    """Inputs that get extreme values together: all at once, then each alone."""
    return [inputs, *([[name] for name in inputs] if len(inputs) > 1 else []), *([name] for name in optional)]


def _empty(specs: list[TensorSpec], tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    free = {spec.name: [axis for axis, size in enumerate(spec.shape) if size < 0] for spec in specs}
    everywhere = {name: _without(tame[name], axes) for name, axes in free.items() if axes}
    if everywhere:
        yield f"{_listed(everywhere)} without elements", tame | everywhere
    for axis in sorted({axis for axes in free.values() for axis in axes}):
        changed = {name: _without(tame[name], [axis]) for name, axes in free.items() if axis in axes}
        yield f"{_listed(changed)} with 0 along axis {axis}", tame | changed
    single = [(name, axis) for name, axes in free.items() for axis in axes] if len(specs) > 1 else []
    for name, axis in single[:MAX_AXES]:
        array = _without(tame[name], [axis])
        yield f"input {name!r} with 0 along axis {axis}", tame | {name: array}


def _uneven(specs: list[TensorSpec], tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """Each free size one larger than the others, then 1: matrices that are not square, inputs that do not fit."""
    free = [(spec.name, axis) for spec in specs for axis, size in enumerate(spec.shape) if size < 0]
    for name, axis in free[:MAX_AXES]:
        array = tame[name]
        for size in {array.shape[axis] + 1, 1} - {array.shape[axis]}:
            if array.shape[axis] and array.size <= MAX_ELEMENTS:
                resized = np.take(array, np.arange(size) % array.shape[axis], axis)
                yield f"input {name!r} with {size} along axis {axis}", tame | {name: resized}


def _single(specs: list[TensorSpec], tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """The first number alone at an end of its type: one index, one length among others that are right."""
    for spec in specs:
        array = tame[spec.name]
        for end in (SMALLEST, LARGEST, MINUS_ONE) if 1 < array.size <= MAX_ELEMENTS and array.dtype.kind == "i" else ():
            filled = _filled(spec, array, end)
            if filled is not None:
                other = array.copy()
                other.reshape(-1)[0] = filled.reshape(-1)[0]
                yield f"the first element of input {spec.name!r} being {end}", tame | {spec.name: other}


def _pairs(arrays: Feeds, tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """The smallest number with -1: whichever two inputs are divided, that division traps."""
    integers = [name for name, array in arrays.items() if array.dtype.kind == "i"]
    for one, other in list(permutations(integers, 2))[:MAX_PAIRS]:
        least = np.full_like(arrays[one], np.iinfo(arrays[one].dtype).min)
        pair = {one: least, other: np.full_like(arrays[other], -1)}
        yield f"input {one!r} filled with {SMALLEST}, and {other!r} with -1", tame | pair


def _without(array: np.ndarray, axes: list[int]) -> np.ndarray:
    return np.zeros([0 if axis in axes else size for axis, size in enumerate(array.shape)], array.dtype)


def _filled(spec: TensorSpec, array: np.ndarray | None, end: str) -> np.ndarray | None:
    """The array full of an extreme value; None if its type has no such value."""
    if array is None or array.dtype == BF16:
        return None
    dtype = array.dtype
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        value = {SMALLEST: limits.min, LARGEST: limits.max, ZERO: 0, MINUS_ONE: -1}.get(end)
        return None if value is None or value < limits.min else np.full_like(array, value)
    if dtype.kind == "f":
        reals = np.finfo(dtype)
        number = {SMALLEST: reals.min, LARGEST: reals.max, ZERO: 0, MINUS_ONE: -1}.get(end, np.nan)
        return np.full_like(array, number)
    plain: dict[str, Any] = {ZERO: False} if spec.datatype == "BOOL" else {ZERO: "", LARGEST: "x" * 1000}
    return np.full(array.shape, plain[end], dtype) if end in plain else None


def _ones(specs: list[TensorSpec]) -> Feeds:
    """Ones, of some size where the size may vary."""
    feeds = {}
    for spec in specs:
        dtype = BF16 if spec.datatype == "BF16" else np.dtype(DTYPES[spec.datatype])
        shape = [size if size >= 0 else (8 if axis else 1) for axis, size in enumerate(spec.shape)]
        feeds[spec.name] = (
            np.zeros(shape, dtype) if dtype == BF16 else np.full(shape, "a" if dtype.kind == "O" else 1, dtype)
        )
    return feeds


def _listed(names: Any) -> str:
    listed = ", ".join(repr(name[:60]) for name in list(names)[:6])
    return f"input {listed}" if len(names) == 1 else f"inputs {listed}"
