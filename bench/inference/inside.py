"""The inference function's handler, called without HTTP in a process with the environment of a deployment.

`python -m bench.inference.inside PART [NAME=FILE …] --share S` is one such process; it prints JSON for
results/<kind>/inference.md. It measures from outside: settings come by the environment, the rest are calls and memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from bench.calls import Call, bytes_of, dense, event, v2_binary, v2_calls, v2_values, values
from bench.deployed import Bucket
from bench.machine import ROOT

# the forms that are called, and how many rounds of a whole run
CASES = {"resnet18": (("binary",), 300), "tiny": (("binary", "json"), 10_000), "mobilenet": (("binary", "json"), 300)}
WARM = 20
COUNT, WIDTH = 100, 64  # of the many models
CAPACITY = 100 * 2**20  # bytes: holds about a fourth of them
Times = list[float]


def handler(bucket: Bucket, files: dict[str, Path], log: Path, share: float) -> dict[str, Any]:
    """By model: figures of the bare run, and of the handler by form. share: of the rounds of a whole run."""
    return _process("compared", bucket, log, share, [f"{name}={path}" for name, path in files.items()])


def many(bucket: Bucket, log: Path, share: float) -> dict[str, Any]:
    """A hundred models with weights of 1 to 3 MB: all loaded; aliases read anew with each call; a bounded cache."""
    models = [dense([WIDTH, int(2000 * (1 + 2 * n / (COUNT - 1))), WIDTH], seed=n) for n in range(COUNT)]
    bucket.register((_name(n), model) for n, model in enumerate(models))
    result: dict[str, Any] = {"models": COUNT, "bytes": sum(map(len, models)), "capacity": CAPACITY}
    for part, settings in {
        "loaded": {"MODEL_CACHE_BYTES": str(10**10), "ALIAS_TTL_SECONDS": "1e9"},
        "resolved": {"MODEL_CACHE_BYTES": str(10**10), "ALIAS_TTL_SECONDS": "0"},
        "bounded": {"MODEL_CACHE_BYTES": str(CAPACITY)},
    }.items():
        result[part] = _process(part, bucket, log, share, [], settings)
    return result


def _process(
    part: str, bucket: Bucket, log: Path, share: float, files: list[str], settings: dict[str, str] | None = None
) -> Any:
    command = [sys.executable, "-m", "bench.inference.inside", part, *files, "--share", str(share)]
    env = os.environ | bucket.environment() | (settings or {})
    with log.open("ab") as errors:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return json.loads(done.stdout)


# ---- in the process


def bare(path: Path, name: str) -> Callable[[], Any]:
    """ONNX Runtime alone, with one thread, on the input that the calls carry."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: values(name)}
    return lambda: session.run(None, feeds)


def handled(call: Call) -> Callable[[], Any]:
    """A call of the handler with API Gateway's event. Raises RuntimeError for an answer other than 200."""
    from functions.inference import app

    request = event(call)

    def work() -> Any:
        answer = app.handler(request, None)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"the handler answered {answer['body'][:400]}")
        return answer

    return work


def compared(share: float, files: dict[str, Path]) -> dict[str, Any]:
    """Raises RuntimeError when the handler answers other values than the bare model."""
    figures = {}
    for name, path in files.items():
        forms, rounds = CASES[name]
        work = {"bare": bare(path, name)}
        work |= {form: handled(v2_calls(name, f"/v2/models/{name}/infer")[form]) for form in forms}
        [expected] = work["bare"]()
        for form in forms:
            reply = work[form]()
            headers = {name.lower(): value for name, value in reply["headers"].items()}
            if not np.allclose(v2_values(headers, bytes_of(reply)), expected.reshape(-1), rtol=1e-4, atol=1e-5):
                raise RuntimeError(f"{name}, {form}: the handler answers other values than the model")
        figures[name] = side_by_side(work, max(20, int(rounds * share)))
    return figures


