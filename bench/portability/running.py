"""Many models on one processor, and what a run's outputs are worth beside the simulation's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.portability.corpus.graphs import Case
from tests.portability.corpus.simulation import simulate
from tools import processors

RARE = 0.05  # share of the outputs that may differ by one step: two roundings of one tie
CHAOTIC = 1.2  # of the simulation's own distance from the float model
HARMLESS = 1e-4  # of the largest output: float32's own


@dataclass(frozen=True)
class Job:
    """One model, one way to run it. level: of a plain session ("off"); "" is the session that serves."""

    model: bytes
    feeds: Mapping[str, np.ndarray]
    level: str = ""


@dataclass(frozen=True)
class Answer:
    """outputs, or the stage at which there were none: "load", "run" or "crash", and the reason."""

    outputs: tuple[np.ndarray, ...] = ()
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """noise: ‖y − ŷ‖ / ‖ŷ‖, the largest of the outputs; None where there was no answer."""

    right: bool
    noise: float | None
    reason: str = ""

    def text(self) -> str:
        if self.noise is None:
            return self.reason
        return f"{'ok' if self.right else '**wrong**'} {self.noise:.1%}" if self.noise >= 5e-4 else self._exact()

    def _exact(self) -> str:
        return "ok" if self.right else f"**wrong** {self.noise:.0e}"


def answers(processor: str, jobs: Sequence[Job]) -> tuple[list[Answer], list[str]]:
    """An answer per job, and the processor's features. Raises processors.Missing, or RuntimeError with its output."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, jobs)
        while True:
            process = processors.run(processor, ["-m", "bench.portability.worker", str(folder)])
            if process.returncode == 0:
                break
            started = folder / "started.txt"
            if not started.exists():
                raise RuntimeError(f"the worker on {processor} failed: {process.stderr[-2000:]}")
            crash = {"id": int(started.read_text()), "stage": "crash", "error": f"exit status {process.returncode}"}
            with (folder / "done.jsonl").open("a") as log:
                log.write(json.dumps(crash) + "\n")
            started.unlink()
        features: list[str] = json.loads((folder / "features.json").read_text())
        return _read(folder, len(jobs)), features


def _write(folder: Path, jobs: Sequence[Job]) -> None:
    models: dict[bytes, str] = {}
    lines: list[dict[str, Any]] = []
    for number, job in enumerate(jobs):
        if job.model not in models:
            models[job.model] = str(len(models))
            (folder / f"{models[job.model]}.onnx").write_bytes(job.model)
            np.savez(folder / f"{models[job.model]}.npz", **job.feeds)
        stem = models[job.model]
        plain = {"level": job.level} if job.level else {}
        lines.append({"id": number, "model": f"{stem}.onnx", "feeds": f"{stem}.npz", **plain})
    (folder / "jobs.json").write_text(json.dumps(lines))


def _read(folder: Path, count: int) -> list[Answer]:
    results: dict[int, Answer] = {}
    for line in (folder / "done.jsonl").read_text().splitlines():
        entry = json.loads(line)
        number = entry["id"]
        if "stage" in entry:
            results[number] = Answer(stage=entry["stage"], reason=entry["error"])
        else:
            with np.load(folder / f"answer-{number}.npz") as arrays:
                results[number] = Answer(tuple(arrays[str(n)] for n in range(len(arrays.files))))
    return [results[number] for number in range(count)]


def expectation(case: Case) -> tuple[Case, list[np.ndarray]]:
    """The case with its allowance, and the outputs to hold answers against.

    A deep network whose activations are quantized on the way is chaotic: weights that differ by 1e-6 end up 10 % apart,
    as far as both are from the float model. Such a case has a parent, and may be as far from it as the simulation is.
    """
    outputs = simulate(case.model, case.feeds)
    if case.parent is None:
        return case, outputs
    exact = simulate(case.parent, case.feeds)
    distance = max(_compared(case, output, goal)[0] for output, goal in zip(outputs, exact, strict=True))
    return replace(case, noise=CHAOTIC * distance), exact


def judged(case: Case, expected: Sequence[np.ndarray], answer: Answer) -> Verdict:
    """Right when every output is: within one step at rare places, and within float noise everywhere else."""
    if answer.stage:
        words = {"load": "refused at load", "run": "fails at run", "crash": "**ends the process**"}
        return Verdict(False, None, words[answer.stage])
    worst = 0.0
    problems = []
    for actual, output in zip(answer.outputs, expected, strict=True):
        noise, problem = _compared(case, np.asarray(actual), np.asarray(output))
        worst = max(worst, noise)
        problems += [problem] if problem else []
    return Verdict(not problems, worst, "; ".join(problems))


def worse(first: Verdict | None, second: Verdict) -> Verdict:
    """Of two forms of one model, what both of them are worth."""
    if first is None or (first.right and not second.right):
        return second
    if first.right == second.right and None not in (first.noise, second.noise):
        return max(first, second, key=lambda verdict: verdict.noise or 0.0)
    return first


def _compared(case: Case, actual: np.ndarray, output: np.ndarray) -> tuple[float, str]:
    if actual.shape != output.shape or actual.dtype != output.dtype:
        return np.inf, f"{actual.dtype}{list(actual.shape)} instead of {output.dtype}{list(output.shape)}"
    y, exact = actual.astype(np.float64), output.astype(np.float64)
    gap = np.abs(y - exact)
    size = float(np.linalg.norm(exact))
    noise = float(np.linalg.norm(y - exact)) / size if size else float(gap.max(initial=0))
    if not np.isfinite(noise):
        return np.inf, "values that are not finite"
    if not case.step:
        return noise, "" if noise <= case.noise else f"noise of {noise:.2%}"
    harmless = HARMLESS * float(np.abs(exact).max(initial=0))
    if gap.max(initial=0) > case.step * 1.01 + harmless:
        return noise, f"differs by {gap.max() / case.step:.1f} steps"
    share = float((gap > max(harmless, case.step / 2)).mean())
    return noise, "" if share <= RARE or (gap > case.step / 2).sum() <= 1 else f"{share:.0%} of the outputs differ"
