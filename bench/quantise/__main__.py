"""The command: see bench.quantise."""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib.metadata
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import RESULTS
from bench.quantise import page
from bench.quantise.subjects import MADE, ROOT, Subject
from training import package
from training.compress import blocks, int8, latency, steps
from training.served import served

OURS, THEIRS = "ours", "ONNX Runtime's default"
THREADS = 1


def theirs(subject: Subject) -> dict[str, Callable[[], bytes]]:
    """Its quantisers, called with what they cannot do without."""
    from onnxruntime.quantization import quantize_dynamic, quantize_static
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    def through_files(call: Callable[[Path, Path], Any]) -> bytes:
        # they leave weights in the working folder
        with tempfile.TemporaryDirectory() as folder, steps.quiet(), contextlib.chdir(folder):
            target = Path(folder) / "made.onnx"
            call(steps.saved(subject.parent.model, folder), target)
            return target.read_bytes()

    def blockwise() -> bytes:
        with steps.quiet():
            quantizer = MatMulNBitsQuantizer(copy.deepcopy(subject.parent.model))  # it changes what it is given
            quantizer.process()
        return package.serialised(quantizer.model.model)

    def reader() -> int8.Reader:
        return int8.Reader(subject.calibration, int8.BATCH, 1)

    return {
        "quantize_dynamic": lambda: through_files(quantize_dynamic),
        "quantize_static": lambda: through_files(lambda source, target: quantize_static(source, target, reader())),
        "MatMulNBitsQuantizer": blockwise,
    }


def ours(subject: Subject) -> dict[str, Callable[[], bytes]]:
    model = subject.parent.model
    return {
        "dynamic": lambda: steps.dynamic(model)[0],
        "weight8": lambda: blocks.weight8(model)[0],
        "int8": lambda: int8.int8(model, subject.material)[0],
        "int4": lambda: blocks.int4(model)[0],
    }


def measured(subject: Subject) -> dict[str, Any]:
    """Rows of size, noise and time, the model as it is first; what could not be made is left out, and said."""
    bodies = {"as it is": package.serialised(subject.parent.model)}
    makers, missing = {"as it is": ""}, {}
    for maker, calls in ((THEIRS, theirs(subject)), (OURS, ours(subject))):
        for name, call in calls.items():
            try:
                bodies[name], makers[name] = call(), maker
            except Exception as error:  # their calls raise anything
                missing[name] = str(error).splitlines()[0][:200]
    want = subject.judge(served(bodies["as it is"], threads=THREADS))
    times = latency.timings(bodies, subject.material.golden)
    rows = []
    for name, body in bodies.items():
        got = subject.judge(served(body, threads=THREADS))
        noise = float(np.sqrt(np.mean((got - want) ** 2)) / np.sqrt(np.mean(want**2)))
        row = {
            "name": name,
            "by": makers[name],
            "bytes": len(body),
            "noise": round(noise, 4),
            "us": times.medians[name],
        }
        rows.append(row | subject.figures(want, got))
        print(subject.title, row, flush=True)
    return {"title": subject.title, "about": subject.about, "rows": rows, "missing": missing, "machine": times.machine}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.quantise", description="our quantising steps beside ONNX Runtime's")
    parser.add_argument("--zoo", type=Path, default=ROOT / ".local" / "zoo")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=MADE, help="measure this model anew, and keep what is there of the other")
    arguments = parser.parse_args()
    path = arguments.out / "quantise.json"
    found = json.loads(path.read_text())["models"] if arguments.only else {}
    for name, make in MADE.items():
        if arguments.only in (None, name):
            found[name] = measured(make(arguments.zoo))
    versions = {name: importlib.metadata.version(name) for name in ("onnxruntime", "onnx", "numpy")}
    report = {"models": found, "versions": versions}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (arguments.out / "quantise.svg").write_text(page.svg(report))
    (arguments.out / "quantise.md").write_text(page.text(report))


if __name__ == "__main__":
    main()
