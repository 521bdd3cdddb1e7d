"""Tries every step on a package and says which are worth it: their packages, pareto.json, and the picture of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.compress import apply, measure, package, plot
from training.compress.apply import Measured, Options, Outcome
from training.compress.data import Material
from training.compress.package import Package
from training.errors import TrainingError, out_of_memory

PARENT = "parent"
SMALLER = "give a smaller --batch or fewer --calibration-rows, or take a machine with more"
THEN = ("int8", "fp16")  # steps that are tried on what a step that trained has made


@dataclass(frozen=True)
class Rung:
    """parent: what the step was applied to. under: the rung that made that, None for the package itself."""

    parent: Package
    outcome: Outcome
    under: str | None = None


def search(
    parent: Package, material: Material, out: Path, options: Options, target: str, *, told: bool = True
) -> dict[str, Any]:
    """Write out/STEP for each step that was accepted, out/pareto.json and out/pareto.svg; returns the report.

    target: `latency` or `size`. told: whether to say where the packages are. The best is chosen by validation accuracy;
    test figures are only reported. Two steps in turn, as prune+int8, are two packages, the second with the first as its
    parent.
    """
    before = apply.measured(parent, package.serialised(parent.model), material)
    rungs, refused = _ladder(parent, before, material, options)
    bodies = {PARENT: before.body} | {name: rung.outcome.model.body for name, rung in rungs.items()}
    times, machine = measure.latencies(bodies, material.golden)
    rows = [_row(PARENT, before, parent.size, times[PARENT], 0.0)]
    with package.whole(out) as draft:
        for name, rung in rungs.items():
            apply.timed(rung.outcome, {"before": times[rung.under or PARENT], "after": times[name]}, machine)
            (draft / name).mkdir()
            apply.write(rung.parent, rung.outcome, material, draft / name)
            size = rung.outcome.details["size"]["after"]
            noise = measure.apart(before.golden, rung.outcome.model.golden)["noise"]
            rows.append(_row(name, rung.outcome.model, size, times[name], noise))
        report = _report(parent, rows, refused, options, target) | {"machine": machine}
        (draft / "pareto.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        (draft / "pareto.svg").write_text(plot.svg(report))
    _print(report, out, told)
    return report


def ladder(material: Material, options: Options) -> list[str]:
    """The steps to try: those that train only with data, distil only with a student.

    magnitude is left out: its file is as large and as slow as before.
    """
    trained = ["prune"] if material.examples else []
    trained += ["distil"] if material.examples and options.training.student else []
    names = [*apply.STEPS, *(name for step in trained for name in (step, *(f"{step}+{then}" for then in THEN)))]
    if unknown := set(options.only) - set(names):
        raise TrainingError(f"--steps {' '.join(sorted(unknown))}: here, search can try {', '.join(names)}")
    return [name for name in names if not options.only or name in _with_what_they_need(options.only)]


def _with_what_they_need(names: tuple[str, ...]) -> set[str]:
    return {part for name in names for part in (name, name.partition("+")[0])}


def _ladder(
    parent: Package, before: Measured, material: Material, options: Options
) -> tuple[dict[str, Rung], dict[str, str]]:
    """What was accepted, and why the others were not. Each is compared with the package that the search began with."""
    rungs: dict[str, Rung] = {}
    refused: dict[str, str] = {}
    for name in ladder(material, options):
        first, _, then = name.partition("+")
        if then and first not in rungs:
            refused[name] = f"{first} was left out"
            continue
        try:
            rungs[name] = _rung(parent, before, name, rungs.get(first), material, options)
            apply.accept(before, rungs[name].outcome, options)
        except (TrainingError, RuntimeError, MemoryError) as error:
            if not isinstance(error, TrainingError) and not out_of_memory(error):
                raise
            rungs.pop(name, None)
            refused[name] = str(error) if isinstance(error, TrainingError) else f"memory ran out: {SMALLER}"
    return rungs, refused


def _rung(
    parent: Package, before: Measured, name: str, under: Rung | None, material: Material, options: Options
) -> Rung:
    first, _, then = name.partition("+")
    if under is None or not then:
        return Rung(parent, apply.attempt(parent, before, name, material, options))
    made = apply.child(under.parent, under.outcome, material)
    return Rung(made, apply.attempt(made, under.outcome.model, then, material, options), first)


def _row(step: str, model: Measured, size: int, latency: float, noise: float) -> dict[str, Any]:
    row: dict[str, Any] = {"step": step, "size": size, "latency_us": latency, "noise": noise}
    for split, scores in model.scores.items():
        row[f"{split}_accuracy"] = round(scores["accuracy"], 4)
    return row


def _report(
    parent: Package, rows: list[dict[str, Any]], refused: dict[str, str], options: Options, target: str
) -> dict[str, Any]:
    """best: the smallest or fastest whose validation accuracy is within max_drop too; the parent if none is better."""
    least = rows[0].get("validation_accuracy", 0.0) - options.max_drop / 100
    fit = [row for row in rows if row.get("validation_accuracy", 0.0) >= least]
    key = {"latency": "latency_us", "size": "size"}[target]
    for row in rows:
        row["pareto"] = not any(_dominates(other, row) for other in rows)
    return {
        "parent": parent.reference, "target": target, "max_drop": options.max_drop,
        "best": min(fit, key=lambda row: row[key])["step"], "steps": rows, "refused": refused,
    }  # fmt: skip


def _dominates(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """At least as good in size, latency and quality, and better in one of them (Pareto)."""
    a, b = _costs(one), _costs(other)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _costs(row: dict[str, Any]) -> tuple[float, float, float]:
    return row["size"], row["latency_us"], -row.get("validation_accuracy", -row["noise"])


def _print(report: dict[str, Any], out: Path, told: bool) -> None:
    for row in report["steps"]:
        accuracy = (
            f"test accuracy {row['test_accuracy']:.2%}" if "test_accuracy" in row else f"noise {row['noise']:.2%}"
        )
        mark = "  ← best" if row["step"] == report["best"] else ""
        print(f"{row['step']:11} {row['size']:>12,} bytes {row['latency_us']:>10.1f} µs  {accuracy}{mark}")
    for step, reason in report["refused"].items():
        print(f"{step:11} left out: {reason}")
    if told:
        print(f"packages, pareto.json and pareto.svg are in {out}")
