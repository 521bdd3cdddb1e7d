"""What the wall around a model costs: writes results/<kind>/wall.md.

    python -m bench.wall [--quick] [--write]

The same model in this process and behind the wall, as the inference function has them. Blocks of calls of the two take
turns, since a function has one of the two; the medians count, and the median of the differences of blocks. Once on all
cores, once bound to a single one, as an instance of Lambda with one vCPU is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import calls, page
from bench.machine import RESULTS
from shared.runtime import confined, onnx, zygotes
from shared.runtime.signature import Session

MEMORY = 1 << 30
INPUTS = {"tiny": (1, 4), "mobilenet": (1, 3, 224, 224), "resnet18": (1, 3, 224, 224)}
BLOCK, SETTLING = 20, 3  # calls
PAGE = os.sysconf("SC_PAGE_SIZE")


def measure(paths: dict[str, Path], seconds: float) -> dict[str, Any]:
    started = time.perf_counter()
    zygotes.zygote()
    load(paths["tiny"]).close()
    first = time.perf_counter() - started
    return {
        "first_ms": first * 1e3,
        "zygote": memory(zygotes.zygote().pid),
        "models": {name: model(paths[name], shape, seconds) for name, shape in INPUTS.items()},
        "one core": one_core(lambda: {name: pairs(paths[name], INPUTS[name], seconds) for name in INPUTS}),
    }


def load(path: Path) -> confined.Confined:
    return confined.load(str(path), threads=1, mapped=True, memory=MEMORY, filtered=True)


def one_core(work: Callable[[], Any]) -> Any:
    """With all processes on one core: runners are forked from a zygote that is bound, too."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    os.sched_setaffinity(zygotes.zygote().pid, {min(cores)})
    try:
        return work()
    finally:
        os.sched_setaffinity(0, cores)
        os.sched_setaffinity(zygotes.zygote().pid, cores)


def model(path: Path, shape: tuple[int, ...], seconds: float) -> dict[str, Any]:
    loads = {"direct": lambda: onnx.load(str(path)), "wall": lambda: load(path)}
    times: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(9):
        for name, load_one in loads.items():
            started = time.perf_counter()
            load_one()
            times[name].append((time.perf_counter() - started) * 1e3)
    session = load(path)
    session.run(None, feeds(session, shape))
    return pairs(path, shape, seconds) | {
        "load_ms": {name: statistics.median(some) for name, some in times.items()},
        "memory": memory(session.pid),
    }


def pairs(path: Path, shape: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Microseconds of a call, by kind of session; extra: the median of the differences of blocks."""
    sessions: dict[str, Session] = {"direct": onnx.load(str(path)), "wall": load(path)}
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    extra: list[float] = []
    tensors = feeds(sessions["direct"], shape)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        blocks = {name: block(session, tensors) for name, session in sessions.items()}
        for name, some in blocks.items():
            taken[name] += some
        extra.append(statistics.median(blocks["wall"]) - statistics.median(blocks["direct"]))
    medians = {name: statistics.median(some) for name, some in taken.items()}
    return medians | {"extra": statistics.median(extra), "calls": len(taken["wall"])}


def block(session: Session, tensors: dict[str, np.ndarray]) -> list[float]:
    """Microseconds of calls one after the other, without the first ones, which find the other session's caches."""
    times = []
    for number in range(SETTLING + BLOCK):
        started = time.perf_counter()
        session.run(None, tensors)
        if number >= SETTLING:
            times.append((time.perf_counter() - started) * 1e6)
    return times


def feeds(session: Session, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {session.inputs[0].name: np.random.default_rng(0).random(shape, np.float32)}


def memory(pid: int | None) -> dict[str, float]:
    """MiB of a process: private is what ending it gives back."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"private": sizes["Private_Clean"] + sizes["Private_Dirty"], "resident": sizes["Rss"]}


def markdown(run: dict[str, Any]) -> str:
    rows = []
    for name, one in run["models"].items():
        single = run["one core"][name]
        rows.append(
            [
                name,
                *(f"{one[kind]:,.0f}" for kind in ("direct", "wall", "extra")),
                f"{one['extra'] / one['direct']:.1%}",
                *(f"{single[kind]:,.0f}" for kind in ("direct", "extra")),
                *(f"{one['load_ms'][kind]:.1f}" for kind in ("direct", "wall")),
                f"{one['memory']['private']:.0f}",
            ]
        )
    columns = ["model", "direct µs", "wall µs", "more µs", "of the call", "one core: direct µs", "more µs"]
    columns += ["load, direct ms", "load, wall ms", "private MiB"]
    zygote = run["zygote"]
    note = (
        f"The zygote and a first model: {run['first_ms']:.0f} ms, during which the function waits for the store. The "
        f"zygote has {zygote['private']:.0f} MiB of its own, which runners share until they write to it."
    )
    about = page.measured(run, {"ONNX Runtime": onnx.VERSION})
    return "\n\n".join(["# What the wall costs", about, page.table(columns, rows), note]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a second, to see that it works")
    parser.add_argument("--packages", type=Path, default=calls.ZOO, help="made by `python -m tests.zoo`")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    run = page.stamp(options.quick)
    with tempfile.TemporaryDirectory(prefix="amaas-wall-") as folder:
        run |= measure(calls.files(Path(folder), options.packages), 0.5 if options.quick else 15.0)
    print(markdown(run))
    if options.write:
        page.write(RESULTS, "wall", run, markdown(run))


if __name__ == "__main__":
    main()
