"""numpy arrays of the protocol's datatypes: their types, and the way to and from those that numpy computes with.

BF16, which numpy lacks, is computed with as FP32. All other datatypes are their own, and pass through here unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.runtime.datatypes import TABLE

# by the protocol's name
DTYPES: dict[str, np.dtype] = {datatype.name: np.dtype(datatype.numpy) for datatype in TABLE}
COMPUTED: dict[str, np.dtype] = {datatype.name: np.dtype(datatype.computed) for datatype in TABLE}
# by numpy's type; text has several
NAMES = {dtype: name for name, dtype in DTYPES.items() if dtype.kind != "O"}
BF16 = DTYPES["BF16"]
_JSON = {DTYPES[datatype.name]: np.dtype(datatype.json) for datatype in TABLE}
TEXT = "OSU"  # kinds of numpy's types that hold it


def datatype_of(array: np.ndarray) -> str:
    """The protocol's name of an array's type. Raises KeyError where it has none."""
    return "BYTES" if array.dtype.kind in TEXT else NAMES[array.dtype]


def computable(array: np.ndarray) -> np.ndarray:
    """The same values in a type that numpy computes with."""
    return widen_bfloat16(array) if array.dtype == BF16 else array


def to_stored(values: np.ndarray, datatype: str) -> np.ndarray:
    """Values in the type that a datatype is computed with → the array that models take."""
    return to_bfloat16(values) if datatype == "BF16" else values


def json_values(array: np.ndarray) -> np.ndarray:
    """An array of numbers in a type that the JSON writer takes."""
    return computable(array).astype(_JSON[array.dtype], copy=False)


def to_bfloat16(values: Any) -> np.ndarray:
    """FP32 → BF16, to the nearest, of two equally near to the even one. What is too large becomes infinite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).reshape(values.shape)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    quiet = np.where(np.isnan(values), (bits >> 16) | np.uint32(0x40), rounded)
    return np.ascontiguousarray(quiet.astype(np.uint16)).view(BF16).reshape(values.shape)


def widen_bfloat16(values: np.ndarray) -> np.ndarray:
    """BF16 → FP32, exactly."""
    bits = np.ascontiguousarray(values).view(np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32).reshape(values.shape)


def require_numbers(logits: np.ndarray) -> None:
    """Raises BadInput for logits that are none."""
    if not np.isfinite(logits.max()):
        raise BadInput("the model answers with what are no numbers on this input: quantize it less, or export anew")
