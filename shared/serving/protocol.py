"""Open Inference Protocol V2: requests and answers with JSON tensors, to and from numpy arrays.

Every departure of a request from the model's signature is a BadInput that names the tensor. FP16 has no JSON form in
the protocol; it is taken and given as plain numbers here. NaN and infinities, which JSON lacks, are answered as null.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import orjson
from msgspec import Struct, field

from shared.errors import BadInput, NotImplemented_, Unsupported
from shared.registry.manifest import Tensor
from shared.runtime.onnx import DTYPES

MAX_RANK = 32


class InferInput(Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)


class InferOutput(Struct):
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


class InferRequest(Struct):
    inputs: list[InferInput]
    id: str | None = None
    outputs: list[InferOutput] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


def parse(body: bytes, headers: dict[str, str]) -> InferRequest:
    """The request of an infer call. Raises BadInput saying which member is wrong."""
    if "inference-header-content-length" in headers:
        raise NotImplemented_("binary tensors are not supported: send JSON tensors (binary_data=False in tritonclient)")
    if headers.get("content-encoding", "identity") != "identity":
        raise Unsupported(f"content-encoding {headers['content-encoding'][:40]!r} is not taken: send the body plain")
    try:
        return msgspec.json.decode(body, type=InferRequest)
    except msgspec.ValidationError as error:
        raise BadInput(f"the body is no inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not valid JSON: {error}") from error


def feeds(request: InferRequest, signature: list[Tensor]) -> dict[str, np.ndarray]:
    """The request's tensors by input name, checked against the model's inputs."""
    known = {tensor.name: tensor for tensor in signature}
    arrays: dict[str, np.ndarray] = {}
    for given in request.inputs:
        if given.name not in known:
            raise BadInput(f"the model has no input {given.name!r}: it has {sorted(known)}")
        if given.name in arrays:
            raise BadInput(f"input {given.name!r} is given twice")
        arrays[given.name] = _input(given, known[given.name])
    absent = [name for name in known if name not in arrays]
    if absent:
        raise BadInput(f"the request lacks the inputs {absent}")
    return arrays


def _input(given: InferInput, expected: Tensor) -> np.ndarray:
    if given.datatype != expected.datatype:
        raise BadInput(f"input {given.name!r} has datatype {given.datatype!r}, the model takes {expected.datatype}")
    check_shape(given.name, given.shape, expected.shape)
    if given.data is None:
        raise BadInput(f"input {given.name!r} has no data")
    return to_array(given.name, given.data, given.datatype, given.shape)


def check_shape(name: str, shape: list[int], expected: list[int]) -> None:
    fits = len(shape) == len(expected) and all(e in (-1, d) for d, e in zip(shape, expected, strict=True))
    if not fits or len(shape) > MAX_RANK or any(d < 0 for d in shape):
        raise BadInput(f"input {name!r} has shape {shape[:MAX_RANK]}, the model takes {expected} (-1 = any)")


def to_array(name: str, data: Any, datatype: str, shape: list[int] | None) -> np.ndarray:
    """Nested or flat JSON values as an array of a datatype; reshaped when a shape is given.

    Never converts silently: text is no number, a fraction is no integer, and a value out of range is refused.
    """
    if datatype == "BF16":
        raise BadInput(f"input {name!r} is BF16, which has no JSON form")
    array = _strings(name, data) if datatype == "BYTES" else _numbers(name, data, datatype)
    if shape is None:
        return array
    if array.size != math.prod(shape) or (array.ndim > 1 and list(array.shape) != shape):
        raise BadInput(f"input {name!r} has {array.size} values in shape {list(array.shape)}, not those of {shape}")
    return array.reshape(shape)


def _numbers(name: str, data: Any, datatype: str) -> np.ndarray:
    dtype = np.dtype(DTYPES[datatype])
    try:
        natural = np.asarray(data)
        if dtype == np.uint64 and natural.dtype.kind == "f":
            natural = _exact(data, natural)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadInput(f"input {name!r}: the data is not a regular array of {datatype} values ({error})") from error
    return natural.astype(dtype) if natural.size == 0 else _cast(name, natural, dtype, datatype)


def _exact(data: Any, natural: np.ndarray) -> np.ndarray:
    """numpy reads a mixture of small and very large integers as floats: read it again if it is integers throughout."""
    values = np.asarray(data, dtype=object)
    return values.astype(np.uint64) if all(type(value) is int for value in values.flat) else natural


def _cast(name: str, natural: np.ndarray, dtype: np.dtype, datatype: str) -> np.ndarray:
    takes = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[dtype.kind]
    if natural.dtype.kind not in takes:
        raise BadInput(f"input {name!r} holds values that are no {datatype}: {_found(natural)}")
    if dtype.kind in "iu" and not _in_range(natural, dtype):
        raise BadInput(f"input {name!r} holds values outside the range of {datatype}")
    with np.errstate(over="ignore"):
        cast = natural.astype(dtype, copy=False)
    if dtype.kind == "f" and not np.isfinite(cast).all():
        raise BadInput(f"input {name!r} holds values outside the range of {datatype}")
    return cast


def _in_range(natural: np.ndarray, dtype: np.dtype) -> bool:
    bounds = np.iinfo(dtype)
    return int(natural.min()) >= bounds.min and int(natural.max()) <= bounds.max


def _found(natural: np.ndarray) -> str:
    kinds = {"f": "fractions", "i": "integers", "u": "integers", "b": "booleans", "U": "text"}
    return f"{kinds.get(natural.dtype.kind, 'values of mixed kinds')} were found"


def _strings(name: str, data: Any) -> np.ndarray:
    array = np.asarray(data, dtype=object)
    if not all(isinstance(value, str) for value in array.flat):
        raise BadInput(f"input {name!r} is BYTES: in JSON its values are strings, in a regular array")
    return array


def wanted(request: InferRequest, signature: list[Tensor]) -> list[str]:
    """The names of the outputs to compute: those asked for, or all of them."""
    known = [tensor.name for tensor in signature]
    for output in request.outputs:
        if output.name not in known:
            raise BadInput(f"the model has no output {output.name!r}: it has {known}")
        if "classification" in output.parameters:
            raise NotImplemented_("the classification extension is not supported: ask for the output itself")
    return [output.name for output in request.outputs] or known


def answer(model: str, version: int, request_id: str | None, outputs: dict[str, np.ndarray]) -> bytes:
    """The JSON of an infer answer, with flat data in row-major order."""
    tensors = [
        {"name": name, "datatype": datatype_of(array), "shape": list(array.shape), "data": to_json(array)}
        for name, array in outputs.items()
    ]
    body: dict[str, Any] = {"model_name": model, "model_version": str(version), "outputs": tensors}
    if request_id is not None:
        body["id"] = request_id
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def to_json(array: np.ndarray) -> Any:
    """A flat array in a form that orjson writes."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind in "OSU":
        return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in flat]
    return flat.astype(np.float32) if flat.dtype == np.float16 else flat


def datatype_of(array: np.ndarray) -> str:
    """The protocol's name of an array's type."""
    if array.dtype.kind in "OSU":
        return "BYTES"
    return next(name for name, dtype in DTYPES.items() if name != "BYTES" and np.dtype(dtype) == array.dtype)


def nested(array: np.ndarray) -> Any:
    """An array as nested lists, for answers that are read by people."""
    if array.dtype.kind in "OSU":
        return np.asarray(to_json(array), dtype=object).reshape(array.shape).tolist()
    return array.tolist()
