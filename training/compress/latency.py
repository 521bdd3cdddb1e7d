"""How long a model takes, beside others: in turns, in several sessions of each, with what differs by chance alone.

Two sessions of one model differ too: where their memory lies is chance. So the interval of a difference is over
sessions, not over runs, of which there are so many that any difference would seem certain.
"""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.runtime import processor
from shared.runtime.onnx import Session
from training.measure import fixed_batch, typed
from training.package import Arrays
from training.served import served

SESSIONS = 6
STUDENT = 2.571  # of five degrees of freedom, 95 %, two-sided
WARM, ROUNDS = 10, 50  # of each session
ENOUGH = 20.0  # seconds for all sessions, after which slow models get no further rounds than FEWEST
FEWEST = 5


@dataclass(frozen=True)
class Timings:
    """microseconds: of each model, the median run of each session; the sessions of one number took turns."""

    microseconds: dict[str, list[float]]
    machine: dict[str, Any]

    @property
    def medians(self) -> dict[str, float]:
        return {name: round(statistics.median(taken), 2) for name, taken in self.microseconds.items()}

    def ratio(self, one: str, other: str) -> tuple[float, float]:
        """The 95 % interval of the time that one takes, as a multiple of the other's."""
        pairs = zip(self.microseconds[one], self.microseconds[other], strict=True)
        logs = [math.log(a / b) for a, b in pairs]
        mean, error = statistics.fmean(logs), STUDENT * statistics.stdev(logs) / math.sqrt(len(logs))
        return math.exp(mean - error), math.exp(mean + error)

    def faster(self, one: str, other: str) -> bool:
        """Whether one is, by more than chance."""
        return one != other and self.ratio(one, other)[1] < 1


def timings(bodies: Mapping[str, bytes], inputs: Arrays) -> Timings:
    """Of runs of the first row, one thread, batch 1 (or what the model prescribes).

    The models take turns, run by run, so that whatever else the machine does meets them all alike.
    """
    sessions: list[dict[str, list[float]]] = []
    begun = time.perf_counter()
    for number in range(SESSIONS):
        until = begun + ENOUGH * (number + 1) / SESSIONS
        running = {name: served(body, threads=1) for name, body in bodies.items()}
        sessions.append(_turns(running, inputs, until))
    taken = {name: [statistics.median(one[name]) for one in sessions] for name in bodies}
    rounds = sum(min(map(len, one.values())) for one in sessions)
    return Timings(taken, machine() | {"rounds": rounds, "sessions": SESSIONS})


def _turns(running: Mapping[str, Session], inputs: Arrays, until: float) -> dict[str, list[float]]:
    """Microseconds of each run; each turn begins with another model."""
    feeds = {name: _first_row(one, inputs) for name, one in running.items()}
    times: dict[str, list[float]] = {name: [] for name in running}
    order = list(running)
    for turn in range(WARM + ROUNDS):
        if turn >= WARM + FEWEST and time.perf_counter() > until:
            break
        order = [*order[1:], order[0]]
        for name in order:
            started = time.perf_counter()
            running[name].run(None, feeds[name])
            if turn >= WARM:
                times[name].append((time.perf_counter() - started) * 1e6)
    return times


def machine() -> dict[str, Any]:
    """The processor, and whether it multiplies and adds 8-bit integers in one instruction."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    vnni = sorted(flag for flag in flags if flag.endswith("_vnni"))
    kind = {"kind": processor.kind(), "features": processor.features()}
    return kind | {
        "cpu": model or platform.machine(),
        "integer_dot_products": vnni,
        "system": platform.system(),
        "threads": 1,
        "batch": 1,
    }


def _first_row(running: Session, inputs: Arrays) -> Arrays:
    row = np.zeros(fixed_batch(running) or 1, int)
    return {name: values[row] for name, values in typed(running, inputs).items()}
