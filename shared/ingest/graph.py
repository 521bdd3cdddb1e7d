"""Parses a model, and iterates over it: every node, every tensor, every declared type.

Only protobuf messages are read here; nothing is loaded, inferred or checked by ONNX.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from shared.ingest.verdict import Refused

MAGIC = {
    b"PK": "a zip archive, such as a PyTorch checkpoint",
    b"\x80": "a Python pickle",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file, such as a Keras model",
    b"GGUF": "a GGUF file of llama.cpp",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"Rar!": "a RAR archive",
    b"{": "a JSON document",
    b"<": "an XML or HTML document",
}
LFS = b"version https://git-lfs.github.com/spec/"
LEAVES = ("TensorProto", "SparseTensorProto", "Tensor", "SparseTensor")
SMALL = 4096  # elements: a tensor that is a shape or a count is smaller


def parse(data: bytes) -> Any:
    """The ModelProto. Raises Refused (not_onnx), which names what the bytes look like instead."""
    require_onnx(data)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, whose home differs between its implementations
        raise Refused(
            "not_onnx", f"model.onnx is not an ONNX model, or is truncated ({error}); upload it again"
        ) from None
    if not model.HasField("graph") or not model.opset_import:
        raise Refused("not_onnx", "model.onnx holds no ONNX graph; export the model to ONNX")
    return model


def require_onnx(data: bytes) -> None:
    """Raises Refused (not_onnx) where the first bytes of a file are those of something else."""
    if not data:
        raise Refused("not_onnx", "model.onnx is empty; upload it again")
    if data.startswith(LFS):
        raise Refused(
            "not_onnx",
            "model.onnx is a pointer of Git LFS, and not the file: fetch that by `git lfs pull`, and upload it again",
        )
    if data[4:8] == b"TFL3":
        raise Refused("not_onnx", "model.onnx is a TensorFlow Lite model, not an ONNX model; export the model to ONNX")
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            raise Refused("not_onnx", f"model.onnx is {kind}, not an ONNX model; export the model to ONNX")
    if data[4:8] == b"ORTM":
        raise Refused("not_onnx", "model.onnx is in ONNX Runtime's own ORT format; upload the ONNX model instead")


def normal(domain: str) -> str:
    """The domain's normal form: the standard's own has two names."""
    return "" if domain == "ai.onnx" else domain


def subgraphs(node: Any) -> list[Any]:
    """The graphs in a node's attributes: branches and bodies."""
    single = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return single + [graph for attribute in node.attribute for graph in attribute.graphs]


def bodies(model: Any) -> Iterator[Any]:
    """The graph, all functions, and every graph within them: whatever has a list of nodes."""
    for body in (model.graph, *model.functions):
        yield from nested(body)


def nested(body: Any) -> Iterator[Any]:
    """A graph or function, and every graph within it."""
    stack = [body]
    while stack:
        body = stack.pop()
        yield body
        for node in body.node:
            stack.extend(subgraphs(node))


def census(model: Any) -> tuple[dict[str, int], int]:
    """How often each operator is used, the most frequent first; and how many numbers the initializers hold."""
    operators: Counter[str] = Counter()
    parameters = 0
    for body in bodies(model):
        operators.update(node.op_type for node in body.node)
        parameters += sum(math.prod(tensor.dims) for tensor in getattr(body, "initializer", ()))
    return dict(operators.most_common()), parameters


def leaves(message: Any) -> Iterator[Any]:
    """Every tensor and tensor type, wherever the format allows one, also in fields that this code does not know."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        repeated = not hasattr(value, "ListFields")
        leaf = descriptor.message_type.name in LEAVES
        for item in value if repeated else (value,):
            if leaf:
                yield item
            else:
                yield from leaves(item)


def constants(body: Any, outer: Mapping[str, Any]) -> dict[str, Any]:
    """The small constant tensors of a graph or function by name, as arrays. outer: those of the graphs around it."""
    values = dict(outer)
    for tensor in getattr(body, "initializer", ()):
        values[tensor.name] = _small(tensor)
    for node in body.node:
        if node.op_type == "Constant" and node.output:
            values[node.output[0]] = _constant(node)
    # a large or odd constant hides one of that name outside, so it is dropped only now
    return {name: value for name, value in values.items() if value is not None}


def _constant(node: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == "value":
            return _small(attribute.t)
        if attribute.name == "value_int":
            return np.array(attribute.i)
        if attribute.name == "value_ints" and len(attribute.ints) <= SMALL:
            return np.array(attribute.ints, np.int64)
        if attribute.name == "value_float":
            return np.array(attribute.f)
        if attribute.name == "value_floats" and len(attribute.floats) <= SMALL:
            return np.array(attribute.floats)
    return None


def _small(tensor: Any) -> Any:
    """The values; None for a tensor that is large, of an unusual type, or stored in another file."""
    numeric = tensor.data_type in (TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT, TensorProto.DOUBLE)
    if not numeric or tensor.data_location == TensorProto.EXTERNAL or len(tensor.dims) > 4:
        return None
    count = 1
    for dim in tensor.dims:
        count *= dim
    if not 0 <= count <= SMALL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # malformed: weights.check refuses it, this only looks for sizes
        return None
