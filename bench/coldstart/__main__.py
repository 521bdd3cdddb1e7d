"""Cold starts under Amazon's emulator, beside a handler of ten lines: writes results/<kind>/coldstart.md.

    python -m bench.coldstart [--quick] [--write]

Measured is a binary V2 request, from the start of the process to the answer: state of the alias, signature, manifest,
model, run. The floor imports numpy and ONNX Runtime, creates a session from the plain .onnx and runs it. The authorizer
is started in the same turns: the first call through the gateway waits for both.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench import page
from bench.calls import ZOO
from bench.coldstart.page import TARGETS, markdown
from bench.coldstart.ways import authorizer, ways
from bench.deployed import Bucket
from bench.machine import RESULTS
from shared.runtime import onnx
from tests import emulator, servers


def measure(models: dict[str, Path], rounds: int, home: Path, endpoint: str) -> dict[str, Any]:
    """What each way took, by model, and the authorizer.

    A turn starts each once, so that what slows the machine down meets all alike.
    """
    bucket = Bucket.create("cold", endpoint, home)
    for name, path in models.items():
        bucket.push(name, path)
    subjects = ways(models, bucket, home)
    runtime, log = emulator.runtime(home / "runtime"), home / "log.txt"
    starts: dict[str, dict[str, list[emulator.Start]]] = {n: {way: [] for way in w} for n, w in subjects.items()}
    authorize, token = authorizer(bucket, home)
    before: list[emulator.Start] = []
    for turn in range(rounds + 1):
        first = emulator.start(authorize, token, runtime, log)
        if turn:
            before.append(first)
        for name, by_way in subjects.items():
            for way, (function, event) in by_way.items():
                start = emulator.start(function, event, runtime, log)
                if turn:  # the first turn fills the page cache
                    starts[name][way].append(start)
    by_model = {
        name: {way: summary(some) | beside(some, by["floor"], before) for way, some in by.items()}
        for name, by in starts.items()
    }
    return {"authorizer": summary(before), "models": by_model}


def summary(starts: list[emulator.Start]) -> dict[str, float]:
    """Medians."""
    return {
        "wall_ms": round(statistics.median(start.wall for start in starts) * 1e3, 1),
        "cpu_ms": round(statistics.median(start.cpu for start in starts) * 1e3),
        "rss_mib": round(statistics.median(start.rss for start in starts) / 2**20),
        "second_ms": round(statistics.median(start.again for start in starts) * 1e3, 2),
    }


def beside(
    starts: list[emulator.Start], floor: list[emulator.Start], authorizer: list[emulator.Start]
) -> dict[str, float]:
    """ratio: of the starts to those of the floor in the same turns. gateway_ms: with the authorizer's before them."""
    return {
        "ratio": round(statistics.median(s.wall / f.wall for s, f in zip(starts, floor, strict=True)), 3),
        "gateway_ms": round(
            statistics.median(s.wall + a.wall for s, a in zip(starts, authorizer, strict=True)) * 1e3, 1
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two rounds, to see that it works")
    parser.add_argument("--packages", type=Path, default=ZOO, help="made by `python -m tests.zoo`")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    models = {name: options.packages / name / "model.onnx" for name in TARGETS}
    rounds = 2 if options.quick else options.rounds
    about = {"python": platform.python_version(), "onnxruntime": onnx.VERSION, "rounds": rounds}
    run = page.stamp(options.quick) | about
    with tempfile.TemporaryDirectory(prefix="amaas-cold-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "s3").mkdir()
        with servers.seaweedfs(home / "s3") as endpoint:
            servers.credentials(endpoint)
            run |= measure(models, rounds, home, endpoint)
    print(markdown(run))
    if options.write:
        page.write(RESULTS, "coldstart", run, markdown(run))


if __name__ == "__main__":
    main()
