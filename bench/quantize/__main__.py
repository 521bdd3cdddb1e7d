"""Our quantizing steps beside ONNX Runtime's own calls with their defaults: writes results/<kind>/quantize.md.

    python -m bench.quantize [--quick] [--only MODEL] [--write]

In the environment `training`. Needs .local/zoo/minilm, which the Makefile makes; the ResNet-18 is trained on
Fashion-MNIST where it is not there yet, which takes minutes.
"""

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

from bench import page
from bench.machine import RESULTS, ROOT
from bench.quantize.page import markdown
from bench.quantize.subjects import SUBJECTS, Subject
from training import package
from training.compress import blocks, convert, int8, latency, tooling
from training.served import served

OURS, THEIRS = "ours", "ONNX Runtime's default"
THREADS = 1


def theirs(subject: Subject) -> dict[str, Callable[[], bytes]]:
    """Its quantisers, called with what they cannot do without."""
    from onnxruntime.quantization import quantize_dynamic, quantize_static
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    def through_files(call: Callable[[Path, Path], Any]) -> bytes:
        # they leave weights in the working folder
        with tempfile.TemporaryDirectory() as folder, tooling.quiet(), contextlib.chdir(folder):
            target = Path(folder) / "quantized.onnx"
            call(tooling.saved(subject.parent.model, folder), target)
            return target.read_bytes()

    def blockwise() -> bytes:
        with tooling.quiet():
            quantizer = MatMulNBitsQuantizer(copy.deepcopy(subject.parent.model))  # it changes what it is given
            quantizer.process()
        return package.serialized(quantizer.model.model)

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
        "dynamic": lambda: convert.dynamic(model)[0],
        "weight8": lambda: blocks.weight8(model)[0],
        "int8": lambda: int8.int8(model, subject.material)[0],
        "int4": lambda: blocks.int4(model)[0],
    }


def measured(subject: Subject, quick: bool) -> dict[str, Any]:
    """Rows of size, noise and time, the model as it is first; what could not be made is left out, and said."""
    bodies = {"as it is": package.serialized(subject.parent.model)}
    makers, missing = {"as it is": ""}, {}
    for maker, calls in ((THEIRS, theirs(subject)), (OURS, ours(subject))):
        for name, call in list(calls.items())[: 1 if quick else None]:
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
        row = {"name": name, "by": makers[name], "bytes": len(body), "noise": round(noise, 4)}
        row["us"] = times.medians[name]
        rows.append(row | subject.figures(want, got))
        print(subject.title, row, flush=True)
    return {"title": subject.title, "about": subject.about, "rows": rows, "missing": missing, "machine": times.machine}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, default=ROOT / ".local" / "zoo")
    parser.add_argument("--only", choices=SUBJECTS, help="measure this model anew, and keep what is there of the other")
    parser.add_argument(
        "--quick", action="store_true", help="one model and one step of each side, to see that it works"
    )
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    arguments = parser.parse_args()
    stored = RESULTS / "quantize.json"
    models = json.loads(stored.read_text())["models"] if arguments.only and stored.is_file() else {}
    for name, make in SUBJECTS.items():
        if arguments.only in (None, name) and not (arguments.quick and models):
            models[name] = measured(make(arguments.zoo), arguments.quick)
    about = {key: value for key, value in page.stamp().items() if key in ("date", "commit")}
    versions = {name: importlib.metadata.version(name) for name in ("onnxruntime", "onnx", "numpy")}
    run = about | {"models": models, "versions": versions}
    print(markdown(run))
    if arguments.write:
        page.write(RESULTS, "quantize", run, markdown(run))


if __name__ == "__main__":
    main()
