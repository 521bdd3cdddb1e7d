"""Tries every step on a package and says which are worth it: their packages, pareto.json, and the picture of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import measure, package
from training.compress import apply, latency
from training.compress.apply import Measured, Outcome
from training.compress.evaluation_data import EvaluationData
from training.compress.latency import Timings
from training.compress.options import Options
from training.compress.steps import STEPS, Step
from training.errors import TrainingError, out_of_memory
from training.package import Package

PARENT = "parent"
SMALLER = "give a smaller --batch or fewer --calibration-rows, or take a machine with more"


@dataclass(frozen=True)
class Rung:
    """parent: what the step was applied to. under: the rung that made that, None for the package itself."""

    parent: Package
    outcome: Outcome
    under: str | None = None


def search(parent: Package, data: EvaluationData, out: Path, options: Options) -> dict[str, Any]:
    """Write out/STEP for each step that was accepted, out/pareto.json and out/pareto.svg; returns the report.

    The best is chosen by validation accuracy; test figures are only reported. Two steps in turn, as prune+int8, are two
    packages, the second with the first as its parent.
    """
    from training.compress import pareto_plot  # brings matplotlib

    before = apply.measured(parent, package.serialized(parent.model), data)
    rungs, refused = _ladder(parent, before, data, options)
    bodies = {PARENT: before.body} | {name: rung.outcome.model.body for name, rung in rungs.items()}
    times = latency.timings(bodies, data.golden)
    rows = [_row(PARENT, before, parent.size, times, 0.0)]
    with package.whole(out) as draft:
        for name, rung in rungs.items():
            apply.timed(rung.outcome, times, rung.under or PARENT, name)
            (draft / name).mkdir()
            apply.write(rung.parent, rung.outcome, data, draft / name)
            size = rung.outcome.details["size"]["after"]
            noise = measure.apart(before.golden, rung.outcome.model.golden)["noise"]
            rows.append(_row(name, rung.outcome.model, size, times, noise))
        report = _report(parent, rows, refused, options, times)
        (draft / "pareto.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        pareto_plot.plot(report, draft / "pareto.svg")
    _print(report)
    if not options.search.brief:
        print(f"packages, pareto.json and pareto.svg are in {out}")
    return report


def ladder(data: EvaluationData, options: Options) -> list[str]:
    """The steps to try: those that train only with data, and with a student where they need one."""
    names = []
    for step in STEPS.values():
        if step.schedule is None:
            names.append(step.name)
        elif step.searched and _can_train(step, data, options):
            names += [step.name, *(f"{step.name}+{then}" for then in step.then)]
    only = options.search.steps
    if unknown := set(only) - set(names):
        raise TrainingError(f"--steps {' '.join(sorted(unknown))}: here, search can try {', '.join(names)}")
    return [name for name in names if not only or name in _with_first_steps(only)]


def _can_train(step: Step, data: EvaluationData, options: Options) -> bool:
    return data.examples is not None and (not step.needs_student or options.fine_tuning.student is not None)


def _with_first_steps(names: tuple[str, ...]) -> set[str]:
    return {part for name in names for part in (name, name.partition("+")[0])}


def _ladder(
    parent: Package, before: Measured, data: EvaluationData, options: Options
) -> tuple[dict[str, Rung], dict[str, str]]:
    """What was accepted, and why the others were not. Each is compared with the package that the search began with."""
    rungs: dict[str, Rung] = {}
    refused: dict[str, str] = {}
    for name in ladder(data, options):
        first, _, then = name.partition("+")
        if then and first not in rungs:
            refused[name] = f"{first} was left out"
            continue
        try:
            rungs[name] = _rung(parent, before, name, rungs.get(first), data, options)
            apply.accept(before, rungs[name].outcome, options)
        except (TrainingError, RuntimeError, MemoryError) as error:
            if not isinstance(error, TrainingError) and not out_of_memory(error):
                raise
            rungs.pop(name, None)
            refused[name] = str(error) if isinstance(error, TrainingError) else f"memory ran out: {SMALLER}"
    return rungs, refused


def _rung(
    parent: Package, before: Measured, name: str, under: Rung | None, data: EvaluationData, options: Options
) -> Rung:
    first, _, then = name.partition("+")
    if under is None or not then:
        return Rung(parent, apply.attempt(parent, before, STEPS[name], data, options))
    child = apply.child(under.parent, under.outcome, data)
    return Rung(child, apply.attempt(child, under.outcome.model, STEPS[then], data, options), first)


def _row(step: str, model: Measured, size: int, times: Timings, noise: float) -> dict[str, Any]:
    """latency_ratio: the 95 % interval of its time as a multiple of the parent's."""
    row: dict[str, Any] = {"step": step, "size": size, "latency_us": times.medians[step], "noise": noise}
    row["latency_ratio"] = [round(bound, 3) for bound in times.ratio(step, PARENT)]
    for split, scores in model.scores.items():
        row[f"{split}_accuracy"] = round(scores["accuracy"], 4)
    return row


