"""What may be put in place of what works: sizes, ranks, values and attributes, one or two at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import AttributeProto

from bench.sweep.seeds import Seed

SIZES = (0, 1, 2, 9, 64)
COUNTS = (0, -1, -7, 3, 1000, 2**31, 2**62, -(2**63))
REALS = (0.0, -1.0, float("nan"), float("inf"))
# of integers: as an index or a length a little beyond what there is, which guard pages notice, and far beyond
BEYOND = (0, 1, 2, 3, 7, 100, 5000, -1, -2, -3, -100, -5000)
PAIRS = 60  # of changes, drawn for each seed


def variants(seed: Seed, draw: random.Random) -> Iterator[tuple[str, Seed]]:
    """The seed itself, each single change, and some of two at once; each with what was changed."""
    yield "as it is", seed
    singles = list(_changes(seed))
    yield from singles
    for _ in range(min(PAIRS, len(singles))):
        first, changed = draw.choice(singles)
        second, twice = draw.choice(list(_changes(changed)) or [("", changed)])
        yield f"{first}; {second}", twice


def _changes(seed: Seed) -> Iterator[tuple[str, Seed]]:
    for name, array in seed.feeds.items():
        for what, other in (*_resized(array), *_refilled(array)):
            yield f"{name} {what}", seed._replace(feeds={**seed.feeds, name: other})
    for axis in range(max((array.ndim for array in seed.feeds.values()), default=0)):
        emptied = {name: _emptied(array, axis) for name, array in seed.feeds.items()}
        yield f"all axis {axis}: 0", seed._replace(feeds=emptied)
    for attribute in seed.node.attribute:
        for what, changed in _altered(attribute):
            node = type(seed.node)()
            node.CopyFrom(seed.node)
            others = [entry for entry in seed.node.attribute if entry.name != attribute.name]
            del node.attribute[:]
            node.attribute.extend([*others, changed])
            yield what, seed._replace(node=node)


def _emptied(array: np.ndarray, axis: int) -> np.ndarray:
    return np.take(array, [], axis) if axis < array.ndim else array


def _resized(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for axis, old in enumerate(array.shape):
        for size in SIZES:
            if size != old:
                indices = np.arange(size) % max(old, 1)
                if old:
                    yield f"axis {axis}: {size}", np.ascontiguousarray(np.take(array, indices, axis))
    if array.ndim:
        yield "as [0, …]", array.reshape(-1)[:0].reshape([0] * array.ndim)
        yield "as a vector", array.reshape(-1)
        yield "as a scalar", np.asarray(array.reshape(-1)[0] if array.size else array, array.dtype)
    yield "with one more axis", array[None]


def _refilled(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for value in _extremes(array.dtype):
        yield f"all {str(value)[:24]!r}", np.full_like(array, value)
        if array.size > 1:
            other = array.copy()
            other.reshape(-1)[0] = value
            yield f"one {str(value)[:24]!r}", other


def _extremes(dtype: Any) -> list[Any]:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return [
            kind.type(value)
            for value in sorted({*BEYOND, limits.min, limits.max, limits.max // 2})
            if limits.min <= value <= limits.max
        ]
    if kind.kind == "f":
        return [kind.type(v) for v in (0, -1, np.nan, np.inf, -np.inf, np.finfo(kind).max)]
    if kind.kind == "b":
        return [False, True]
    return ["", "\0", "ä" * 300] if kind.kind in "OU" else []


def _altered(attribute: Any) -> Iterator[tuple[str, Any]]:
    def copy() -> Any:
        other = AttributeProto()
        other.CopyFrom(attribute)
        return other

    if attribute.type == AttributeProto.INT:
        for count in COUNTS:
            other = copy()
            other.i = count
            yield f"{attribute.name}={count}", other
    if attribute.type == AttributeProto.FLOAT:
        for real in REALS:
            other = copy()
            other.f = real
            yield f"{attribute.name}={real}", other
    if attribute.type == AttributeProto.INTS:
        yield from _lists(attribute, copy, "ints", COUNTS)
    if attribute.type == AttributeProto.FLOATS:
        yield from _lists(attribute, copy, "floats", REALS)
    if attribute.type == AttributeProto.STRINGS:
        yield from _lists(attribute, copy, "strings", (b"", b"?"))


def _lists(attribute: Any, copy: Any, field: str, values: Any) -> Iterator[tuple[str, Any]]:
    for index in range(min(len(getattr(attribute, field)), 4)):
        for value in values:
            other = copy()
            getattr(other, field)[index] = value
            yield f"{attribute.name}[{index}]={value}", other
    for length in (0, 1, len(getattr(attribute, field)) + 1):
        other = copy()
        items = list(getattr(attribute, field))
        other.ClearField(field)
        getattr(other, field).extend((items * 2)[:length])
        yield f"{attribute.name} of {length}", other
