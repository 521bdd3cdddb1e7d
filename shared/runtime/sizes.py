"""Refuses empty inputs that a model cannot take: some of ONNX Runtime's kernels do not check, and end the process.

Needed only in a call with an empty tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.errors import BadInput

# Key in a model's metadata: the inputs that may not be empty, as a JSON list. Written by the checks (guards.py).
NOT_EMPTY = "amaas.not_empty"


def not_empty(metadata: Mapping[str, str]) -> set[str]:
    """The names; none if the metadata has no such list, or one that the checks did not write."""
    try:
        return msgspec.json.decode(metadata.get(NOT_EMPTY, "[]"), type=set[str])
    except msgspec.MsgspecError:
        return set()


class Sizes:
    """arguments: the session's inputs, as ONNX Runtime describes them. needed: those that may not be empty.

    Dimensions with one name must have one size. ONNX Runtime relies on that when it fuses operators, and divides by
    the size that is 0 if only one of them is.
    """

    def __init__(self, arguments: Iterable[Any], needed: set[str]) -> None:
        self._needed = needed
        self._axes: dict[str, list[tuple[str, int]]] = {}  # by name of the dimension: inputs, and their axes
        for argument in arguments:
            for axis, dimension in enumerate(argument.shape or ()):
                if isinstance(dimension, str):
                    self._axes.setdefault(dimension, []).append((argument.name, axis))

    def check(self, feeds: Mapping[str, Any]) -> None:
        """feeds: arrays of the model's ranks. Raises BadInput if one is empty that may not be."""
        for name in sorted(self._needed & feeds.keys()):
            if feeds[name].size == 0:
                raise BadInput(
                    f"input {name!r} of shape {list(feeds[name].shape)} is empty, which this model does not support; "
                    "send at least one element along each dimension"
                )
        for dimension, axes in self._axes.items():
            sizes = {name: feeds[name].shape[axis] for name, axis in axes if name in feeds}
            if 0 in sizes.values() and any(sizes.values()):
                raise BadInput(
                    f"the dimension {dimension!r} must have the same size in all inputs, but is 0 in some: {sizes}; "
                    "send inputs of equal size"
                )
