"""Which inputs of a model may be empty: ONNX Runtime's kernels do not all ask, and end the process.

Only a call with an empty tensor gets here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.errors import BadInput

# In a model's metadata, as a JSON list: the inputs that may not be empty, which the gate (guards.py) writes there.
NOT_EMPTY = "amaas.not_empty"


def not_empty(metadata: Mapping[str, str]) -> set[str]:
    """The names; none of what the model does not say, or says in another way than the gate does."""
    try:
        return msgspec.json.decode(metadata.get(NOT_EMPTY, "[]"), type=set[str])
    except msgspec.MsgspecError:
        return set()


class Sizes:
    """arguments: the session's inputs, as ONNX Runtime describes them. needed: those that may not be empty.

    A dimension's name is the same size wherever it is. ONNX Runtime trusts that when it joins operators, and divides by
    a size that is 0 in one place only.
    """

    def __init__(self, arguments: Iterable[Any], needed: set[str]) -> None:
        self._needed = needed
        self._places: dict[str, list[tuple[str, int]]] = {}
        for argument in arguments:
            for axis, dimension in enumerate(argument.shape or ()):
                if isinstance(dimension, str):
                    self._places.setdefault(dimension, []).append((argument.name, axis))

    def check(self, feeds: Mapping[str, Any]) -> None:
        """feeds: arrays of the model's ranks. Raises BadInput where one is empty that may not be."""
        for name in sorted(self._needed & feeds.keys()):
            if feeds[name].size == 0:
                raise BadInput(
                    f"input {name!r} of shape {list(feeds[name].shape)} is empty, and the model cannot run on nothing; "
                    "send at least one element along each dimension"
                )
        for dimension, places in self._places.items():
            sizes = {name: feeds[name].shape[axis] for name, axis in places if name in feeds}
            if 0 in sizes.values() and any(sizes.values()):
                raise BadInput(
                    f"the dimension {dimension!r} has to have one size, and is empty in one input only: {sizes}; "
                    "send inputs that belong together"
                )
