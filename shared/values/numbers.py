"""Values → arrays of a datatype: exact, or to the nearest of a float's type; refused wherever it would be neither.

| into | taken | refused |
|---|---|---|
| integers | whole numbers in range; a float that is whole and below 2^53, as 5.0 | fractions, other ranges, booleans |
| floats | all numbers, to the nearest; smaller than the smallest is 0 | what is too large to be finite, booleans |
| BOOL | true and false; 0 and 1 in arrays and tables, which may have no other way to write them | all other numbers |
| BYTES | text | all else |

A float from 2^53 on is no integer: what was written as 9007199254740993.0 has lost its last digit already.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.runtime.arrays import COMPUTED, TEXT, computable, to_stored
from shared.values.place import Where

EXACT = 2**53  # below it each whole number is a float of its own


def from_json(data: Any, datatype: str, where: Where) -> np.ndarray:
    """Nested or flat values, or an array of numbers that a JSON reader made, as an array. Raises BadInput."""
    if datatype == "BYTES":
        return _texts(data, where)
    if isinstance(data, np.ndarray):
        return cast(data, datatype, where)
    _require_numbers(data, datatype, where)
    try:
        natural = np.asarray(data)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadInput(f"{where(())}: the data is not a regular array of {datatype} values ({error})") from error
    if COMPUTED[datatype].kind in "iu" and natural.dtype.kind in "fO":
        natural = _keep_digits(data, natural)
    return cast(natural, datatype, where)


def cast(values: np.ndarray, datatype: str, where: Where) -> np.ndarray:
    """An array of any type as one of `datatype`, in the form that models take. Raises BadInput.

    NaN and infinities of a float array stay what they are in another float's type.
    """
    dtype = COMPUTED[datatype]
    if dtype.kind == "O":
        return _texts(values, where)
    if values.size == 0:
        return to_stored(values.astype(dtype), datatype)
    if values.dtype.kind == "O":
        return _cast_objects(values, datatype, where)
    if values.dtype.kind not in "biuf":
        raise BadInput(f"{where(())} has values of {_described(values)}, which are no {datatype}")
    if dtype.kind == "f":
        return _to_floats(values, datatype, where)
    return _to_bool(values, where) if dtype.kind == "b" else _to_integers(values, dtype, datatype, where)


class NoNumber(BadInput):
    """What a model answers is no number. row: of the answer's first axis, the first where that is so."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


def require_finite(values: np.ndarray, what: str, row: int | None = None) -> None:
    """Raises NoNumber where an answer of the model holds what is none, which JSON has no way to say.

    what: as in "score". row: which one all of the values are of.
    """
    numbers = computable(values)
    if numbers.dtype.kind != "f" or (finite := np.isfinite(numbers)).all():
        return
    raise NoNumber(
        f"the model answers this input with a {what} that is no number (NaN or infinite): "
        "see whether its values are of the size that the model was trained with",
        row if row is not None else _first(~finite)[0] if numbers.ndim else 0,
    )


def _require_numbers(data: Any, datatype: str, where: Where) -> None:
    """Raises BadInput. Before numpy sees them: it would give every value the room of the longest text."""
    level, taken = [data], {bool} if datatype == "BOOL" else {int, float}
    while level:
        kinds = set(map(type, level))
        if not kinds <= {*taken, list}:
            index, value = _find(data, lambda one: type(one) not in taken and type(one) is not list)
            raise BadInput(f"{where(index)}: {_shown(value)} is {_kind(value)}, not a value of {datatype}")
        if list not in kinds:
            return
        level = list(chain.from_iterable(one for one in level if type(one) is list))


def _find(data: Any, wrong: Callable[[Any], bool]) -> tuple[tuple[int, ...], Any]:
    """The index of the first value that is wrong, and the value."""
    waiting: list[tuple[tuple[int, ...], Any]] = [((), data)]
    while waiting:
        index, value = waiting.pop()
        if wrong(value):
            return index, value
        if type(value) is list:
            waiting.extend(((*index, number), value[number]) for number in range(len(value) - 1, -1, -1))
    raise AssertionError("there is no such value")


def _keep_digits(data: Any, natural: np.ndarray) -> np.ndarray:
    """Numbers for integers, of which numpy has made floats: each as it is where that may have cost a digit."""
    if natural.dtype.kind == "f" and (np.abs(natural) < EXACT).all():
        return natural
    return np.asarray(data, dtype=object)


def _cast_objects(values: np.ndarray, datatype: str, where: Where) -> np.ndarray:
    """Numbers of Python, of any size: integers beyond 64 bits, or mixed with fractions."""
    dtype = COMPUTED[datatype]
    for index, value in np.ndenumerate(values):
        if type(value) not in (int, float):
            raise BadInput(f"{where(index)}: {_shown(value)} is {_kind(value)}, not a value of {datatype}")
    if dtype.kind == "f":
        return _to_floats(_as_floats(values, datatype, where), datatype, where)
    whole = np.empty(values.shape, object)
    bounds = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for index, value in np.ndenumerate(values):
        if isinstance(value, float) and not (value.is_integer() and abs(value) < EXACT):
            raise _inexact(index, value, datatype, where)
        if not bounds[0] <= value <= bounds[1]:
            raise _out_of_range(index, value, datatype, where)
        whole[index] = int(value)
    return whole.astype(dtype)


