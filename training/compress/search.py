"""Tries every step on a package and says which are worth it: their packages, pareto.json, and the picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.compress import apply, measure, package, plot
from training.compress.apply import Measured, Options, Outcome
from training.compress.data import Material
from training.compress.package import Package
from training.errors import TrainingError

PARENT = "parent"


def search(parent: Package, material: Material, out: Path, options: Options, target: str) -> dict[str, Any]:
    """Write out/STEP for each step that was accepted, out/pareto.json and out/pareto.svg; returns the report.

    target: `latency` or `size`. The best is chosen by validation accuracy; test figures are only reported.
    """
    before = apply.measured(parent, package.serialised(parent.model), material)
    outcomes, refused = _ladder(parent, before, material, options)
    bodies = {PARENT: before.body} | {step: outcome.model.body for step, outcome in outcomes.items()}
    times, machine = measure.latencies(bodies, material.golden)
    rows = [_row(PARENT, before, parent.size, times[PARENT], 0.0)]
    with package.whole(out) as draft:
        for step, outcome in outcomes.items():
            apply.timed(outcome, {"before": times[PARENT], "after": times[step]}, machine)
            (draft / step).mkdir()
            apply.write(parent, outcome, material, draft / step)
            size, noise = outcome.details["size"]["after"], outcome.details["noise"]
            rows.append(_row(step, outcome.model, size, times[step], noise))
        report = _report(parent, rows, refused, options, target) | {"machine": machine}
        (draft / "pareto.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        (draft / "pareto.svg").write_text(plot.svg(report))
    _print(report, out)
    return report


def _ladder(
    parent: Package, before: Measured, material: Material, options: Options
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Outcomes of the steps that were accepted, and why the others were not."""
    outcomes: dict[str, Outcome] = {}
    refused: dict[str, str] = {}
    for step in apply.STEPS:
        try:
            outcome = apply.attempt(parent, before, step, material, options)
            apply.accept(before, outcome, options)
            outcomes[step] = outcome
        except TrainingError as error:
            refused[step] = str(error)
    return outcomes, refused


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


def _print(report: dict[str, Any], out: Path) -> None:
    for row in report["steps"]:
        accuracy = f"{row['test_accuracy']:.2%}" if "test_accuracy" in row else f"noise {row['noise']:.2%}"
        mark = "  ← best" if row["step"] == report["best"] else ""
        print(f"{row['step']:8} {row['size']:>12,} bytes {row['latency_us']:>10.1f} µs  {accuracy}{mark}")
    for step, reason in report["refused"].items():
        print(f"{step:8} left out: {reason}")
    print(f"packages, pareto.json and pareto.svg are in {out}")
