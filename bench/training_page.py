"""The page of bench.training, results/<kind>/training.md: what was measured, what it says, and what it does not say."""

from __future__ import annotations

from typing import Any

from bench.page import measured, table

FASTER, ACCURATE, SMALLER, CHEAPER, GOOD = 30, 0.945, 270_000, 10, 0.92  # the goals
INTRODUCTION = """\
**The tutorial's script** (`bench/tutorial.py`): a CNN with 64 and 128 channels and 1,024 hidden units, SGD with a rate
of 0.01, 64 images a step, ten passes over the 60,000 training images. Its images lie in memory as tensors; the
tutorial's loader, which makes them one by one, would take longer. Its seconds are those of the training loop alone,
without imports, loading and tests. **Ours** is `python -m training.train` with the options below, which loads, cleans,
splits (a tenth of the training images only validates), trains, tests and packages. Accuracies are those of the exported
ONNX files on all 10,000 test images, for both."""
# of the chart
SERIES = {"tutorial": "the tutorial's script, by epoch", "speed": "quick runs", "best": "most accurate runs"}


def markdown(result: dict[str, Any]) -> str:
    parts = ["# Training, beside the classic tutorial's script", INTRODUCTION]
    if {"speed", "best"} & set(result):
        parts.append("![accuracy by seconds of training](training.svg)")
    for part, written in {"speed": _speed, "best": _best, "student": _student}.items():
        if part in result:
            parts += [*written(result[part]), measured(result[part], result["versions"])]
    return "\n\n".join(parts) + "\n"


def _met(met: bool) -> str:
    return "**met**" if met else "**not met**"


def _options(taken: dict[str, Any]) -> str:
    return f"`python -m training.train --data fashion-mnist {' '.join(taken['options'])}`"


# ---- time to the tutorial's accuracy


def _speed(taken: dict[str, Any]) -> list[str]:
    plain, middle, ratio = taken["tutorial"][-1], taken["median"], taken["ratio"]
    rows = [["the tutorial's script", f"{plain['seconds']:,.1f}", "", "", f"{plain['accuracy']:.2%}"]]
    for run in taken["ours"]:
        figures = [f"{run[key]:,.1f}" for key in ("trained_s", "whole_s", "cpu_s")]
        rows.append([f"ours, seed {run['seed']}", *figures, f"{run['accuracy']:.2%}"])
    met = taken["reached"] and ratio["trained_s"] >= FASTER
    return [
        f"## Time to the tutorial's accuracy\n\n{_options(taken)}",
        table(["", "seconds until trained", "whole process, s", "CPU s", "test accuracy"], rows),
        f"Until trained, with data, cleaning and validation: a median of {middle['trained_s']:,.1f} s, "
        f"{ratio['trained_s']:,.0f} times as fast as the tutorial's loop alone; the whole process, with imports, test, "
        f"export and pictures, {middle['whole_s']:,.1f} s, {ratio['whole_s']:,.0f} times. Every seed at least as "
        f"accurate: {'yes' if taken['reached'] else 'no'}. The goal, {FASTER} times: {_met(met)}.",
    ]


def _best(taken: dict[str, Any]) -> list[str]:
    rows = [
        [str(run["seed"]), f"{run['test_accuracy']:.2%}", f"{run['validation_accuracy']:.2%}", f"{run['accuracy']:.2%}",
         f"{run['trained_s'] / 60:,.1f}", f"{run['cpu_s'] / 60:,.1f}"]
        for run in taken["runs"]
    ]  # fmt: skip
    spread = taken["accuracy"]
    columns = ["seed", "test accuracy", "validation", "on all 10,000 test images", "minutes", "CPU minutes"]
    return [
        f"## The most accurate network\n\n{_options(taken)}",
        table(columns, rows),
        f"{taken['runs'][0]['parameters']:,} parameters. Mean {spread['mean']:.2%}, from {spread['min']:.2%} to "
        f"{spread['max']:.2%}. The goal, {ACCURATE:.1%}: {_met(spread['mean'] >= ACCURATE)}. Runs had one core or two "
        "each, beside what else the machine did: CPU minutes compare, minutes do not.",
    ]


def _student(taken: dict[str, Any]) -> list[str]:
    models = taken["models"]
    plain = models["tutorial"]
    rows, met = [], []
    for name, one in models.items():
        times = {batch: plain["cpu_us"][batch] / taken_us for batch, taken_us in one["cpu_us"].items()}
        cells = [f"{taken_us:,.1f} ({times[batch]:.1f})" for batch, taken_us in one["cpu_us"].items()]
        rows.append([name, f"{one['bytes']:,}", f"{one['accuracy']:.2%}", *cells])
        if one["bytes"] <= SMALLER and min(times.values()) >= CHEAPER and one["accuracy"] >= GOOD:
            met.append(name)
    batches = [f"CPU µs per image, batch {batch} (times as fast)" for batch in plain["cpu_us"]]
    by = f", by {' and '.join(met)}" if met else ""
    goal = f"The goal, at most {SMALLER:,} bytes, {CHEAPER} times less CPU time and {GOOD:.0%}: {_met(bool(met))}{by}."
    return [
        f"## The student\n\n{_options(taken)}, alone, and with eight passes only, alone and taught by the first of the "
        "most accurate networks (`--teacher`); then `python -m training.compress int8`.",
        table(["", "bytes", "test accuracy", *batches], rows),
        f"{_minutes(taken['runs'])} ONNX Runtime with one thread, medians of interleaved runs. {goal}",
    ]  # fmt: skip


def _minutes(runs: dict[str, Any]) -> str:
    return (
        "Trained in " + ", ".join(f"{run['trained_s'] / 60:,.1f} minutes ({name})" for name, run in runs.items()) + "."
    )
