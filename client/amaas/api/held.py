"""What a caller holds → the forms that inputs.py knows: paths, bytes, lists, arrays of numpy.

Open files, iterators, tensors of other libraries, numbers and gaps of pandas: read once, before the first attempt.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from decimal import Decimal
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any

from amaas.errors import AmaasError

MOST = 100_000  # members of an iterator: no call takes as many
LISTS = (Iterator, range, deque, KeysView, ValuesView)


class Content(bytes):
    """What an open file holds. name: the file's, if it has one."""

    name = ""


def known(value: Any) -> Any:
    """The value in a form that inputs.py knows; one that has none as it is. Raises AmaasError, OSError."""
    if isinstance(value, str | bytes | Path | Mapping | ItemsView):
        return value
    if isinstance(value, os.PathLike):
        return Path(os.fsdecode(value))
    if callable(getattr(value, "read", None)):
        return _content(value)
    if isinstance(value, LISTS):
        members = list(islice(value, MOST + 1))
        if len(members) > MOST:
            raise AmaasError(f"more than {MOST:,} inputs in one call: give fewer, or a batch job all of them")
        return members
    if is_tensor(value):
        return _array(value)
    return value


def is_tensor(value: Any) -> bool:
    """Whether it becomes an array of numpy, and is none: of PyTorch, TensorFlow, and others."""
    if not callable(getattr(value, "__array__", None)) or module(value) in ("pandas", "PIL", "numpy"):
        return False
    return not hasattr(getattr(value, "dtype", None), "kind")


def _array(tensor: Any) -> Any:
    try:
        if callable(getattr(tensor, "detach", None)):  # PyTorch's, which may be of a training, or on a GPU
            tensor = tensor.detach().cpu()
        return tensor.__array__()
    except Exception as error:  # whatever another library raises
        reason = " ".join(str(error).split())[:200]
        raise AmaasError(f"the {type(tensor).__name__} is no array of numpy ({reason}): convert it before") from error


def _content(file: Any) -> Content:
    """All of a file in memory, wherever it was written or read to; of another, what is left to read."""
    try:
        held = file.getvalue() if callable(getattr(file, "getvalue", None)) else file.read()
    except ValueError as error:  # closed
        kind = type(file).__name__
        raise AmaasError(f"the {kind} cannot be read ({error}): give one that is open, or its path") from error
    if not isinstance(held, str | bytes | bytearray | memoryview):
        raise AmaasError(f"the {type(file).__name__} reads as {type(held).__name__}: give one of bytes or text")
    content = Content(held.encode() if isinstance(held, str) else held)
    name = getattr(file, "name", "")
    content.name = os.path.basename(name) if isinstance(name, str) else ""
    return content


def is_scalar(value: Any) -> bool:
    """Whether it is one number of numpy, which is none of Python's."""
    return getattr(value, "shape", None) == () and hasattr(value, "dtype") and hasattr(value, "tolist")


def number(value: Any) -> Any:
    """A number as JSON has it, of Decimal, Fraction and others; None of what is none."""
    return float(value) if isinstance(value, Real | Decimal) else None


def is_gap(value: Any) -> bool:
    """NaN, and what pandas has for a value that is not there."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return module(value) == "pandas"
    value = value.tolist() if is_scalar(value) else value
    return isinstance(value, float | Decimal) and math.isnan(value)


def is_cell(value: Any) -> bool:
    """Whether it is one cell of a row."""
    if value is None or isinstance(value, str | int | float):
        return True
    return is_scalar(value) or is_gap(value) or number(value) is not None


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy, or of a library that has its types."""
    return all(hasattr(value, name) for name in ("dtype", "shape", "tolist"))


def is_pandas(value: Any) -> bool:
    """Whether it is a DataFrame or a Series of pandas."""
    return module(value) == "pandas" and hasattr(value, "to_dict") and hasattr(value, "notna")


def is_picture(value: Any) -> bool:
    """Whether it is an image of Pillow."""
    return any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(value).__mro__)


def module(value: Any) -> str:
    """The package that a value's type is of."""
    return type(value).__module__.partition(".")[0]
