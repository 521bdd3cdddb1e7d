"""What an ONNX graph says of itself: the files of its weights, its inputs and outputs. Without onnx: only fields on the
way to these are looked at."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types
# of each message of onnx.proto, the fields that lead to tensors, and of which message they are
LEADS = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
GRAPH, EXTERNAL_DATA, DATA_LOCATION = 7, 13, 14
KEY, VALUE = 1, 2
# of ValueInfoProto: name, type; of TypeProto: tensor_type; of its Tensor: elem_type, shape; of a dimension: its value
NAME, TYPE, TENSOR_TYPE, ELEMENT, SHAPE, DIMENSION, SIZE = 1, 2, 1, 1, 2, 1, 1
INITIALIZER, INPUT, OUTPUT, TENSOR_NAME = 5, 11, 12, 8
DATATYPES = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "BYTES",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
    16: "BF16",
}
Field = tuple[int, int, int, int]  # its number, where its content begins and ends, its value if that is a varint


def locations(model: Path) -> list[str] | None:
    """The names of the files, as the graph has them, in its order. None of a file that is no ONNX model."""
    if not model.stat().st_size:
        return None
    # mapped: some have gigabytes of weights within, which are not read
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            if not any(number == GRAPH for number, *_ in _fields(data, 0, len(data))):
                return None
            return list(dict.fromkeys(_of_message(data, "model", 0, len(data))))
        except (ValueError, RecursionError):
            return None


class Tensor(NamedTuple):
    """shape: None for a dimension that may vary."""

    name: str
    datatype: str
    shape: list[int | None]


def signature(model: Path) -> tuple[list[Tensor], list[Tensor]] | None:
    """Inputs that have to be given, and outputs. None of a file that is no ONNX model."""
    if not model.stat().st_size:
        return None
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            graph = next(field for field in _fields(data, 0, len(data)) if field[0] == GRAPH)
            fields = list(_fields(data, graph[1], graph[2]))
            weights = {_text(data, TENSOR_NAME, field) for field in fields if field[0] == INITIALIZER}
            inputs, outputs = ([_tensor(data, one) for one in fields if one[0] == kind] for kind in (INPUT, OUTPUT))
        except (ValueError, StopIteration):
            return None
    return [tensor for tensor in inputs if tensor.name not in weights], outputs


def _tensor(data: mmap.mmap, value: Field) -> Tensor:
    name, datatype, shape = _text(data, NAME, value), "", list[int | None]()
    for tensor in _inner(data, TENSOR_TYPE, *_inner(data, TYPE, value)):
        datatype = next((DATATYPES.get(one[3], "") for one in _inner(data, ELEMENT, tensor)), "")
        for dimension in _inner(data, DIMENSION, *_inner(data, SHAPE, tensor)):
            sizes = [one[3] for one in _inner(data, SIZE, dimension)]
            shape.append(sizes[0] if sizes else None)
    return Tensor(name, datatype, shape)


def _inner(data: mmap.mmap, number: int, *messages: Field) -> list[Field]:
    return [one for message in messages for one in _fields(data, message[1], message[2]) if one[0] == number]


def _text(data: mmap.mmap, number: int, message: Field) -> str:
    return next((data[one[1] : one[2]].decode("utf-8") for one in _inner(data, number, message)), "")


def _of_message(data: mmap.mmap, kind: str, start: int, end: int) -> Iterator[str]:
    if kind == "tensor":
        yield from _of_tensor(data, start, end)
        return
    for number, begin, close, _ in _fields(data, start, end):
        inner = LEADS[kind].get(number)
        if inner is not None:
            yield from _of_message(data, inner, begin, close)


def _of_tensor(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    names, is_external = list[str](), False
    for number, begin, close, value in _fields(data, start, end):
        if number == DATA_LOCATION:
            is_external = value == 1
        elif number == EXTERNAL_DATA:
            entry = {n: data[first:last] for n, first, last, _ in _fields(data, begin, close)}
            if entry.get(KEY) == b"location":
                names.append(entry.get(VALUE, b"").decode("utf-8"))
    if is_external:
        yield from names


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[Field]:
    """Raises ValueError for what is no message."""
    while at < end:
        key, at = _varint(data, at, end)
        wire, value, begin = key & 7, 0, at
        if wire == VARINT:
            value, at = _varint(data, at, end)
        elif wire == LENGTH:
            length, begin = _varint(data, at, end)
            at = begin + length
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("a field beyond its message's end")
        yield key >> 3, begin, at, value


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number without an end")