def side_by_side(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Any]:
    """Milliseconds; the cases take turns, so that drift meets all alike. added_ms, ratio: beside the bare run of the
    same turn, the median."""
    wall: dict[str, Times] = {name: [] for name in work}
    cpu = dict.fromkeys(work, 0.0)
    for turn in range(rounds + WARM):
        for name, call in work.items():
            c, w = time.process_time(), time.perf_counter()
            call()
            w, c = time.perf_counter() - w, time.process_time() - c
            if turn >= WARM:
                wall[name].append(w * 1e3)
                cpu[name] += c * 1e3
    figures = {}
    for name, times in wall.items():
        pairs = list(zip(times, wall["bare"], strict=True))
        figures[name] = summary(times) | {
            "cpu_ms": round(cpu[name] / rounds, 4),
            "added_ms": round(statistics.median(mine - other for mine, other in pairs), 4),
            "ratio": round(statistics.median(mine / other for mine, other in pairs), 4),
        }
    return figures


def summary(times: Times) -> dict[str, float]:
    ordered = sorted(times)
    places = {f"p{p}_ms": round(ordered[(len(ordered) - 1) * p // 100], 4) for p in (50, 99)}
    return {"count": len(times), **places, "max_ms": round(ordered[-1], 3)}


class Many:
    """Calls of the hundred models, by number, with their milliseconds."""

    def __init__(self) -> None:
        self.rows = [np.random.default_rng(n).standard_normal((1, WIDTH), np.float32) for n in range(COUNT)]
        self.work = []
        for number, row in enumerate(self.rows):
            body, headers = v2_binary({"x": row})
            self.work.append(handled(Call(f"/v2/models/{_name(number)}/infer", headers, body)))

    def times(self, numbers: Iterable[int], sizes: Times | None = None) -> Times:
        """sizes: gets the resident MiB after each call."""
        times = []
        for number in numbers:
            started = time.perf_counter()
            self.work[number]()
            times.append((time.perf_counter() - started) * 1e3)
            if sizes is not None:
                sizes.append(resident())
        return times


def loaded(share: float, files: dict[str, Path]) -> dict[str, Any]:
    """Calls with one model loaded, and with all of them: of that same model, and of one after the other."""
    calls, turns = Many(), max(50, int(3000 * share))
    same, around = [0] * turns, [n % COUNT for n in range(turns)]
    sizes = [resident()]
    first = calls.times([0] * WARM)[0]
    figures = {"one loaded, called again": summary(calls.times(same))}
    sizes.append(resident())
    figures["first call of the other 99: records read and verified, model downloaded, verified, opened"] = summary(
        calls.times(range(1, COUNT))
    )
    figures["100 loaded, the same model called again"] = summary(calls.times(same))
    figures["100 loaded, called one after the other"] = summary(calls.times(around))
    return {"first_ms": round(first, 2), "calls": figures, "rss_mib": [*sizes, resident()]}


def resolved(share: float, files: dict[str, Path]) -> dict[str, Any]:
    calls = Many()
    calls.times([0] * WARM)
    times = calls.times([0] * max(50, int(1000 * share)))
    return {"calls": {"one loaded, its alias read anew with each call": summary(times)}}


def bounded(share: float, files: dict[str, Path]) -> dict[str, Any]:
    """While a fourth of the models fits: one after the other, so that each is loaded; and as Zipf has them."""
    calls, random, before = Many(), np.random.default_rng(0), resident()
    weights = 1 / np.arange(1, COUNT + 1)
    popular = random.permutation(COUNT)
    drawn = popular[random.choice(COUNT, max(100, int(3000 * share)), p=weights / weights.sum())].tolist()
    around = [n % COUNT for n in range(max(COUNT, int(500 * share)))]
    calls.times(range(COUNT))
    sizes: Times = []
    figures = {"bounded, one after the other: each is loaded again": summary(calls.times(around))}
    figures["bounded, as Zipf has them"] = summary(calls.times(drawn, sizes))
    thirds = [round(float(np.mean(part)), 1) for part in np.array_split(sizes, 3)]
    return {"calls": figures, "rss_before_mib": before, "rss_most_mib": max(sizes), "rss_thirds_mib": thirds}


def resident() -> float:
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _name(number: int) -> str:
    return f"many-{number:03d}"


PARTS = {"compared": compared, "loaded": loaded, "resolved": resolved, "bounded": bounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("files", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    files = {name: Path(path) for name, _, path in (pair.partition("=") for pair in options.files)}
    # a function's log line is part of what a call costs; where it goes to is not
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        figures = PARTS[options.part](options.share, files)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
