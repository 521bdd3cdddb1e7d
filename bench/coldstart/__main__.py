"""Cold starts under Amazon's emulator: ours beside a ten-line handler, on the same models: `python -m bench.coldstart`.

The floor imports numpy and ONNX Runtime, creates a session from the plain .onnx and runs it: nothing is resolved,
verified or parsed. It has the same runtime layer, with bytecode. What is measured of ours is a binary V2 request,
from the start of the process to the answer: state of the alias, signature, manifest, model, run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

from bench import rie, servers
from bench.coldstart import report, world
from bench.machine import RESULTS, machine
from shared.runtime import onnx

BUCKET = "cold"


def measure(models: list[world.Model], rounds: int, home: Path, endpoint: str) -> dict[str, dict[str, Any]]:
    """What each way took, by model. A turn starts each once, so that what slows the machine down meets all alike."""
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
    builds = world.built(home / "build", models)
    key = world.publish(BUCKET, endpoint, models, home)
    env = world.DEPLOYED | {"BUCKET": BUCKET, "AWS_ENDPOINT_URL": endpoint, "PUBLIC_KEYS": key}
    subjects = {model.name: world.subjects(model, builds, env, home) for model in models}
    runtime, log = rie.runtime(home / "runtime"), home / "log.txt"
    starts = {name: {way: [] for way in ways} for name, ways in subjects.items()}
    for turn in range(rounds + 1):
        for name, ways in subjects.items():
            for way, (function, event) in ways.items():
                begun = rie.start(function, event, runtime, log)
                if turn:  # the first turn fills the page cache
                    starts[name][way].append(begun)
    return {name: {way: summary(begun, ways["floor"]) for way, begun in ways.items()} for name, ways in starts.items()}


def summary(starts: list[rie.Start], floor: list[rie.Start]) -> dict[str, float]:
    """Medians of a way's starts. ratio: that of its starts to those of the floor in the same turns."""
    return {
        "wall_ms": round(statistics.median(start.wall for start in starts) * 1e3, 1),
        "cpu_ms": round(statistics.median(start.cpu for start in starts) * 1e3),
        "rss_mib": round(statistics.median(start.rss for start in starts) / 2**20),
        "second_ms": round(statistics.median(start.again for start in starts) * 1e3, 2),
        "ratio": round(statistics.median(s.wall / f.wall for s, f in zip(starts, floor, strict=True)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--packages", type=Path, default=servers.ROOT / ".local" / "zoo", help="made by bench.zoo")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    models = [world.Model(name, options.packages / name / "model.onnx") for name in report.TARGETS]
    result = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "python": platform.python_version(),
        "onnxruntime": onnx.VERSION,
        "rounds": options.rounds,
    }
    home = Path(tempfile.mkdtemp(prefix="amaas-cold-"))
    try:
        server, endpoint = servers.seaweedfs(home / "s3")
        with server:
            servers.credentials(endpoint)
            result["models"] = measure(models, options.rounds, home, endpoint)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "coldstart.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "coldstart.svg").write_text(report.svg(result))
    (options.out / "coldstart.md").write_text(report.markdown(result))
    print(report.markdown(result))


if __name__ == "__main__":
    os.environ.setdefault("UV", str(servers.ROOT / ".local" / "uv" / "bin" / "uv"))
    main()
