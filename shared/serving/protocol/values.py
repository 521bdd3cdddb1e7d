"""JSON values ↔ arrays. Never converts silently: text is no number, a fraction is no integer, 300 is no UINT8.

FP16 and BF16 have no JSON form in the protocol; here they are plain numbers, rounded to the nearest on the way in. NaN
and infinities, which JSON lacks, are answered as null.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.runtime.arrays import COMPUTED, TEXT, computable, json_values, to_stored
from shared.serving.content import check_size

NESTED = 56  # bytes of a number in a list, in the type it is computed with, and in JSON


def to_array(name: str, data: Any, datatype: str, shape: list[int] | None) -> np.ndarray:
    """Nested or flat JSON values as an array of a datatype; reshaped when a shape is given. Raises BadInput."""
    array = _to_strings(name, data) if datatype == "BYTES" else _to_numbers(name, data, datatype)
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


def _to_numbers(name: str, data: Any, datatype: str) -> np.ndarray:
    dtype = COMPUTED[datatype]
    _require_no_text(name, data, datatype)
    try:
        natural = np.asarray(data)
        if dtype == np.uint64 and natural.dtype.kind == "f":
            natural = _read_exactly(data, natural)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadInput(f"input {name!r}: the data is not a regular array of {datatype} values ({error})") from error
    array = natural.astype(dtype) if natural.size == 0 else _cast(name, natural, dtype, datatype)
    return _store(name, array, datatype)


def _require_no_text(name: str, data: Any, datatype: str) -> None:
    """Raises BadInput. Before numpy sees it: that would give every value the room of the longest text."""
    level = [data]
    while level:
        kinds = set(map(type, level))
        if str in kinds:
            raise BadInput(f"input {name!r} holds values that are no {datatype}: text was found")
        if list not in kinds:
            return
        level = list(chain.from_iterable(one for one in level if type(one) is list))


def _read_exactly(data: Any, natural: np.ndarray) -> np.ndarray:
    """numpy reads a mixture of small and very large integers as floats: read it again if it is integers throughout."""
    values = np.asarray(data, dtype=object)
    return values.astype(np.uint64) if all(type(value) is int for value in values.flat) else natural


def _cast(name: str, natural: np.ndarray, dtype: np.dtype, datatype: str) -> np.ndarray:
    takes = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[dtype.kind]
    if natural.dtype.kind not in takes:
        raise BadInput(f"input {name!r} holds values that are no {datatype}: {_describe_kind(natural)}")
    if dtype.kind in "iu" and not _in_range(natural, dtype):
        raise _out_of_range(name, datatype)
    with np.errstate(over="ignore"):
        cast = natural.astype(dtype, copy=False)
    if dtype.kind == "f" and not np.isfinite(cast).all():
        raise _out_of_range(name, datatype)
    return cast


def _store(name: str, array: np.ndarray, datatype: str) -> np.ndarray:
    values = to_stored(array, datatype)
    if values is not array and not np.isfinite(computable(values)).all():  # too large for the narrower type
        raise _out_of_range(name, datatype)
    return values


def _in_range(natural: np.ndarray, dtype: np.dtype) -> bool:
    bounds = np.iinfo(dtype)
    return int(natural.min()) >= bounds.min and int(natural.max()) <= bounds.max


def _out_of_range(name: str, datatype: str) -> BadInput:
    return BadInput(f"input {name!r} holds values outside the range of {datatype}")


def _describe_kind(natural: np.ndarray) -> str:
    kinds = {"f": "fractions", "i": "integers", "u": "integers", "b": "booleans"}
    return f"{kinds.get(natural.dtype.kind, 'values of mixed kinds')} were found"


def _to_strings(name: str, data: Any) -> np.ndarray:
    array = np.asarray(data, dtype=object)
    if not all(isinstance(value, str) for value in array.flat):
        raise BadInput(f"input {name!r} is BYTES: in JSON its values are strings, in a regular array")
    return array


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
