"""all-MiniLM-L6-v2 (Apache 2.0) as ONNX: a BERT encoder of six layers, written down node by node from its weights.

Its package brings the weights alone, and a converter would need PyTorch. The nodes are those that exporters write
(separate matrix products, a decomposed GELU), so that ONNX Runtime has the same fusions to find.
Architecture: Devlin et al., BERT (2018); Wang et al., MiniLM (2020).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 9
LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12
HEAD = WIDTH // HEADS


def tensors(path: Path) -> dict[str, np.ndarray]:
    """The FP32 arrays of a safetensors file: a JSON head with offsets, then the bytes."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    arrays = {}
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        if entry.get("dtype") == "F32":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            arrays[name] = np.frombuffer(raw[start:end], np.float32).reshape(entry["shape"])
    return arrays


class Graph:
    """Nodes in order; each method adds some and returns the name of what they make."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def keep(self, name: str, array: np.ndarray) -> str:
        self.initializers[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def weight(self, name: str) -> str:
        return self.keep(name, self.weights[name])

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        return self.keep(name, np.array(value, dtype))

    def linear(self, name: str, x: str) -> str:
        kernel = self.keep(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.add("Add", self.add("MatMul", x, kernel), self.weight(f"{name}.bias"))

    def norm(self, name: str, x: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def gelu(self, x: str) -> str:
        """x / 2 * (1 + erf(x / sqrt 2))"""
        erf = self.add("Erf", self.add("Div", x, self.constant("sqrt2", math.sqrt(2))))
        inner = self.add("Mul", x, self.add("Add", erf, self.constant("one", 1.0)))
        return self.add("Mul", inner, self.constant("half", 0.5))

    def heads(self, x: str, perm: list[int]) -> str:
        split = self.add("Reshape", x, self.constant("by_head", [0, 0, HEADS, HEAD], np.int64))
        return self.add("Transpose", split, perm=perm)

    def attention(self, name: str, x: str, bias: str) -> str:
        q = self.heads(self.linear(f"{name}.self.query", x), [0, 2, 1, 3])
        k = self.heads(self.linear(f"{name}.self.key", x), [0, 2, 3, 1])
        v = self.heads(self.linear(f"{name}.self.value", x), [0, 2, 1, 3])
        scores = self.add("Div", self.add("MatMul", q, k), self.constant("scale", math.sqrt(HEAD)))
        weights = self.add("Softmax", self.add("Add", scores, bias), axis=-1)
        mixed = self.add("Transpose", self.add("MatMul", weights, v), perm=[0, 2, 1, 3])
        joined = self.add("Reshape", mixed, self.constant("together", [0, 0, WIDTH], np.int64))
        return self.norm(f"{name}.output.LayerNorm", self.add("Add", self.linear(f"{name}.output.dense", joined), x))

    def embeddings(self) -> str:
        length = self.add("Gather", self.add("Shape", "input_ids"), self.constant("1", 1, np.int64))
        ends = self.add("Unsqueeze", length, self.constant("first", [0], np.int64))
        table, start = self.weight("embeddings.position_embeddings.weight"), self.constant("0", [0], np.int64)
        places = self.add("Unsqueeze", self.add("Slice", table, start, ends, start), start)
        words = self.add("Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids")
        kinds = self.add("Gather", self.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        return self.norm("embeddings.LayerNorm", self.add("Add", self.add("Add", words, kinds), places))

    def mask(self) -> str:
        """0 where there is a token, very negative where there is padding."""
        seen = self.add("Cast", "attention_mask", to=TensorProto.FLOAT)
        absent = self.add("Sub", self.constant("one", 1.0), seen)
        return self.add(
            "Unsqueeze",
            self.add("Mul", absent, self.constant("never", float(np.finfo(np.float32).min))),
            self.constant("middle", [1, 2], np.int64),
        )


def build(folder: Path) -> bytes:
    """The model with inputs input_ids, attention_mask, token_type_ids [N, L] and output last_hidden_state [N, L, 384].

    folder: of the package's model, with model.safetensors.
    """
    graph = Graph(tensors(folder / "model.safetensors"))
    x, bias = graph.embeddings(), graph.mask()
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        x = graph.attention(f"{layer}.attention", x, bias)
        inner = graph.gelu(graph.linear(f"{layer}.intermediate.dense", x))
        x = graph.norm(f"{layer}.output.LayerNorm", graph.add("Add", graph.linear(f"{layer}.output.dense", inner), x))
    graph.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in names]
    shape = ["batch", "length", WIDTH]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)
    weights = list(graph.initializers.values())
    proto = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, [output], weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return model.SerializeToString()
