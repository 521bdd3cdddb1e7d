"""Small models that the inference function really serves."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from shared.package import manifest
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.runtime import onnx
from tests.registry.conftest import ANN, a_version
from tests.serving import packages
from tests.support import linear, tiny_classifier

# four by four pixels
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAHElEQVR42mNkEBAQYHQQEBBgcRAQEGA8ICAgAAAQRAIIemiTNgAAAABJRU5ErkJggg=="
)
LABELS = ["[bold]cat\x1b[31m", "dog"]


def served(log: Log) -> None:
    """digits, of images with two LABELS; sum, y = x @ [[1], [10]]."""
    image = {"name": "image", "datatype": "FP32", "shape": [-1, 1, 4, 4]}
    _register(
        log, "digits", tiny_classifier(2), task="image-classification", labels=LABELS, card="# Card\n\nA *fine* model.",
        preprocess={"mode": "L", "size": [4, 4]}, inputs=[image],
        outputs=[{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}],
    )  # fmt: skip
    pair = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}
    _register(log, "sum", linear([[1.0], [10.0]]), inputs=[pair], outputs=[pair | {"name": "y", "shape": [-1, 1]}])


def ranking(log: Log) -> None:
    """pairs, which scores pairs of texts; topics, which chooses between any labels."""
    signature = _signature(packages.overlap([-1.0, 1.0]))
    files = {"tokenizer.json": packages.tokenizer().to_str().encode()}
    for name, described in (
        ("pairs", {"task": "text-classification"}),
        ("topics", {"task": "zero-shot-classification", "postprocess": {"entailment": 1}}),
    ):
        plan = {"preprocess": {"tokenizer": "tokenizer.json"}} | described | signature
        _register(log, name, packages.overlap([-1.0, 1.0]), files, **plan)


def everyday(log: Log) -> None:
    """rows, value = 2 a + 10 b, where an absent a is 100; words, an embedding of texts; two, of tensors x and z."""
    described: dict[str, Any] = {
        "task": "tabular",
        "preprocess": {"columns": [{"name": "a", "missing": 100.0}, {"name": "b"}]},
    }
    _register(log, "rows", linear([[2.0], [10.0]]), **described, **_signature(linear([[2.0], [10.0]])))
    model = packages.lookup(4)
    files = {"tokenizer.json": packages.tokenizer().to_str().encode()}
    words: dict[str, Any] = {"task": "embedding", "preprocess": {"tokenizer": "tokenizer.json"}}
    _register(log, "words", model, files, **words, **_signature(model))
    pair = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}
    both = [pair, pair | {"name": "z"}]
    _register(log, "two", linear([[1.0], [10.0]]), inputs=both, outputs=[pair | {"name": "y", "shape": [-1, 1]}])


def _signature(model: bytes) -> dict[str, Any]:
    session = onnx.load(model)
    return {
        side: [{"name": spec.name, "datatype": spec.datatype, "shape": spec.shape} for spec in specs]
        for side, specs in (("inputs", session.inputs), ("outputs", session.outputs))
    }


def _register(log: Log, name: str, model: bytes, files: dict[str, bytes] | None = None, **described: Any) -> None:
    body = manifest.encode(manifest.decode(msgspec.json.encode({"name": name} | described)))
    stored: dict[str, Any] = {
        "manifest": blobs.write(log.store, body),
        "model": blobs.write(log.store, model),
        "size": len(model),
    }
    stored["files"] = {file: blobs.write(log.store, content) for file, content in (files or {}).items()}
    version = a_version(f"upload-{name}", described.get("task", "tensor"))
    versions.register(log, name, msgspec.structs.replace(version, **stored), ANN)
