"""The binary form of tensors in the Open Inference Protocol. Needs NumPy, which the rest of the client does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from amaas.errors import AmaasError

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray]

Json = dict[str, Any]
LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"FP32": "<f4", "FP16": "<f2", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "|i1",
             "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "|u1", "BOOL": "|b1"}  # fmt: skip


def numpy() -> ModuleType:
    """NumPy itself, imported where it is used: everything else does without. Raises AmaasError."""
    try:
        import numpy
    except ImportError as error:
        raise AmaasError(f"binary tensors need NumPy ({error}): pip install './client[tensors]'") from error
    return numpy


def encode(inputs: Arrays, outputs: Sequence[str] = ()) -> tuple[bytes, int]:
    """The body of a request, and how many of its bytes are JSON. outputs: the names to ask for; by default, all."""
    names = {dtype: name for name, dtype in DATATYPES.items()}
    tensors, buffers = [], []
    for name, values in inputs.items():
        dtype = values.dtype.newbyteorder("<").str
        if dtype not in names:
            raise AmaasError(
                f"the input {name!r} has type {values.dtype}, which has no binary form: use {', '.join(DATATYPES)}"
            )
        buffers.append(values.astype(dtype, copy=False).tobytes())
        size = {"binary_data_size": len(buffers[-1])}
        tensors.append({"name": name, "datatype": names[dtype], "shape": list(values.shape), "parameters": size})
    document: Json = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    if outputs:
        document["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    header = json.dumps(document).encode()
    return b"".join([header, *buffers]), len(header)


def decode(body: bytes, length: str | None) -> Arrays:
    """The outputs in a response's body. length: the header with the number of bytes that are JSON; None if all are."""
    np = numpy()
    end = len(body) if length is None else int(length)
    arrays: Arrays = {}
    for tensor in json.loads(body[:end])["outputs"]:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if tensor["datatype"] not in DATATYPES:
            raise AmaasError(
                f"the output {tensor['name']!r} has datatype {tensor['datatype']}, which has no binary form here: "
                "use Client.infer, with JSON tensors"
            )
        dtype = np.dtype(DATATYPES[tensor["datatype"]])
        if size is None:
            values = np.asarray(tensor["data"], dtype)
        else:
            values = np.frombuffer(body, dtype, size // dtype.itemsize, end)
            end += size
        arrays[tensor["name"]] = values.reshape(tensor["shape"])
    return arrays
