"""JSON values ↔ arrays. Never converts silently: shared/values/numbers has the rules.

FP16 and BF16 have no JSON form in the protocol; here they are plain numbers, rounded to the nearest on the way in. NaN
and infinities, which JSON lacks, are answered as null.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.runtime.arrays import TEXT, computable, json_values
from shared.serving.content import check_size
from shared.values import numbers
from shared.values.place import in_input

NESTED = 56  # bytes of a number in a list, in the type it is computed with, and in JSON


def to_array(name: str, data: Any, datatype: str, shape: list[int] | None) -> np.ndarray:
    """Nested or flat JSON values as an array of a datatype; reshaped when a shape is given. Raises BadInput."""
    array = numbers.from_json(data, datatype, in_input(name))
    if shape is None:
        return array
    if array.size != math.prod(shape) or (array.ndim > 1 and list(array.shape) != shape):
        raise BadInput(f"input {name!r} has {array.size} values in shape {list(array.shape)}, not those of {shape}")
    return reshape(name, array, shape)


def reshape(name: str, array: np.ndarray, shape: list[int]) -> np.ndarray:
    try:
        return array.reshape(shape)
    except ValueError as error:  # no elements, but dimensions whose product numpy cannot count
        raise BadInput(f"input {name!r} cannot have the shape {shape}") from error


def to_json(array: np.ndarray) -> Any:
    """A flat array, in row-major order, in a form that orjson writes."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind in TEXT:
        return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in flat]
    return json_values(flat)


def nested(array: np.ndarray) -> Any:
    """An array as nested lists, for answers that are read by people. Raises TooLarge for more than these ever read.

    A number takes 32 bytes in a list, and two in the answer at least.
    """
    check_size(array.size * 2, None)
    budget.take(array.size * NESTED, f"an answer of {array.size:,} values")
    if array.dtype.kind in TEXT:
        return np.asarray(to_json(array), dtype=object).reshape(array.shape).tolist()
    return computable(array).tolist()