def _report(
    parent: Package, rows: list[dict[str, Any]], refused: dict[str, str], options: Options, times: Timings
) -> dict[str, Any]:
    """best: the smallest or fastest whose validation accuracy is within max_drop too; the parent if none is better.

    alike: those whose latency cannot be told from the fastest's, itself among them, where latency is what counts. Of
    these the smallest is the best; of several as small, the one that search tries first, which is the simplest.
    """
    target = options.search.target
    least = rows[0].get("validation_accuracy", 0.0) - options.max_drop / 100
    fit = [row for row in rows if row.get("validation_accuracy", 0.0) >= least]
    fastest = min(fit, key=lambda row: row["latency_us"])["step"]
    alike = [row for row in fit if target == "size" or not times.faster(fastest, row["step"])]
    for row in rows:
        row["pareto"] = not any(_dominates(other, row, times) for other in rows)
    return {
        "parent": parent.reference,
        "target": target,
        "max_drop": options.max_drop,
        "best": min(alike, key=lambda row: row["size"])["step"],
        "alike": [row["step"] for row in alike] if target == "latency" else [],
        "steps": rows,
        "refused": refused,
        "machine": times.machine,
    }


def _dominates(one: dict[str, Any], other: dict[str, Any], times: Timings) -> bool:
    """At least as good in size, latency and quality, and better in one of them (Pareto); noise is no difference."""
    (size, loss), (its_size, its_loss) = _costs(one), _costs(other)
    faster, slower = times.faster(one["step"], other["step"]), times.faster(other["step"], one["step"])
    if size > its_size or loss > its_loss or slower:
        return False
    return size < its_size or loss < its_loss or faster


def _costs(row: dict[str, Any]) -> tuple[float, float]:
    return row["size"], -row.get("validation_accuracy", -row["noise"])


def _print(report: dict[str, Any]) -> None:
    for row in report["steps"]:
        accuracy = (
            f"test accuracy {row['test_accuracy']:.2%}" if "test_accuracy" in row else f"noise {row['noise']:.2%}"
        )
        mark = "  ← best" if row["step"] == report["best"] else ""
        times = "{:.2f} to {:.2f} times".format(*row["latency_ratio"]) if row["step"] != PARENT else ""
        print(f"{row['step']:11} {row['size']:>12,} bytes {row['latency_us']:>10.1f} µs {times:18}  {accuracy}{mark}")
    for step, reason in report["refused"].items():
        print(f"{step:11} left out: {reason}")
    if len(report["alike"]) > 1:
        print(
            f"no difference in latency that can be told from noise: {', '.join(report['alike'])} (95 % intervals over "
            f"{report['machine']['sessions']} sessions of each); {report['best']} is taken, the smallest of them"
        )
