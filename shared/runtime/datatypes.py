"""The types of a tensor's elements: one line each, from which all others are derived. Imports nothing heavy.

To add one, add its line. The client, which imports nothing of ours, has a table of its own that a test compares.
"""

from __future__ import annotations

from msgspec import Struct


class Datatype(Struct, frozen=True):
    """One type, under every name that it has.

    name: in the Open Inference Protocol. kind: "bool", "uint", "int", "float" or "text". size: bytes of an element; 0:
    they differ in length. numpy: of arrays in memory. computed: numpy's type that they are computed with, compared, and
    read and written as text; another one where numpy itself has none. json: numpy's type that the JSON writer takes.
    onnx: the number in TensorProto.DataType. runtime: ONNX Runtime's name.
    """

    name: str
    kind: str
    size: int
    numpy: str
    computed: str
    json: str
    onnx: int
    runtime: str


# fmt: off
TABLE = (
    #        name      kind   size numpy  computed json  onnx  runtime
    Datatype("BOOL",   "bool",  1, "|b1", "|b1", "|b1",  9, "tensor(bool)"),
    Datatype("UINT8",  "uint",  1, "|u1", "|u1", "|u1",  2, "tensor(uint8)"),
    Datatype("UINT16", "uint",  2, "<u2", "<u2", "<u2",  4, "tensor(uint16)"),
    Datatype("UINT32", "uint",  4, "<u4", "<u4", "<u4", 12, "tensor(uint32)"),
    Datatype("UINT64", "uint",  8, "<u8", "<u8", "<u8", 13, "tensor(uint64)"),
    Datatype("INT8",   "int",   1, "|i1", "|i1", "|i1",  3, "tensor(int8)"),
    Datatype("INT16",  "int",   2, "<i2", "<i2", "<i2",  5, "tensor(int16)"),
    Datatype("INT32",  "int",   4, "<i4", "<i4", "<i4",  6, "tensor(int32)"),
    Datatype("INT64",  "int",   8, "<i8", "<i8", "<i8",  7, "tensor(int64)"),
    Datatype("FP16",   "float", 2, "<f2", "<f2", "<f4", 10, "tensor(float16)"),
    Datatype("FP32",   "float", 4, "<f4", "<f4", "<f4",  1, "tensor(float)"),
    Datatype("FP64",   "float", 8, "<f8", "<f8", "<f8", 11, "tensor(double)"),
    # numpy has no bfloat16: its two bytes as they are, of a type that is none of the others
    Datatype("BF16",   "float", 2, "|V2", "<f4", "<f4", 16, "tensor(bfloat16)"),
    Datatype("BYTES",  "text",  0, "|O",  "|O",  "|O",   8, "tensor(string)"),
)
# fmt: on
DATATYPES = {datatype.name: datatype for datatype in TABLE}
BY_ONNX_TYPE = {datatype.onnx: datatype for datatype in TABLE}
BY_RUNTIME_NAME = {datatype.runtime: datatype for datatype in TABLE}
