"""A hundred models in one function: what a call costs whose model is there, and one whose model must be loaded.

`python -m bench.inference.many loaded|bounded --share S` is one process of it, on the bucket that the environment
names, read as the function reads it; it prints JSON. `measure` makes the models and runs both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.inference.models import Call, dense, event, register, v2_binary
from bench.servers import ROOT
from shared.registry.log import Log
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store

COUNT = 100
WIDTH = 64
CAPACITY = 100 * 2**20  # bytes: holds about a fourth of the models
PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = {
    "hit": "the model is loaded",
    "hit, alias read anew": "the model is loaded, its alias was resolved longer ago than its time to live (2 s)",
    "loaded again": "the model was evicted: downloaded, verified and opened anew",
    "first call": "nothing is known of the model: its records are read and their signatures checked, too",
}
MIB = 2**20


def make(store: S3Store, key: LocalKey) -> int:
    """Register the models, weights of 1 to 3 MB each; their bytes in all."""
    log = Log(store, signer=key, trusted=(key.public,))
    total = 0
    for number in range(COUNT):
        hidden = int(2_000 * (1 + 2 * number / (COUNT - 1)))  # 512 bytes each
        model = dense([WIDTH, hidden, WIDTH], seed=number)
        register(log, _name(number), model)
        total += len(model)
    return total


def _name(number: int) -> str:
    return f"many-{number:03d}"


def measure(environment: dict[str, str], log: Path, share: float) -> dict[str, Any]:
    """Both processes, one after the other. environment: of a function on the models' bucket."""
    found: dict[str, Any] = {"models": COUNT, "capacity_mib": CAPACITY / MIB}
    for scenario in ("loaded", "bounded"):
        command = [sys.executable, "-m", "bench.inference.many", scenario, "--share", str(share)]
        with log.open("ab") as errors:
            env = os.environ | environment
            done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
        found[scenario] = json.loads(done.stdout)
    return found


class Function:
    """The inference function of this process, and what its calls were: see KINDS."""

    def __init__(self, capacity: int) -> None:
        from functions.inference import app
        from shared.entry.wiring import reading
        from shared.serving.models import Models

        self.models = Models(reading(), ttl=2, capacity=capacity)
        app.models = lambda: self.models  # type: ignore[assignment]
        self._handler = app.handler
        self._events = [_event(number) for number in range(COUNT)]
        self._seen: set[int] = set()
        self._opened = self._read = 0
        self.models.sources.open = self._counted(self.models.sources.open, "_opened")  # type: ignore[method-assign]
        for name in ("read", "refresh"):
            setattr(self.models.log, name, self._counted(getattr(self.models.log, name), "_read"))

    def _counted(self, call: Callable[..., Any], counter: str) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            setattr(self, counter, getattr(self, counter) + 1)
            return call(*arguments)

        return counted

    def call(self, number: int) -> tuple[str, float]:
        """What kind of call it was, and its milliseconds."""
        opened, read = self._opened, self._read
        started = time.perf_counter()
        answer = self._handler(self._events[number], None)
        milliseconds = (time.perf_counter() - started) * 1e3
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"][:400])
        if self._opened > opened:
            kind = "loaded again" if number in self._seen else "first call"
        else:
            kind = "hit, alias read anew" if self._read > read else "hit"
        self._seen.add(number)
        return kind, milliseconds

    def calls(self, numbers: Iterable[int], between: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Figures by kind, and the resident MiB at some fifty moments in between, when `between` is called too."""
        found: dict[str, list[float]] = defaultdict(list)
        numbers = list(numbers)
        sizes = [resident()]
        for n, number in enumerate(numbers):
            kind, milliseconds = self.call(number)
            found[kind].append(milliseconds)
            if n % max(1, len(numbers) // 50) == 0:
                sizes.append(resident())
                between()
        return {"calls": {kind: summary(times) for kind, times in found.items()}, "rss_mib": [*sizes, resident()]}


def _event(number: int) -> dict[str, Any]:
    body, headers = v2_binary({"x": _row(number)})
    return event(Call(f"/v2/models/{_name(number)}/infer", headers, body))


def _row(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((1, WIDTH), np.float32)


def _bare(function: Function, numbers: Iterable[int]) -> dict[str, float]:
    """Runs of the loaded models alone: what the processor's caches do to them is no work of ours."""
    sessions = [function.models.load(_name(number), None).session._session for number in range(COUNT)]
    rows, times = [_row(number) for number in range(COUNT)], []
    for number in numbers:
        started = time.perf_counter()
        sessions[number].run(None, {"x": rows[number]})
        times.append((time.perf_counter() - started) * 1e3)
    return summary(times)


def resident() -> float:
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / MIB, 1)


def summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    place = {f"p{p}_ms": round(ordered[(len(ordered) - 1) * p // 100], 4) for p in (50, 99)}
    return {"count": len(times), **place, "max_ms": round(ordered[-1], 3)}


def loaded(share: float) -> dict[str, Any]:
    """Calls with one model loaded, and with all of them: of that same model, and of one after the other."""
    function, turns = Function(10**10), max(50, int(3000 * share))
    same, around = [0] * turns, [n % COUNT for n in range(turns)]
    before = resident()
    first = function.call(0)[1]
    function.calls([0] * 20)
    one = function.calls(same)
    others = function.calls(range(1, COUNT))
    found = {
        "one loaded": one["calls"],
        "the other 99 called first": others["calls"],
        "100 loaded, the same model": function.calls(same)["calls"],
        "100 loaded, one after the other": function.calls(around)["calls"],
    }
    bare = {"the same model": _bare(function, same), "one after the other": _bare(function, around)}
    memory = {"before": before, "one": one["rss_mib"][-1], "all": resident()}
    return {"first_ms": round(first, 2), "calls": found, "bare": bare, "rss_mib": memory}


def bounded(share: float) -> dict[str, Any]:
    """Calls while only a part of the models fits: one after the other, so that each is loaded; and as Zipf has them."""
    function = Function(CAPACITY)
    before = resident()
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, COUNT + 1)
    popular = random.permutation(COUNT)
    drawn = popular[random.choice(COUNT, max(100, int(3000 * share)), p=weights / weights.sum())]
    around = [n % COUNT for n in range(max(100, int(600 * share)))]
    found = {"one after the other": function.calls(around)}
    bare: list[float] = []
    found["Zipf"] = function.calls(drawn.tolist(), lambda: bare.append(_opened(function, int(random.choice(drawn)))))
    kept = sum(kept.cost for kept in function.models._cached.values())
    return {"calls": found, "rss_before_mib": before, "kept_mib": round(kept / MIB, 1), "load_alone": summary(bare)}


def _opened(function: Function, number: int) -> float:
    """Milliseconds to download, verify and open a model, and nothing else."""
    _, version = function.models.resolve(_name(number), None)
    started = time.perf_counter()
    function.models.sources.open(version.model)
    return (time.perf_counter() - started) * 1e3


def claims(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is to hold, whether it does, and the numbers that say so."""
    loaded, bounded, capacity = found["loaded"], found["bounded"], found["capacity_mib"]
    one, hundred = (loaded["calls"][name]["hit"]["p50_ms"] for name in ("one loaded", "100 loaded, the same model"))
    around = loaded["calls"]["100 loaded, one after the other"]["hit"]["p50_ms"]
    run = [loaded["bare"][name]["p50_ms"] for name in ("the same model", "one after the other")]
    zipf = bounded["calls"]["Zipf"]
    again = zipf["calls"]["loaded again"]["p50_ms"]
    alone = bounded["load_alone"]["p50_ms"]
    grown = max(max(told["rss_mib"]) for told in bounded["calls"].values()) - bounded["rss_before_mib"]
    ends = [np.mean(zipf["rss_mib"][place]) for place in (slice(17, 34), slice(34, None))]
    return {
        "a hit takes as long with 100 models loaded as with one (within a tenth)": _claim(
            hundred <= 1.1 * one, {"one": one, "100": hundred}
        ),
        "and what a hit adds to the bare run does not grow when each call is of another model (within 0.05 ms)": _claim(
            around - run[1] <= one - run[0] + 0.05, {"same model": one - run[0], "another each time": around - run[1]}
        ),
        "a call that must load costs the load, mostly with the alias read anew, and at most 3 ms more": _claim(
            again <= alone + 3, {"the load alone": alone, "the call": again}
        ),
        "resident memory grows by no more than the cache may hold, and a quarter": _claim(
            grown <= 1.25 * capacity, {"MiB grown by, at most": grown, "capacity": capacity}
        ),
        "and stops to grow (last third of the Zipf calls over the one before, within 5 %)": _claim(
            ends[1] <= 1.05 * ends[0], {"MiB": ends[0], "then": ends[1]}
        ),
    }


def _claim(holds: bool, numbers: dict[str, float]) -> dict[str, Any]:
    return {"holds": bool(holds), "numbers": {name: round(float(number), 3) for name, number in numbers.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=["loaded", "bounded"])
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        found = {"loaded": loaded, "bounded": bounded}[options.scenario](options.share)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
