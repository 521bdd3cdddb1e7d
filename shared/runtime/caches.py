"""Which inputs and outputs of a decoder's graph are its caches, and what shapes they have.

Exporters name and shape them in ways of their own. These are known, and what is not is refused by name:

    past_key_values.N.key        present.N.key                   Optimum, onnx-community, ONNX Runtime GenAI
    past_key_values.N.conv …     present.N.conv                  any other word behind the layer's number
    past_N                       present_N                       keys and values in one tensor, [2, batch, …]

A cache has one axis for the batch and one that grows with the tokens. Graphs that leave the number of heads or their
width open get them from the package's config.json (Geometry).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from shared.runtime.datatypes import BY_RUNTIME_NAME
from shared.runtime.signature import Unloadable

IDS, MASK, POSITIONS, LOGITS = "input_ids", "attention_mask", "position_ids", "logits"
# 0 for the branch of a merged graph that has no caches yet, 1 for the other
BRANCH = "use_cache_branch"
KEEP = ("num_logits_to_keep", "logits_to_keep")  # of how many tokens, from the end, logits are wanted
PAST = re.compile(r"past(?:_key_values|_key_value|)[._](.+)")
PRESENT = re.compile(r"present(?:_key_values|_key_value|)[._](.+)")
BATCH, LENGTH = -1, -2  # of a Cache's shape
HEADS, WIDTH = re.compile(r"head"), re.compile(r"dim|width|size|embed")
DATATYPES = ("FP32", "FP16")
BLOCK = 256  # tokens that are read at once: a deadline is looked at in between


class Geometry(Struct, frozen=True):
    """What config.json says of the caches. heads: of keys and values. width: of a head."""

    heads: int
    width: int


class Cache(Struct, frozen=True):
    """One tensor that a step takes as `past` and gives, longer, as `present`. shape: numbers, BATCH and LENGTH."""

    past: str
    present: str
    datatype: str
    shape: tuple[int, ...]

    def dimensions(self, batch: int, length: int) -> list[int]:
        sizes = {BATCH: batch, LENGTH: length}
        return [sizes.get(size, size) for size in self.shape]

    @property
    def axis(self) -> int:
        """The one that grows."""
        return self.shape.index(LENGTH)


class Layout(Struct, frozen=True):
    """A decoder's graph. integers: datatype of each of the inputs that are no caches. keep: its name for KEEP."""

    caches: tuple[Cache, ...]
    integers: dict[str, str]
    vocabulary: int | None
    keep: str | None

    @property
    def merged(self) -> bool:
        return BRANCH in self.integers


def layout_of(inputs: Iterable[Any], outputs: Iterable[Any], geometry: Geometry | None = None) -> Layout:
    """Of ONNX Runtime's arguments, with name, type and shape. Raises Unloadable for what is no decoder."""
    by_name = {argument.name: argument for argument in outputs}
    presents = {match[1]: name for name in by_name if (match := PRESENT.fullmatch(name))}
    caches, integers = [], {}
    for argument in inputs:
        if match := PAST.fullmatch(argument.name):
            if match[1] not in presents:
                raise Unloadable(
                    f"the graph takes {argument.name!r}, and gives no present.{match[1]} for the next step"
                )
            caches.append(cache_of(argument, presents.pop(match[1]), geometry))
        elif argument.name in (IDS, MASK, POSITIONS, BRANCH, *KEEP):
            integers[argument.name] = datatype_of(argument, ("INT64", "INT32", "BOOL"))
        else:
            raise Unloadable(
                f"the graph takes {argument.name!r}, which no decoder that is known has: export the model with "
                "Optimum's task text-generation-with-past, or with ONNX Runtime GenAI's builder"
            )
    _require_decoder(caches, presents, integers, by_name)
    logits = by_name[LOGITS]
    datatype_of(logits, DATATYPES)
    vocabulary = logits.shape[-1] if isinstance(logits.shape[-1], int) else None
    keep = next((name for name in KEEP if name in integers), None)
    return Layout(tuple(caches), integers, vocabulary, keep)


def _require_decoder(
    caches: list[Cache], presents: dict[str, str], integers: dict[str, str], by_name: dict[str, Any]
) -> None:
    missing = [name for name, there in ((IDS, IDS in integers), (LOGITS, LOGITS in by_name)) if not there]
    if missing:
        raise Unloadable(f"the graph has no {' and no '.join(missing)}: it is no decoder of tokens")
    if not caches:
        raise Unloadable(
            "the graph has no past_key_values: without caches, each token costs all those before it again; export the "
            "model with them (Optimum's task text-generation-with-past)"
        )
    if presents:
        raise Unloadable(f"the graph gives {sorted(presents.values())[0]!r}, and takes no past for it")


def cache_of(argument: Any, present: str, geometry: Geometry | None) -> Cache:
    """Of one input. present: the output that it is in the next step. Raises Unloadable."""
    shape = [_size(size, argument.name, place, len(argument.shape)) for place, size in enumerate(argument.shape)]
    declared: dict[str, int | None] = {
        "heads": geometry.heads if geometry else None,
        "width": geometry.width if geometry else None,
    }
    sizes: list[int] = []
    for size in shape:
        value = declared[size] if isinstance(size, str) else size
        if value is None:
            raise Unloadable(
                f"the graph leaves the {size} of {argument.name!r} open, and no config.json says them: add the "
                "config.json that the model was exported with"
            )
        sizes.append(value)
    if sizes.count(LENGTH) != 1 or sizes.count(BATCH) != 1:
        raise Unloadable(
            f"{argument.name!r} has the shape {list(argument.shape)}: a cache has one axis named for the batch and one "
            "named for the sequence; name them when you export the model"
        )
    return Cache(argument.name, present, datatype_of(argument, DATATYPES), tuple(sizes))


def _size(size: Any, name: str, place: int, rank: int) -> int | str:
    """A number, BATCH, LENGTH; or which one of Geometry says it."""
    if isinstance(size, int) and size > 0:
        return size
    text = str(size).lower()
    if "seq" in text or "past" in text or "length" in text:
        return LENGTH
    if "batch" in text:
        return BATCH
    if WIDTH.search(text) or place == rank - 1:
        return "width"
    if HEADS.search(text) or place == rank - 3:
        return "heads"
    raise Unloadable(f"the axis {size!r} of {name!r} is neither of the batch, nor of tokens, heads or their width")


def datatype_of(argument: Any, allowed: tuple[str, ...]) -> str:
    """The protocol's name of an argument's type. Raises Unloadable for another than those allowed."""
    datatype = BY_RUNTIME_NAME.get(argument.type)
    if datatype is None or datatype.name not in allowed:
        raise Unloadable(
            f"{argument.name!r} is of {argument.type}: {' or '.join(allowed)} is what can be computed with"
        )
    return datatype.name
