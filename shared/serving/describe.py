"""What the protocol says about the server and its models: metadata, index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.access import scopes
from shared.registry import registry
from shared.registry.manifest import Manifest
from shared.registry.state import Head, Version
from shared.storage.base import Store

RELEASE = "0.1.0"
SERVER = {"name": "amaas", "version": RELEASE, "extensions": []}
PLATFORM = "onnx_onnxruntime"


def every(store: Store, granted: Sequence[str]) -> list[Head]:
    """All models that the caller may call. The protocol has no pages here; the catalogue has."""
    heads, after = [], None
    while True:
        page, after = registry.catalogue(store, after=after, permitted=lambda m: scopes.allows(granted, "infer", m))
        heads += page
        if after is None:
            return heads


def metadata(head: Head, version: Version, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": head.model,
        "versions": [str(number) for number in sorted(head.versions)],
        "platform": PLATFORM,
        "inputs": manifest.inputs,
        "outputs": manifest.outputs,
        "parameters": {"version": str(version.version), "task": manifest.task, "digest": version.model},
    }


def index(heads: list[Head]) -> list[dict[str, str]]:
    """One row per version, as Triton's repository index has them."""
    return [
        {"name": head.model, "version": str(number), "state": "READY", "reason": ""}
        for head in heads
        for number in sorted(head.versions)
    ]
