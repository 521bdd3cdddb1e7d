"""Open Inference Protocol calls with binary tensors: numbers travel as they lie in memory, not as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from amaas.api import transport
from amaas.errors import AmaasError

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray]

Json = dict[str, Any]
LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"FP32": "<f4", "FP16": "<f2", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "|i1",
             "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "|u1", "BOOL": "|b1"}  # fmt: skip


class Tensors:
    """The part of the client that is about tensors. Needs NumPy, which `amaas` itself does not."""

    _http: httpx.Client
    _call: Callable[..., Json]

    def infer_binary(
        self, model: str, inputs: Arrays, version: int | str | None = None, *, outputs: Sequence[str] = ()
    ) -> Arrays:
        """The outputs of a model by name; all of them, or those that are named. inputs: arrays by name.

        One call: 6 MB of inputs at most on AWS. Raises ApiError; AmaasError for a type that has no binary form here.
        """
        body, length = written(inputs, outputs)
        headers = {
            LENGTH: str(length),
            "Content-Type": "application/octet-stream",
            "Accept": "application/octet-stream",
        }
        path = f"/v2/models/{quote(model, safe='')}"
        path += "" if version is None else f"/versions/{quote(str(version), safe='')}"
        answer = transport.request(
            self._http, "POST", f"{path}/infer", repeat=True, whole=True, content=body, headers=headers
        )
        return read(answer.content, answer.headers.get(LENGTH))

    def statistics(self, model: str, version: int | str) -> Json:
        """What the process that answers has counted of a version's calls, as Triton's statistics extension has it."""
        path = f"/v2/models/{quote(model, safe='')}/versions/{quote(str(version), safe='')}/stats"
        return dict(self._call("GET", path)["model_stats"][0])


def written(inputs: Arrays, outputs: Sequence[str] = ()) -> tuple[bytes, int]:
    """The body of a call, and how many bytes of it are JSON."""
    kinds = {kind: name for name, kind in DATATYPES.items()}
    tensors, buffers = [], []
    for name, values in inputs.items():
        kind = values.dtype.newbyteorder("<").str
        if kind not in kinds:
            raise AmaasError(
                f"the input {name!r} is of {values.dtype}, which has no binary form: use {', '.join(DATATYPES)}"
            )
        buffers.append(values.astype(kind, copy=False).tobytes())
        size = {"binary_data_size": len(buffers[-1])}
        tensors.append({"name": name, "datatype": kinds[kind], "shape": list(values.shape), "parameters": size})
    document: Json = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    if outputs:
        document["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head = json.dumps(document).encode()
    return b"".join([head, *buffers]), len(head)


def numpy() -> ModuleType:
    """NumPy itself, imported where it is used: everything else does without. Raises AmaasError."""
    try:
        import numpy
    except ImportError as error:
        raise AmaasError(f"binary tensors need NumPy ({error}): pip install './client[tensors]'") from error
    return numpy


def read(body: bytes, length: str | None) -> Arrays:
    """The outputs in an answer's body; length: the header that says how much of it is JSON, None when all is."""
    np = numpy()
    end = len(body) if length is None else int(length)
    found: Arrays = {}
    for tensor in json.loads(body[:end])["outputs"]:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if tensor["datatype"] not in DATATYPES:
            raise AmaasError(f"the output {tensor['name']!r} is {tensor['datatype']}, which is not read in binary form")
        kind = np.dtype(DATATYPES[tensor["datatype"]])
        if size is None:
            values = np.asarray(tensor["data"], kind)
        else:
            values = np.frombuffer(body, kind, size // kind.itemsize, end)
            end += size
        found[tensor["name"]] = values.reshape(tensor["shape"])
    return found
