"""Large JSON bodies: their numbers become arrays without becoming Python objects first.

simdjson reads the text, and hands a whole array of numbers out as one buffer: a third of the time of a list that numpy
then has to look through. Only what is certain is taken this way. For everything else (text that is no JSON, lists that
are ragged or hold anything but numbers) the ordinary decoder has the word, and with it one set of rules and messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.runtime.datatypes import DATATYPES

try:
    from simdjson import Array, Object, Parser
except ModuleNotFoundError:  # it has no package for Python 3.14
    Parser = None  # type: ignore[misc,assignment]

# simdjson's buffers by kind of datatype, in the order to try: fractions; what fits 64 bits with a sign, or without
INTEGERS: list[tuple[Any, Any]] = [("i", np.int64), ("u", np.uint64)]
BUFFERS: dict[str, list[tuple[Any, Any]]] = {"float": [("d", np.float64)], "int": INTEGERS, "uint": INTEGERS}


def read_members(body: bytes | memoryview) -> dict[str, Any] | None:
    """The members of an infer request, the data of inputs as arrays where that is certain.

    None for any other body, and where there is no simdjson.

    A parser of its own for each body: one can only be used again when nothing of its last document is left.
    """
    if Parser is None:
        return None
    try:
        document = Parser().parse(body)
        request = _read_members(document, "inputs", _read_inputs) if isinstance(document, Object) else None
    except (ValueError, RuntimeError, UnicodeDecodeError):
        return None
    # A buffer does not tell [1, [2, 3], []] from [1, 2, 3]: there must be no array that was not seen.
    return request if request and _count_brackets(request) == bytes(body).count(b"[") else None


def _read_members(source: Any, special: str, read: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """An object's members as Python values; the member `special` is read by `read`, from its value and the object.

    Raises ValueError for a name that is there twice: simdjson finds the first, the ordinary decoder takes the last.
    """
    names = list(source)
    if len(set(names)) < len(names):
        raise ValueError("a name is there twice")
    return {name: read(source[name], source) if name == special else _to_python(source[name]) for name in names}


def _read_inputs(inputs: Any, _: Any) -> Any:
    if not isinstance(inputs, Array):
        return _to_python(inputs)
    return [
        _read_members(member, "data", _read_data) if isinstance(member, Object) else _to_python(member)
        for member in inputs
    ]


def _read_data(data: Any, tensor: Any) -> Any:
    """Nested or flat numbers as an array in their shape; anything else as Python has it."""
    name = tensor.get("datatype")
    if not isinstance(data, Array) or not isinstance(name, str):
        return _to_python(data)
    datatype = DATATYPES.get(name)
    buffers = BUFFERS.get(datatype.kind, []) if datatype else []
    shape = _shape(data) if buffers else None
    for code, dtype in buffers if shape else ():
        try:
            flat = np.frombuffer(data.as_buffer(of_type=code), dtype)
        except (TypeError, ValueError):  # of another kind, or too large for it
            continue
        if flat.size == math.prod(shape or ()):
            return flat.reshape(shape)
    return data.as_list()


def _shape(data: Any) -> tuple[int, ...] | None:
    """The shape that a nested array's lengths tell; None when they differ, or there is nothing in it."""
    first = next(iter(data), None)
    if not isinstance(first, Array):
        return (len(data),) if len(data) else None
    inner = {_shape(one) if isinstance(one, Array) else None for one in data}
    [shape, *others] = inner
    return None if others or shape is None else (len(data), *shape)


def _to_python(value: Any) -> Any:
    return value.as_list() if isinstance(value, Array) else value.as_dict() if isinstance(value, Object) else value


def _count_brackets(value: Any) -> int:
    """How many '[' the JSON text of a value has, but for those in strings."""
    if isinstance(value, np.ndarray):
        return sum(math.prod(value.shape[:axis]) for axis in range(value.ndim))
    if isinstance(value, dict):
        return sum(map(_count_brackets, value.values()))
    return 1 + sum(map(_count_brackets, value)) if isinstance(value, list) else 0
