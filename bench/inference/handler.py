"""What the handler adds to a bare `session.run`, in one process: no network, no gateway, the store in memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort

from bench.inference.models import event, register, v2_calls, values
from functions.inference import app
from shared.registry.log import Log
from shared.serving.models import Models
from shared.storage.memory import MemoryStore

# the forms that are called, and how many rounds of a whole run
CASES = {"resnet18": (("binary",), 300), "tiny": (("binary", "json"), 10_000), "mobilenet": (("binary", "json"), 300)}
WARM = 20
# what was set out to be reached: at most so many times, or ms more than, the bare run
TARGETS = [
    ("resnet18", "binary", "ratio", 1.05),
    ("tiny", "binary", "added_ms", 0.2),
    ("tiny", "json", "added_ms", 0.2),
]


def serve(files: dict[str, Path]) -> None:
    """Have the function of this process serve these models; its log lines go nowhere, but are written."""
    log = Log(MemoryStore())
    for name, path in files.items():
        register(log, name, path.read_bytes())
    models = Models(log, ttl=2, capacity=10**9)
    app.models = lambda: models  # type: ignore[assignment]


def measure(files: dict[str, Path], share: float = 1.0) -> dict[str, Any]:
    """Figures by model: of the bare run, and of the handler by form. share: of the rounds of a whole run."""
    serve(files)
    found = {}
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        for name, (forms, rounds) in CASES.items():
            calls: dict[str, Callable[[], Any]] = {"bare": bare(files[name], name)}
            for form in forms:
                calls[form] = handled(event(v2_calls(name, f"/v2/models/{name}/infer")[form]))
            found[name] = figures(*rounds_of(calls, max(20, int(rounds * share))))
    return found


def bare(path: Path, name: str) -> Callable[[], Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: values(name)}
    return lambda: session.run(None, feeds)


def handled(made: dict[str, Any]) -> Callable[[], Any]:
    status = app.handler(made, None)
    if status["statusCode"] != 200:
        raise RuntimeError(f"the handler answered {status['body'][:400]}")
    return lambda: app.handler(made, None)


def rounds_of(calls: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Milliseconds of each call, and of CPU in the mean; the cases take turns, so that drift meets all alike."""
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu = dict.fromkeys(calls, 0.0)
    for turn in range(rounds + WARM):
        for name, call in calls.items():
            c, w = time.process_time(), time.perf_counter()
            call()
            w = time.perf_counter() - w
            c = time.process_time() - c
            if turn >= WARM:
                wall[name].append(w * 1e3)
                cpu[name] += c * 1e3
    return wall, {name: total / rounds for name, total in cpu.items()}


def figures(wall: dict[str, list[float]], cpu: dict[str, float]) -> dict[str, Any]:
    """added_ms, ratio: medians of the calls beside the bare run of the same turn."""
    found = {}
    for name, times in wall.items():
        pairs = list(zip(times, wall["bare"], strict=True))
        found[name] = {
            "rounds": len(times),
            "p50_ms": round(statistics.median(times), 4),
            "p99_ms": round(statistics.quantiles(times, n=100)[98], 4),
            "cpu_ms": round(cpu[name], 4),
            "added_ms": round(statistics.median(mine - other for mine, other in pairs), 4),
            "ratio": round(statistics.median(mine / other for mine, other in pairs), 4),
        }
    return found


def verdicts(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "model": model,
            "form": form,
            "figure": figure,
            "target": target,
            "is": found[model][form][figure],
            "met": found[model][form][figure] <= target,
        }
        for model, form, figure, target in TARGETS
    ]
