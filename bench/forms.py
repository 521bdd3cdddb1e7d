"""What a portable form costs: the same layer with 8-bit weights as they came, made unsigned, and of 7 bits.

    python -m bench.forms [--write]

Each form is a stack of layers in a session that serves (one thread); forms take turns, and the median of the rounds
counts. `float` is the same stack unquantised.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from bench.machine import RESULTS, described, machine
from shared.ingest import portable
from shared.runtime import onnx

ROUNDS, LAYERS = 60, 4
SIZES = {"MatMul 1 × 256": (1, 256), "MatMul 64 × 256": (64, 256), "MatMul 64 × 768": (64, 768)}
CHANNELS = {"Conv 32 of 28²": (32, 28), "Conv 128 of 14²": (128, 14)}
FORMS = ("float", "u8 × s8", "u8 × u8", "u8 × s8 of 7 bits", "s8 × u8, converted in each call")


def dense(rows: int, width: int, bits: int, *, given: bool = False) -> tuple[Any, dict[str, np.ndarray]]:
    """Layers of DynamicQuantizeLinear → MatMulInteger → scale. bits: 0 = floats. given: the weights are inputs."""
    random = np.random.default_rng(0)
    nodes, constants, feeds, name = [], [], {"x": random.random((rows, width), np.float32)}, "x"
    for layer in range(LAYERS):
        limit = 2 ** (bits - 1) - 1 if bits else 1
        weights = random.integers(-limit, limit + 1, (width, width)).astype(np.int8)
        if not bits:
            nodes.append(helper.make_node("MatMul", [name, f"w{layer}"], [f"y{layer}"]))
            constants.append(numpy_helper.from_array(weights.astype(np.float32) / width, f"w{layer}"))
        else:
            q, s, z, i, f = (f"{part}{layer}" for part in "qszif")
            nodes += [
                helper.make_node("DynamicQuantizeLinear", [name], [q, s, z]),
                helper.make_node("MatMulInteger", [q, f"w{layer}", z], [i]),
                helper.make_node("Cast", [i], [f], to=TensorProto.FLOAT),
                helper.make_node("Mul", [s, f"ws{layer}"], [f"ss{layer}"]),
                helper.make_node("Mul", [f, f"ss{layer}"], [f"y{layer}"]),
            ]
            constants.append(numpy_helper.from_array(np.float32(1 / limit / width), f"ws{layer}"))
            if given:
                feeds[f"w{layer}"] = weights
            else:
                constants.append(numpy_helper.from_array(weights, f"w{layer}"))
        name = f"y{layer}"
    return built(nodes, feeds, name, constants), feeds


def convolution(channels: int, size: int, bits: int) -> tuple[Any, dict[str, np.ndarray]]:
    """Layers of Conv 3 × 3 between QuantizeLinear and DequantizeLinear. bits: 0 = floats."""
    random = np.random.default_rng(0)
    feeds = {"x": random.random((1, channels, size, size), np.float32)}
    nodes, constants, name = [], [], "x"
    if bits:
        constants += [numpy_helper.from_array(np.float32(1 / 255), "s"), numpy_helper.from_array(np.uint8(0), "z")]
        name = quantised(nodes, name, "x")
    for layer in range(LAYERS):
        limit = 2 ** (bits - 1) - 1 if bits else 1
        weights = random.integers(-limit, limit + 1, (channels, channels, 3, 3)).astype(np.int8)
        step = np.full(channels, 1 / limit / channels, np.float32)
        kernel = f"w{layer}"
        if bits:
            constants += [numpy_helper.from_array(weights, kernel), numpy_helper.from_array(step, f"ws{layer}")]
            zeros = numpy_helper.from_array(np.zeros(channels, np.int8), f"wz{layer}")
            constants.append(zeros)
            nodes.append(
                helper.make_node("DequantizeLinear", [kernel, f"ws{layer}", f"wz{layer}"], [f"k{layer}"], axis=0)
            )
            kernel = f"k{layer}"
        else:
            constants.append(numpy_helper.from_array(weights.astype(np.float32) / channels, kernel))
        nodes.append(helper.make_node("Conv", [name, kernel], [f"c{layer}"], pads=[1, 1, 1, 1]))
        name = quantised(nodes, f"c{layer}", str(layer)) if bits else f"c{layer}"
    return built(nodes, feeds, name, constants), feeds


def quantised(nodes: list[Any], name: str, suffix: str) -> str:
    nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"q{suffix}"]))
    nodes.append(helper.make_node("DequantizeLinear", [f"q{suffix}", "s", "z"], [f"d{suffix}"]))
    return f"d{suffix}"


def built(nodes: list[Any], feeds: dict[str, np.ndarray], output: str, constants: list[Any]) -> Any:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def rewritten(model: Any) -> Any:
    portable.rewrite(model)
    return model


def measured(forms: dict[str, tuple[Any, dict[str, np.ndarray]]]) -> dict[str, float]:
    """Microseconds of a call by form, the median of rounds in which every form has its turn."""
    sessions = {name: (onnx.load(model.SerializeToString()), feeds) for name, (model, feeds) in forms.items()}
    calls = {}
    for name, (session, feeds) in sessions.items():
        started = time.perf_counter()
        for _ in range(5):
            session.run(None, feeds)
        calls[name] = max(1, int(0.004 / ((time.perf_counter() - started) / 5)))
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, (session, feeds) in sessions.items():
            started = time.perf_counter()
            for _ in range(calls[name]):
                session.run(None, feeds)
            times[name].append((time.perf_counter() - started) / calls[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def rows() -> dict[str, dict[str, float]]:
    table = {}
    for label, size in SIZES.items():
        given, feeds = dense(*size, 8, given=True)
        forms = (
            dense(*size, 0), dense(*size, 8), (rewritten(dense(*size, 8)[0]), dense(*size, 8)[1]), dense(*size, 7),
            (rewritten(given), feeds),
        )  # fmt: skip
        table[label] = measured(dict(zip(FORMS, forms, strict=True)))
    for label, size in CHANNELS.items():
        model, feeds = convolution(*size, 8)
        forms = (convolution(*size, 0), convolution(*size, 8), (rewritten(model), feeds), convolution(*size, 7))
        table[label] = measured(dict(zip(FORMS, forms, strict=False)))
    return table


def page(table: dict[str, dict[str, float]]) -> str:
    lines = [
        "# What a portable form costs", "", f"{described(machine())}. µs a call of {LAYERS} layers.", "",
        "| layers | " + " | ".join(FORMS) + " |", "|---" * (len(FORMS) + 1) + "|",
    ]  # fmt: skip
    for label, times in table.items():
        cells = [
            f"{times[form]:,.0f} (×{times[form] / times['u8 × s8']:.2f})" if form in times else "" for form in FORMS
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.forms", description="what a portable form costs on this processor")
    parser.add_argument("--write", action="store_true", help="keep the figures of this kind of processor")
    arguments = parser.parse_args()
    table = rows()
    print(page(table))
    if arguments.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "forms.md").write_text(page(table))
        (RESULTS / "forms.json").write_text(json.dumps({"machine": machine(), "microseconds": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
