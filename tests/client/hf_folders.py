"""Small folders in Hugging Face's form: graphs by hand, a tokenizer of some words, settings as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.serving import packages

LABELS = {"id2label": {"0": "sports", "1": "politics"}}
SIDE = 8


def write(folder: Path, graph: bytes | None, **files: Any) -> Path:
    """files: with `__` for the dot and `___` for a slash; objects are written as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    if graph is not None:
        (folder / "model.onnx").write_bytes(graph)
    for name, content in files.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def texts(folder: Path, architecture: str, graph: bytes, **files: Any) -> Path:
    config = {"architectures": [architecture], "model_type": "bert", "max_position_embeddings": 32, **LABELS}
    usual = {"config__json": config, "tokenizer__json": packages.tokenizer().to_str()}
    return write(folder, graph, **(usual | files))


def images(folder: Path, architecture: str, settings: dict[str, Any], **files: Any) -> Path:
    config = {"architectures": [architecture], "model_type": "vit", **LABELS}
    return write(folder, picture_graph(), config__json=config, preprocessor_config__json=settings, **files)


def classifier(output: str = "logits", tokens: bool = False) -> bytes:
    """Token ids [N, T] → scores of two classes, of each text or of each of its tokens."""
    table = np.random.default_rng(3).normal(size=(len(packages.VOCABULARY), 2)).astype(np.float32)
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "T"]) for name in names]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], [output if tokens else "each"])]
    if not tokens:
        nodes.append(helper.make_node("ReduceMean", ["each"], [output], axes=[1], keepdims=0))
    shape = ["N", "T", 2] if tokens else ["N", 2]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)]
    return packages.proto(nodes, inputs, outputs, {"table": table})


def picture_graph() -> bytes:
    """Images [N, 3, H, W] → two classes by how bright they are."""
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])]
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    weights = np.array([[1.0, -1.0], [0.5, 0.2], [0.1, -2.0]], np.float32)
    return packages.proto(nodes, inputs, outputs, {"weights": weights})
