"""The client's side of the protocol, written apart from ours, and models to talk to: y = x of every datatype."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from onnx import TensorProto

from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.runtime import onnx
from shared.runtime.arrays import BF16
from shared.serving.models import Models
from shared.storage.memory import MemoryStore
from tests.support import identity

ELEMENTS = {
    "BOOL": (TensorProto.BOOL, np.dtype(np.bool_)),
    "UINT8": (TensorProto.UINT8, np.dtype(np.uint8)),
    "UINT16": (TensorProto.UINT16, np.dtype(np.uint16)),
    "UINT32": (TensorProto.UINT32, np.dtype(np.uint32)),
    "UINT64": (TensorProto.UINT64, np.dtype(np.uint64)),
    "INT8": (TensorProto.INT8, np.dtype(np.int8)),
    "INT16": (TensorProto.INT16, np.dtype(np.int16)),
    "INT32": (TensorProto.INT32, np.dtype(np.int32)),
    "INT64": (TensorProto.INT64, np.dtype(np.int64)),
    "FP16": (TensorProto.FLOAT16, np.dtype(np.float16)),
    "BF16": (TensorProto.BFLOAT16, BF16),
    "FP32": (TensorProto.FLOAT, np.dtype(np.float32)),
    "FP64": (TensorProto.DOUBLE, np.dtype(np.float64)),
    "BYTES": (TensorProto.STRING, np.dtype(object)),
}


def raw(array: np.ndarray) -> bytes:
    """A tensor's bytes, as the protocol has them."""
    if array.dtype != object:
        return array.tobytes()
    encoded = [value.encode() for value in array.reshape(-1)]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def plain(array: np.ndarray) -> list:
    """A tensor's values, flat, as JSON has them."""
    if array.dtype == BF16:
        wide = np.zeros((array.size, 2), np.uint16)
        wide[:, 1] = np.frombuffer(array.tobytes(), np.uint16)
        return np.frombuffer(wide.tobytes(), np.float32).tolist()
    return array.reshape(-1).tolist()


def message(
    inputs: list[tuple[str, str, np.ndarray, bool]], headers: dict[str, Any] | None = None, **members: Any
) -> tuple[bytes, dict[str, str]]:
    """A request's body and headers. inputs: name, datatype, values, and whether they go in binary."""
    tensors, tail = [], b""
    for name, datatype, array, binary in inputs:
        tensor = {"name": name, "shape": list(array.shape), "datatype": datatype}
        data = raw(array) if binary else b""
        tail += data
        tensors.append(tensor | ({"parameters": {"binary_data_size": len(data)}} if binary else {"data": plain(array)}))
    document = json.dumps({"inputs": tensors, **members}).encode()
    length = {"inference-header-content-length": str(len(document))} if any(i[3] for i in inputs) else {}
    return document + tail, length | (headers or {})


def publish(log: Log, name: str, model: bytes, **described: Any) -> None:
    """A version of a model, as ingest registers it."""
    session = onnx.load(model)
    content = Manifest(
        name=name,
        inputs=[Tensor(s.name, s.datatype, s.shape) for s in session.inputs],  # type: ignore[arg-type]  # of NAMES
        outputs=[Tensor(s.name, s.datatype, s.shape) for s in session.outputs],  # type: ignore[arg-type]  # as above
        **described,
    )
    digest = blobs.write(log.store, model)
    version = Version(
        version=0,
        task="tensor",
        manifest=blobs.write(log.store, manifest.encode(content)),
        source=digest,
        model=digest,
        size=len(model),
        upload=f"upload-{name}",
    )
    versions.register(log, name, version, Change(by="test"))


def models() -> Models:
    """A server of `identity-{datatype}-{rank}` for every datatype and ranks 0 to 3."""
    log = Log(MemoryStore())
    for datatype, (element, _) in ELEMENTS.items():
        for rank in range(4):
            publish(log, f"identity-{datatype.lower()}-{rank}", identity(element, ["A", "B", "C"][:rank]))
    return Models(log, ttl=3600, capacity=10**9)
