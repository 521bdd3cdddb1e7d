"""Tries every step on a package and says which are worth it: their packages, pareto.json, and the picture of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import measure, package
from training.compress import apply, latency, plot
from training.compress.apply import Measured, Options, Outcome
from training.compress.data import Material
from training.compress.latency import Timings
from training.errors import TrainingError, out_of_memory
from training.package import Package

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
    times = latency.timings(bodies, material.golden)
    rows = [_row(PARENT, before, parent.size, times, 0.0)]
    with package.whole(out) as draft:
        for name, rung in rungs.items():
            apply.timed(rung.outcome, times, rung.under or PARENT, name)
            (draft / name).mkdir()
            apply.write(rung.parent, rung.outcome, material, draft / name)
            size = rung.outcome.details["size"]["after"]
            noise = measure.apart(before.golden, rung.outcome.model.golden)["noise"]
            rows.append(_row(name, rung.outcome.model, size, times, noise))
        report = _report(parent, rows, refused, options, target, times)
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


def _row(step: str, model: Measured, size: int, times: Timings, noise: float) -> dict[str, Any]:
    """latency_ratio: the 95 % interval of its time as a multiple of the parent's."""
    row: dict[str, Any] = {"step": step, "size": size, "latency_us": times.medians[step], "noise": noise}
    row["latency_ratio"] = [round(bound, 3) for bound in times.ratio(step, PARENT)]
    for split, scores in model.scores.items():
        row[f"{split}_accuracy"] = round(scores["accuracy"], 4)
    return row


def _report(
    parent: Package, rows: list[dict[str, Any]], refused: dict[str, str], options: Options, target: str, times: Timings
) -> dict[str, Any]:
    """best: the smallest or fastest whose validation accuracy is within max_drop too; the parent if none is better.

    alike: those whose latency cannot be told from the fastest's, itself among them, where latency is what counts. Of
    these the smallest is the best; of several as small, the one that search tries first, which is the simplest.
    """
    least = rows[0].get("validation_accuracy", 0.0) - options.max_drop / 100
    fit = [row for row in rows if row.get("validation_accuracy", 0.0) >= least]
    fastest = min(fit, key=lambda row: row["latency_us"])["step"]
    alike = [row for row in fit if target == "size" or not times.faster(fastest, row["step"])]
    for row in rows:
        row["pareto"] = not any(_dominates(other, row, times) for other in rows)
    return {
        "parent": parent.reference, "target": target, "max_drop": options.max_drop,
        "best": min(alike, key=lambda row: row["size"])["step"],
        "alike": [row["step"] for row in alike] if target == "latency" else [],
        "steps": rows, "refused": refused, "machine": times.machine,
    }  # fmt: skip


def _dominates(one: dict[str, Any], other: dict[str, Any], times: Timings) -> bool:
    """At least as good in size, latency and quality, and better in one of them (Pareto); noise is no difference."""
    (size, loss), (its_size, its_loss) = _costs(one), _costs(other)
    faster, slower = times.faster(one["step"], other["step"]), times.faster(other["step"], one["step"])
    if size > its_size or loss > its_loss or slower:
        return False
    return size < its_size or loss < its_loss or faster


def _costs(row: dict[str, Any]) -> tuple[float, float]:
    return row["size"], -row.get("validation_accuracy", -row["noise"])


def _print(report: dict[str, Any], out: Path, told: bool) -> None:
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
    if told:
        print(f"packages, pareto.json and pareto.svg are in {out}")
