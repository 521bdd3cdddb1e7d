"""The binary tensor data extension: raw little-endian, row-major bytes ↔ arrays.

A fixed-size tensor is a view of the request's body, without a copy, where its bytes lie aligned for its type. ONNX
Runtime's kernels may rely on that, so a tensor that the JSON before it has shifted is copied: 0.05 ms for 600 kB.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.runtime.arrays import DTYPES
from shared.serving.protocol.values import reshape

LENGTH = struct.Struct("<I")  # in front of each element of BYTES


def decode(name: str, raw: memoryview, datatype: str, shape: list[int]) -> np.ndarray:
    """The bytes of one tensor as an array. Raises BadInput when there are more or fewer than its shape says."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return reshape(name, _decode_elements(name, raw, count), shape)
    dtype = DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise BadInput(
            f"input {name!r} has {len(raw):,} bytes of binary data, "
            f"{count:,} values of {datatype} in shape {shape} are {count * dtype.itemsize:,}"
        )
    if datatype == "BOOL" and count and np.frombuffer(raw, np.uint8).max() > 1:
        raise BadInput(f"input {name!r} is BOOL: each byte of its binary data is 0 or 1")
    array = np.frombuffer(raw, dtype)
    return reshape(name, array if array.flags.aligned else array.copy(), shape)


def _decode_elements(name: str, raw: memoryview, count: int) -> np.ndarray:
    """Elements of BYTES, each behind its length in 4 bytes, as str, which is what ONNX Runtime takes."""
    if count * LENGTH.size > len(raw):  # before anything is allocated for a count that a caller made up
        raise BadInput(f"input {name!r} has {len(raw):,} bytes of binary data, too few for {count:,} elements of BYTES")
    elements: list[str] = []
    offset = 0
    for index in range(count):
        start = offset + LENGTH.size
        if start > len(raw):
            raise BadInput(f"input {name!r} ends within the length of element {index} of {count}")
        offset = start + LENGTH.unpack_from(raw, offset)[0]
        if offset > len(raw):
            raise BadInput(f"input {name!r}: element {index} of {count} is longer than the data that is left")
        elements.append(_decode_text(name, raw[start:offset], index))
    if offset != len(raw):
        raise BadInput(f"input {name!r} has {len(raw) - offset:,} bytes of binary data after its last element")
    return object_array(elements)


def _decode_text(name: str, raw: memoryview, index: int) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r}: element {index} is not UTF-8, which ONNX strings have to be") from error


def object_array(values: list[Any]) -> np.ndarray:
    """A flat array of Python objects: numpy would make arrays of nested lists, and numbers of numbers."""
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def encode(array: np.ndarray) -> memoryview:
    """An array's bytes as the protocol has them: a buffer that can be joined to others without another copy."""
    if array.dtype.kind not in "OSU":
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    parts: list[bytes] = []
    for value in array.reshape(-1):
        text = value if isinstance(value, bytes) else str(value).encode()
        parts += (LENGTH.pack(len(text)), text)
    return memoryview(b"".join(parts))


def deduce_shape(name: str, size: int, datatype: str, expected: list[int]) -> list[int]:
    """The shape of an input that is the whole body: it may vary in one dimension, or in the first, then 1, and one."""
    shape = list(expected)
    if datatype == "BYTES":
        shape = [1 if d == -1 else d for d in shape]
        if math.prod(shape) != 1:
            raise BadInput(f"input {name!r} takes {expected}: a body without JSON can hold one element of BYTES only")
        return shape
    if shape.count(-1) > 1 and shape[0] == -1:
        shape[0] = 1
    if shape.count(-1) > 1:
        raise BadInput(f"input {name!r} takes {expected}: {size:,} bytes do not say which shape, send it in JSON")
    if -1 in shape:
        row = DTYPES[datatype].itemsize * math.prod(d for d in shape if d != -1)
        if row == 0 or size % row:
            raise BadInput(f"input {name!r} takes {expected} of {datatype}: {size:,} bytes are no multiple of {row:,}")
        shape[shape.index(-1)] = size // row
    return shape
