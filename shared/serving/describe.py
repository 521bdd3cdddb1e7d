"""What the protocol says about the server and its models: metadata, index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.access import scopes
from shared.package.manifest import Manifest, Tensor
from shared.registry import catalog, contents
from shared.registry.catalog import Summary
from shared.registry.log import Log
from shared.registry.state import Head, Version

RELEASE = "0.2.0"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics"]
SERVER = {"name": "amaas", "version": RELEASE, "extensions": EXTENSIONS}
PLATFORM = "onnx_onnxruntime"


def list_callable(log: Log, granted: Sequence[str]) -> list[Summary]:
    """All models that the caller may call. The protocol has no pages here; the catalog has."""
    return [summary for summary in catalog.list_models(log).values() if scopes.allows(granted, "infer", summary.name)]


def metadata(head: Head, version: Version, manifest: Manifest) -> dict[str, Any]:
    optional = {"optional_inputs": manifest.optional} if manifest.optional else {}
    parameters = {"version": str(version.version), "task": manifest.task, "digest": contents.digest(version)}
    return {
        "name": head.model,
        "versions": [str(n) for n in range(head.first, head.latest + 1) if n not in head.retired],
        "platform": PLATFORM,
        "inputs": manifest.inputs,
        "outputs": manifest.outputs,
        "parameters": parameters | optional,
    }


def configuration(head: Head, version: Version, manifest: Manifest) -> dict[str, Any]:
    """The model's configuration in the form of Triton's: what its clients and tools read before they call."""
    return {
        "name": head.model,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"specific": {"versions": [version.version]}},
        "max_batch_size": 0,  # shapes are given whole, as in the metadata
        "input": [_tensor(tensor) for tensor in manifest.inputs],
        "output": [_tensor(tensor) for tensor in manifest.outputs],
        "parameters": {"task": {"string_value": manifest.task}, "digest": {"string_value": contents.digest(version)}},
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    kind = "STRING" if tensor.datatype == "BYTES" else tensor.datatype
    return {"name": tensor.name, "data_type": f"TYPE_{kind}", "dims": list(tensor.shape)}


def index(models: list[Summary]) -> list[dict[str, str]]:
    """One row per version, as Triton's repository index has them."""
    return [
        {"name": summary.name, "version": str(number), "state": "READY", "reason": ""}
        for summary in models
        for first, last in summary.ready
        for number in range(first, last + 1)
    ]
