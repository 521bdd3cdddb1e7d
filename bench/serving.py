"""What the service adds to a bare `session.run`, side by side in one run: `python -m bench.serving [--rounds N]`.

The handler is called with API Gateway's own events on the shipped in-memory store, so what is measured is our code from
event to answer: no network, no gateway. Medians of interleaved rounds; results go to bench/results/.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.inference.models import Call, event
from bench.machine import RESULTS, described, machine
from functions.inference import app
from shared.package import manifest
from shared.package.manifest import Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Act, Version
from shared.runtime import onnx
from shared.serving.models import Models
from shared.storage.memory import MemoryStore

ROOT = Path(__file__).parent.parent
MODEL = "fashion-mnist"
BARE = "bare session.run, 1 image"
PACKAGE = ROOT / "layers" / "models" / MODEL


def publish(store: MemoryStore) -> bytes:
    """Register the bundled package as it would be after ingest, and return the model."""
    model = (PACKAGE / "model.onnx").read_bytes()
    session = onnx.load(model)
    described = manifest.decode((PACKAGE / "amaas.json").read_bytes())
    inputs = [Tensor(s.name, s.datatype, s.shape) for s in session.inputs]  # type: ignore[arg-type]
    outputs = [Tensor(s.name, s.datatype, s.shape) for s in session.outputs]  # type: ignore[arg-type]
    fields = {f: getattr(described, f) for f in described.__struct_fields__} | {"inputs": inputs, "outputs": outputs}
    digest = blobs.write(store, model)
    version = Version(
        version=0,
        task=described.task,
        manifest=blobs.write(store, manifest.encode(manifest.Manifest(**fields))),
        source=digest,
        model=digest,
        size=len(model),
        upload="bench-upload",
    )
    versions.register(Log(store), MODEL, version, Act(by="bench"))
    return model


def cases(model: bytes) -> dict[str, Callable[[], Any]]:
    session = onnx.load(model)
    pixels = np.random.default_rng(0).random((1, 1, 28, 28), np.float32)
    tensor = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": pixels.reshape(-1).tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    infer = event(Call(f"/v2/models/{MODEL}/infer", {"content-type": "application/json"}, body))
    image = next((ROOT / "examples" / "images").glob("*.png")).read_bytes()
    predict = event(Call(f"/models/{MODEL}/predict", {"content-type": "image/png"}, image))
    metadata = event(Call(f"/v2/models/{MODEL}", {}, b""), "GET") | {"body": None, "isBase64Encoded": False}
    return {
        BARE: lambda: session.run(None, {"image": pixels}),
        "POST /v2/…/infer, JSON of 784 floats": lambda: app.handler(infer, None),
        "POST /models/…/predict, PNG": lambda: app.handler(predict, None),
        "GET /v2/models/…": lambda: app.handler(metadata, None),
    }


def measure(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of wall and CPU time per call; the cases take turns, so that drift meets all of them alike."""
    wall: dict[str, list[float]] = {name: [] for name in work}
    cpu: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 20):
        for name, call in work.items():
            w, c = time.perf_counter(), time.process_time()
            call()
            if turn >= 20:  # the first turns warm caches up
                wall[name].append((time.perf_counter() - w) * 1e3)
                cpu[name].append((time.process_time() - c) * 1e3)
    return {
        n: {"wall_p50_ms": _p(wall[n], 50), "wall_p99_ms": _p(wall[n], 99), "cpu_p50_ms": _p(cpu[n], 50)} for n in work
    }


def _p(values: list[float], percentile: int) -> float:
    return round(statistics.quantiles(values, n=100)[percentile - 1], 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    store = MemoryStore()
    model = publish(store)
    models = Models(Log(store), ttl=2, capacity=10**9)
    app.models = lambda: models  # type: ignore[assignment]
    result = {"machine": machine(), "versions": parts(), "rounds": rounds, "model_bytes": len(model)}
    with contextlib.redirect_stdout(open(os.devnull, "w")):  # the functions' log lines are written, but not shown
        result["cases"] = measure(cases(model), rounds)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "serving.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "serving.md").write_text(table(result))
    print(table(result))


def parts() -> str:
    return f"Python {platform.python_version()}, ONNX Runtime {onnx.VERSION}"


def table(result: dict[str, Any]) -> str:
    base = result["cases"][BARE]["wall_p50_ms"]
    rows = [
        f"| {name} | {row['wall_p50_ms']:.3f} | {row['wall_p99_ms']:.3f} | {row['cpu_p50_ms']:.3f} "
        f"| {row['wall_p50_ms'] - base:+.3f} |"
        for name, row in result["cases"].items()
    ]
    about = described(result["machine"])
    rounds = f"{result['rounds']:,} rounds, interleaved; model of {result['model_bytes']:,} bytes."
    head = f"{about}, {result['versions']}; {rounds}"
    columns = "| case | p50 ms | p99 ms | CPU p50 ms | over the bare run |\n|---|---|---|---|---|"
    return "\n".join(["# What the service adds to a bare run", "", head, "", columns, *rows, ""])


if __name__ == "__main__":
    main()