def _as_floats(values: np.ndarray, datatype: str, where: Where) -> np.ndarray:
    floats = np.empty(values.shape)
    for index, value in np.ndenumerate(values):
        try:
            floats[index] = value
        except OverflowError:
            raise _out_of_range(index, value, datatype, where) from None
    return floats


def _to_floats(values: np.ndarray, datatype: str, where: Where) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        stored = to_stored(values.astype(COMPUTED[datatype], copy=False), datatype)
    beyond = ~np.isfinite(computable(stored))
    if values.dtype.kind == "f":  # what is NaN or infinite already stays so
        beyond &= np.isfinite(values)
    if beyond.any():
        index = _first(beyond)
        raise _out_of_range(index, values[index], datatype, where)
    return stored


def _to_bool(values: np.ndarray, where: Where) -> np.ndarray:
    if values.dtype.kind != "b":
        other = (values != 0) & (values != 1)
        if other.any():
            index = _first(other)
            raise BadInput(f"{where(index)}: {values[index]} is neither true nor false: BOOL takes those, 0 and 1")
    return values.astype(bool, copy=False)


def _to_integers(values: np.ndarray, dtype: np.dtype, datatype: str, where: Where) -> np.ndarray:
    if values.dtype.kind == "f":
        inexact = ~(np.abs(values) < EXACT) | (np.floor(values) != values)
        if inexact.any():
            index = _first(inexact)
            raise _inexact(index, float(values[index]), datatype, where)
        values = values.astype(np.int64)
    if values.dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if not (int(values.min()) >= bounds.min and int(values.max()) <= bounds.max):
            low, high = max(bounds.min, np.iinfo(values.dtype).min), min(bounds.max, np.iinfo(values.dtype).max)
            index = _first((values < low) | (values > high))
            raise _out_of_range(index, int(values[index]), datatype, where)
    return values.astype(dtype, copy=False)


def _texts(data: Any, where: Where) -> np.ndarray:
    """Text as an array of str; bytes, as numpy's S has them, are UTF-8."""
    if isinstance(data, np.ndarray) and data.dtype.kind not in TEXT:
        raise BadInput(f"{where(())} has values of {_described(data)}, where BYTES takes text")
    array = np.asarray(data, dtype=object)
    if not isinstance(data, np.ndarray) and _is_ragged(array):
        raise BadInput(f"{where(())}: the data is not a regular array of BYTES values")
    for index, value in np.ndenumerate(array):
        if isinstance(value, bytes):
            try:
                array[index] = value.decode()
            except UnicodeDecodeError as error:
                raise BadInput(f"{where(index)} is BYTES, whose text is UTF-8: {error}") from error
        elif not isinstance(value, str):
            raise BadInput(f"{where(index)} is BYTES, whose values are strings: {_shown(value)} is {_kind(value)}")
        elif type(value) is not str:  # numpy's own
            array[index] = str(value)
    return array


def _is_ragged(array: np.ndarray) -> bool:
    return any(isinstance(value, list) for value in array.flat)


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _inexact(index: tuple[int, ...], value: float, datatype: str, where: Where) -> BadInput:
    if not value.is_integer():
        return BadInput(f"{where(index)}: {value!r} is no whole number, and {datatype} takes nothing else")
    if abs(value) > float(np.iinfo(COMPUTED[datatype]).max if COMPUTED[datatype].kind in "iu" else 1):
        return _out_of_range(index, value, datatype, where)
    return BadInput(
        f"{where(index)}: {value!r} is a fraction's form of a number too large for it to be exact: write it as a whole "
        "number"
    )


def _out_of_range(index: tuple[int, ...], value: Any, datatype: str, where: Where) -> BadInput:
    dtype = COMPUTED[datatype]
    if dtype.kind in "iu":
        low, high = str(np.iinfo(dtype).min), str(np.iinfo(dtype).max)
    elif dtype.kind == "b":
        low, high = "0", "1"
    else:
        largest = _LARGEST_BF16 if datatype == "BF16" else float(np.finfo(dtype).max)
        low, high = f"-{largest:.6g}", f"{largest:.6g}"
    return BadInput(f"{where(index)}: {_shown(value)} is outside the range of {datatype} ({low} to {high})")


_LARGEST_BF16 = 3.3895314e38


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**40:
        return "a whole number of more than 40 digits"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {type(None): "no value", str: "text", dict: "an object", list: "a list", int: "a number", float: "a number"}
    return names.get(type(value), "of no kind that JSON has")


def _described(array: np.ndarray) -> str:
    kinds = {"b": "booleans", "i": "integers", "u": "integers", "f": "floats", "c": "complex numbers"}
    return kinds.get(array.dtype.kind, f"numpy's type {array.dtype}")
