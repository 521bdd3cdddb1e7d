"""What a caller may send that a made-up input is not: nothing at all, and numbers at the ends of their types.

Run when the verdict is out already: what ends the process here, and would end the service, turns it into a refusal.
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

SECONDS = 1.0  # of CPU: a small model has had all of it by then
LONGEST = 3  # seconds of CPU of one call, after which the kernel ends it: nothing is known then
PAIRS, AXES = 12, 40


def probe(session: Session, tame: Feeds | None, limits: Limits, note: Callable[[str], None]) -> None:
    """Call the model with extremes, each noted in words before. tame: inputs that it runs on, if any is known."""
    started = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if started > limits.cpu / 3 or memory > limits.memory / 2:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(int(started + SECONDS) + LONGEST, hard), hard))
    for what, feeds in calls(session, tame or _plain(session.inputs)):
        if time.process_time() - started > SECONDS:
            return
        note(what)
        with contextlib.suppress(AmaasError, MemoryError):
            session.run(None, feeds)


def calls(session: Session, tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """What is extreme, in words, and the call."""
    yield from _empty(session.inputs, tame)
    optional = _plain(session.optional)
    known = {spec.name: spec for spec in (*session.inputs, *session.optional)}
    for names in _together([spec.name for spec in session.inputs], list(optional)):
        arrays = {name: tame.get(name, optional.get(name)) for name in names}
        for end in ("smallest", "largest", "zero", "minus one", "not a number"):
            filled = {name: _filled(known[name], array, end) for name, array in arrays.items()}
            changed = {name: array for name, array in filled.items() if array is not None}
            if changed:
                yield f"{_listed(changed)} of the {end}", tame | changed
    yield from _pairs({**tame, **optional}, tame)


def _together(inputs: list[str], optional: list[str]) -> list[list[str]]:
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
    for name, axis in single[:AXES]:
        array = _without(tame[name], [axis])
        yield f"input {name!r} with 0 along axis {axis}", tame | {name: array}


def _pairs(arrays: Feeds, tame: Feeds) -> Iterator[tuple[str, Feeds]]:
    """The two ends of a division that traps."""
    whole = [name for name, array in arrays.items() if array.dtype.kind == "i"]
    for one, other in list(permutations(whole, 2))[:PAIRS]:
        least = np.full_like(arrays[one], np.iinfo(arrays[one].dtype).min)
        pair = {one: least, other: np.full_like(arrays[other], -1)}
        yield f"input {one!r} of the smallest number, and {other!r} of -1", tame | pair


def _without(array: np.ndarray, axes: list[int]) -> np.ndarray:
    return np.zeros([0 if axis in axes else size for axis, size in enumerate(array.shape)], array.dtype)


def _filled(spec: TensorSpec, array: np.ndarray | None, end: str) -> np.ndarray | None:
    """None where the type has no such value."""
    if array is None or array.dtype == BF16:
        return None
    kind = array.dtype
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        value = {"smallest": limits.min, "largest": limits.max, "zero": 0, "minus one": -1}.get(end)
        return None if value is None or value < limits.min else np.full_like(array, value)
    if kind.kind == "f":
        reals = np.finfo(kind)
        number = {"smallest": reals.min, "largest": reals.max, "zero": 0, "minus one": -1}.get(end, np.nan)
        return np.full_like(array, number)
    plain: dict[str, Any] = {"zero": False} if spec.datatype == "BOOL" else {"zero": "", "largest": "x" * 1000}
    return np.full(array.shape, plain[end], kind) if end in plain else None


def _plain(specs: list[TensorSpec]) -> Feeds:
    """Ones, of some size where it may vary."""
    feeds = {}
    for spec in specs:
        kind = BF16 if spec.datatype == "BF16" else np.dtype(DTYPES[spec.datatype])
        shape = [size if size >= 0 else (8 if axis else 1) for axis, size in enumerate(spec.shape)]
        feeds[spec.name] = (
            np.zeros(shape, kind) if kind == BF16 else np.full(shape, "a" if kind.kind == "O" else 1, kind)
        )
    return feeds


def _listed(names: Any) -> str:
    listed = ", ".join(repr(name[:60]) for name in list(names)[:6])
    return f"input {listed}" if len(names) == 1 else f"inputs {listed}"
