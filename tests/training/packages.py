"""Packages for the steps after training, and what they say and answer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training import package
from training.compress import __main__ as command
from training.served import served


def compress(step: str, source: Path, out: Path, *more: str) -> int:
    return command.main([step, str(source), "--out", str(out), *more])


def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "amaas.json").read_text())


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()


def answers(folder: Path, inputs: np.ndarray, level: str = "all") -> np.ndarray:
    running = served(package.serialized(package.read(folder).model), optimize=level)
    return running.run(None, {running.inputs[0].name: inputs})[0]


def matmul(folder: Path, *, constant: bool = True, external: bool = False) -> Path:
    """A package without labels or data set: x [N, 64] times weights, or plus one where nothing is to be quantized."""
    random = np.random.default_rng(2)
    folder.mkdir(parents=True)
    weights = numpy_helper.from_array(random.normal(size=(64, 64)).astype(np.float32), "w")
    one = numpy_helper.from_array(np.ones((1, 64), np.int64), "one")
    kind = TensorProto.FLOAT if constant else TensorProto.INT64
    puts = [helper.make_tensor_value_info(name, kind, ["N", 64]) for name in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"]) if constant else helper.make_node("Add", ["x", "one"], ["y"])
    graph = helper.make_graph([node], "g", puts[:1], puts[1:], [weights if constant else one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, folder / "model.onnx", save_as_external_data=external, location="w.data", size_threshold=0)
    x = random.normal(size=(8, 64)) if constant else np.arange(8 * 64).reshape(8, 64)
    x = x.astype(np.float32 if constant else np.int64)
    np.savez(folder / "golden.npz", **{"input.x": x, "output.y": answers(folder, x)})
    (folder / "amaas.json").write_text(json.dumps({"name": "plain", "task": "tensor", "metrics": {"test_mse": 0.1}}))
    return folder


def table(folder: Path) -> Path:
    """Words that are looked up, normalized, and multiplied; and a score of the rows with each other, with a mask."""
    random = np.random.default_rng(3)
    folder.mkdir()
    weights = {"words": (200, 64), "w": (64, 64), "scale": (64,), "bias": (64,)}
    tensors = [numpy_helper.from_array(random.normal(size=size).astype(np.float32), n) for n, size in weights.items()]
    tensors.append(numpy_helper.from_array(np.float32(np.finfo(np.float32).min), "never"))
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["looked"]),
        helper.make_node("LayerNormalization", ["looked", "scale", "bias"], ["even"]),
        helper.make_node("MatMul", ["even", "w"], ["keys"]),
        helper.make_node("Transpose", ["keys"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["even", "turned"], ["scores"]),
        helper.make_node("Mul", ["mask", "never"], ["hidden"]),
        helper.make_node("Add", ["scores", "hidden"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"]),
        helper.make_node("MatMul", ["shares", "keys"], ["y"]),
    ]
    puts = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 5]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["N", 5, 5]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5, 64]),
    ]
    graph = helper.make_graph(nodes, "g", puts[:2], puts[2:], tensors)
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx"
    )
    ids = random.integers(0, 200, (64, 5))
    mask = np.broadcast_to(np.arange(5) > 3, (64, 5, 5)).astype(np.float32)
    np.savez(folder / "golden.npz", **{"input.ids": ids, "input.mask": mask})
    return folder
