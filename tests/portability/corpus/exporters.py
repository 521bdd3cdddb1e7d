"""What ONNX Runtime's quantisers write, and Optimum with them: real output for small float models."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from tests.portability.corpus.graphs import FLOAT, MICROSOFT, Case, Graph, weights

# Of several layers: a tie that falls the other way in one may move many values of the next by a small part of a step.
ROUNDED = 2e-3
DYNAMIC = 2e-3  # the scale of an activation follows the largest value of the call


def convolutional(name: str) -> Graph:
    g = Graph(name, 17)
    x = g.input(g.random.uniform(2.0, 3.0, (4, 8, 10, 10)).astype(np.float32))
    for count, size in ((16, 8), (32, 16)):
        w = g.constant(weights(g.random, count, size, 3, 3) * 1e-3)
        x = g.node("Relu", [g.node("Conv", [x, w, g.constant(g.random.normal(0, 0.1, count))], pads=[1, 1, 1, 1])])
        x = g.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])])
    w = g.constant(weights(g.random, 32, 10).T * 1e-3)
    g.output(g.node("Gemm", [x, w, g.constant(g.random.normal(0, 0.1, 10))], transB=1), FLOAT, 2)
    return g


def linear(name: str) -> Graph:
    g = Graph(name, 17)
    x = g.input(g.random.uniform(2.0, 3.0, (4, 64)).astype(np.float32))
    for inner, outer in ((64, 32), (32, 16)):
        x = g.node("MatMul", [x, g.constant(weights(g.random, inner, outer) * 1e-3)])
        x = g.node("Relu", [g.node("Add", [x, g.constant(g.random.normal(0, 0.1, outer))])])
    g.output(x, FLOAT, 2)
    return g


def recurrent(name: str) -> Graph:
    g = Graph(name, 17)
    x = g.input(g.random.uniform(0.5, 1.0, (5, 3, 32)).astype(np.float32))
    w, r = (g.constant(weights(g.random, width, 64).T[None] * 8e-4) for width in (32, 16))
    g.output(g.node("LSTM", [x, w, r, g.constant(np.zeros((1, 128)))], hidden_size=16), FLOAT, 4)
    return g


def attentive(name: str) -> Graph:
    """The fused form that ONNX Runtime's transformer tools make before they quantize."""
    g = Graph(name, 17)
    x = g.input(g.random.uniform(1.0, 2.0, (2, 6, 32)).astype(np.float32))
    w = g.constant(weights(g.random, 32, 96) * 5e-4)
    bias = g.constant(g.random.normal(0, 0.1, 96))
    g.output(g.node("Attention", [x, w, bias], domain=MICROSOFT, num_heads=4), FLOAT, 3)
    return g


class Reader:
    """Calibration: the feeds themselves, once."""

    def __init__(self, feeds: dict[str, np.ndarray]) -> None:
        self.rest = iter([feeds])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


def written(call: Callable[[ModelProto, str], Any], model: ModelProto) -> bytes:
    """Quantisers write to a file."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # they advise at length
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "quantized.onnx"
            call(model, str(target))
            return target.read_bytes()
    finally:
        root.setLevel(level)


def static(make: Callable[[str], Graph], kinds: tuple[str, str], style: str, per_channel: bool) -> Case:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    granularity = "per channel" if per_channel else "per tensor"
    g = make(f"quantize_static {make.__name__} {style} {kinds[0]}×{kinds[1]} {granularity}")
    activation, weight = ({"u8": QuantType.QUInt8, "s8": QuantType.QInt8}[kind] for kind in kinds)

    def call(model: ModelProto, target: str) -> None:
        quantize_static(
            model, target, Reader(g.feeds), quant_format=getattr(QuantFormat, style), per_channel=per_channel,
            activation_type=activation, weight_type=weight, calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip

    return Case(g.name, written(call, g.model()), g.feeds, noise=ROUNDED)


def dynamic(make: Callable[[str], Graph], weight: str, per_channel: bool) -> Case:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    granularity = "per channel" if per_channel else "per tensor"
    g = make(f"quantize_dynamic {make.__name__} {weight} {granularity}")

    def call(model: ModelProto, target: str) -> None:
        kind = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}[weight]
        quantize_dynamic(model, target, per_channel=per_channel, weight_type=kind)

    return Case(g.name, written(call, g.model()), g.feeds, noise=DYNAMIC)


def cases() -> Iterator[Case]:
    pairs = (("u8", "s8"), ("s8", "s8"), ("u8", "u8"))
    for make, style, kinds in product((convolutional, linear), ("QDQ", "QOperator"), pairs):
        yield static(make, kinds, style, per_channel=kinds[1] == "s8")
    yield static(convolutional, ("u8", "s8"), "QDQ", per_channel=False)
    yield static(convolutional, ("u8", "s8"), "QOperator", per_channel=False)
    for make, weight, per_channel in product((linear, recurrent), ("s8", "u8"), (False, True)):
        yield dynamic(make, weight, per_channel)
    yield from (dynamic(attentive, weight, False) for weight in ("s8", "u8"))
    yield dynamic(convolutional, "u8", False)  # its signed weights have no kernel in ONNX Runtime
