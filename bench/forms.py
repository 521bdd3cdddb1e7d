"""What a portable form costs on this processor: writes results/<kind>/forms.md.

    python -m bench.forms [--quick] [--write]

The same layers with 8-bit weights as they came, made unsigned, and of 7 bits; `float` is unquantised. Each form is a
stack of layers in a session that serves (one thread); forms take turns, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from bench import page
from bench.machine import RESULTS
from shared.ingest import portable
from shared.runtime import onnx
from tests.portability.corpus.graphs import FLOAT, Graph

ROUNDS, LAYERS = 60, 4
DENSE = {"MatMul 1 × 256": (1, 256), "MatMul 64 × 256": (64, 256), "MatMul 64 × 768": (64, 768)}
CONVOLUTIONS = {"Conv 32 of 28²": (32, 28), "Conv 128 of 14²": (128, 14)}
FORMS = ("float", "u8 × s8", "u8 × u8", "u8 × s8 of 7 bits", "s8 × u8, converted in each call")
Form = tuple[Any, dict[str, np.ndarray]]


def dense(rows: int, width: int, bits: int, weights_as_inputs: bool = False) -> Form:
    """Layers of DynamicQuantizeLinear → MatMulInteger → scale. bits: 0 = floats."""
    g = Graph("dense", 17)
    x = g.input(g.random.random((rows, width), np.float32))
    limit = 2 ** (bits - 1) - 1 if bits else 1
    for layer in range(LAYERS):
        weights = g.random.integers(-limit, limit + 1, (width, width)).astype(np.int8)
        if bits:
            steps, scale, zero = g.node("DynamicQuantizeLinear", [x], 3)
            weight = g.input(weights, f"w{layer}") if weights_as_inputs else g.constant(weights, "s8")
            total = g.node("Cast", [g.node("MatMulInteger", [steps, weight, zero])], to=FLOAT)
            x = g.node("Mul", [total, g.node("Mul", [scale, g.constant(1 / limit / width)])])
        else:
            x = g.node("MatMul", [x, g.constant(weights / width)])
    g.output(x, FLOAT, 2)
    return g.model(), g.feeds


def convolution(channels: int, size: int, bits: int) -> Form:
    """Layers of Conv 3 × 3 between QuantizeLinear and DequantizeLinear. bits: 0 = floats."""
    g = Graph("convolution", 17)
    x = g.input(g.random.random((1, channels, size, size), np.float32))
    limit = 2 ** (bits - 1) - 1 if bits else 1
    step = [g.constant(1 / 255), g.constant(0, "u8")]

    def quantized(name: str) -> str:
        return g.node("DequantizeLinear", [g.node("QuantizeLinear", [name, *step]), *step]) if bits else name

    x = quantized(x)
    for _ in range(LAYERS):
        weights = g.random.integers(-limit, limit + 1, (channels, channels, 3, 3))
        if bits:
            scale, zero = g.constant(np.full(channels, 1 / limit / channels)), g.constant(np.zeros(channels, int), "s8")
            kernel = g.node("DequantizeLinear", [g.constant(weights, "s8"), scale, zero], axis=0)
        else:
            kernel = g.constant(weights / channels)
        x = quantized(g.node("Conv", [x, kernel], pads=[1, 1, 1, 1]))
    g.output(x, FLOAT, 4)
    return g.model(), g.feeds


def rewritten(form: Form) -> Form:
    """As the gate makes it for processors that cut off sums of 16 bits."""
    portable.rewrite(form[0])
    return form


def measured(forms: dict[str, Form], rounds: int) -> dict[str, float]:
    """Microseconds of a call by form, the median of rounds in which every form has its turn."""
    sessions = {name: (onnx.load(model.SerializeToString()), feeds) for name, (model, feeds) in forms.items()}
    calls = {}
    for name, (session, feeds) in sessions.items():
        started = time.perf_counter()
        for _ in range(5):
            session.run(None, feeds)
        calls[name] = max(1, int(0.004 / ((time.perf_counter() - started) / 5)))
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, (session, feeds) in sessions.items():
            started = time.perf_counter()
            for _ in range(calls[name]):
                session.run(None, feeds)
            times[name].append((time.perf_counter() - started) / calls[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def rows(rounds: int) -> dict[str, dict[str, float]]:
    by_layers = {}
    for label, size in DENSE.items():
        forms = (dense(*size, 0), dense(*size, 8), rewritten(dense(*size, 8)), dense(*size, 7))
        by_layers[label] = dict(zip(FORMS, (*forms, rewritten(dense(*size, 8, True))), strict=True))
    for label, size in CONVOLUTIONS.items():
        forms = (convolution(*size, 0), convolution(*size, 8), rewritten(convolution(*size, 8)), convolution(*size, 7))
        by_layers[label] = dict(zip(FORMS, forms, strict=False))
    return {label: measured(forms, rounds) for label, forms in by_layers.items()}


def markdown(run: dict[str, Any]) -> str:
    cells = []
    for label, times in run["microseconds"].items():
        factors = {form: f"{us:,.0f} (×{us / times['u8 × s8']:.2f})" for form, us in times.items()}
        cells.append([label, *(factors.get(form, "") for form in FORMS)])
    about = page.measured(run, note=f"µs a call of {LAYERS} layers.")
    return "\n\n".join(["# What a portable form costs", about, page.table(["layers", *FORMS], cells)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    run = page.stamp(options.quick) | {"microseconds": rows(3 if options.quick else ROUNDS)}
    print(markdown(run))
    if options.write:
        page.write(RESULTS, "forms", run, markdown(run))


if __name__ == "__main__":
    main()
