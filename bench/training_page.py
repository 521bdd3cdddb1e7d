"""The Markdown page and the chart of bench.training: what was measured, what it says, and what it does not say."""

from __future__ import annotations

import math
from typing import Any

from bench.machine import described
from bench.svg import document, text

FASTER, ACCURATE, SMALLER, CHEAPER, GOOD = 30, 0.945, 270_000, 10, 0.92  # the goals
INTRODUCTION = """\
**The tutorial's script** (`bench/tutorial.py`): a CNN with 64 and 128 channels and 1,024 hidden units, SGD with a rate
of 0.01, 64 images a step, ten passes over the 60,000 training images. Its images lie in memory as tensors; the
tutorial's loader, which makes them one by one, would take longer. Its seconds are those of the training loop alone,
without imports, loading and tests. **Ours** is `python -m training.train` with the options below, which loads, cleans,
splits (a tenth of the training images only validates), trains, tests and packages. Accuracies are those of the exported
ONNX files on all 10,000 test images, for both."""
COLOURS = {"tutorial": "#d9741b", "speed": "#2f6db3", "best": "#2c8a4b"}
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 400, 64, 60, 24, 52


def markdown(result: dict[str, Any]) -> str:
    parts = ["# Training, beside the classic tutorial's script", INTRODUCTION]
    if {"speed", "best"} & set(result):
        parts.append("![accuracy by seconds of training](training.svg)")
    for part, written in {"speed": _speed, "best": _best, "student": _student}.items():
        if part in result:
            parts += [*written(result[part]), _machine(result[part], result["versions"])]
    return "\n\n".join(parts) + "\n"


def _machine(taken: dict[str, Any], versions: dict[str, str]) -> str:
    machine = taken["machine"]
    about = (
        f"{taken['date']}; {described(machine)}; load average "
        f"{machine['load_average']:.2f} before. " + ", ".join(f"{name} {is_}" for name, is_ in versions.items()) + "."
    )
    return about + (" **A quick try-out: too small to quote.**" if taken["quick"] else "")


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    return "\n".join([head, *("| " + " | ".join(row) + " |" for row in rows)])


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
        _table(["", "seconds until trained", "whole process, s", "CPU s", "test accuracy"], rows),
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
    found = taken["accuracy"]
    columns = ["seed", "test accuracy", "validation", "on all 10,000 test images", "minutes", "CPU minutes"]
    return [
        f"## The most accurate network\n\n{_options(taken)}",
        _table(columns, rows),
        f"{taken['runs'][0]['parameters']:,} parameters. Mean {found['mean']:.2%}, from {found['min']:.2%} to "
        f"{found['max']:.2%}. The goal, {ACCURATE:.1%}: {_met(found['mean'] >= ACCURATE)}. Runs had one core or two "
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
        _table(["", "bytes", "test accuracy", *batches], rows),
        f"{_minutes(taken['runs'])} ONNX Runtime with one thread, medians of interleaved runs. {goal}",
    ]  # fmt: skip


def _minutes(runs: dict[str, Any]) -> str:
    return (
        "Trained in " + ", ".join(f"{run['trained_s'] / 60:,.1f} minutes ({name})" for name, run in runs.items()) + "."
    )


# ---- the chart


def svg(result: dict[str, Any]) -> str:
    """Test accuracy by seconds of training, on a logarithmic scale: the tutorial's epochs, and where our runs ended."""
    points = {
        "tutorial": [(row["seconds"], row["accuracy"]) for row in result.get("speed", {}).get("tutorial", [])],
        "speed": [(run["trained_s"], run["accuracy"]) for run in result.get("speed", {}).get("ours", [])],
        "best": [(run["trained_s"], run["accuracy"]) for run in result.get("best", {}).get("runs", [])],
    }
    every = [point for some in points.values() for point in some] or [(1.0, 0.9)]
    first, last = math.floor(math.log10(min(x for x, _ in every))), math.ceil(math.log10(max(x for x, _ in every)))
    low = math.floor(min(y for _, y in every) * 20) / 20

    def at(seconds: float, accuracy: float) -> tuple[float, float]:
        across = (math.log10(seconds) - first) / max(1, last - first)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (accuracy - low) / (1 - low) * (
            HEIGHT - TOP - BOTTOM
        )

    body = [
        text(16, 26, "Test accuracy by seconds of training", 17, "start", "#111", "bold"),
        *_grid(at, first, last, low),
    ]
    names = {"tutorial": "the tutorial's script, by epoch", "speed": "quick runs", "best": "most accurate runs"}
    x = LEFT
    for name, some in points.items():
        if some:
            body.append(f'<circle cx="{x}" cy="44" r="5" fill="{COLOURS[name]}"/>')
            body.append(text(x + 10, 48, names[name], 12))
            x += 200
        for point in some:
            across, down = at(*point)
            body.append(
                f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4.5" fill="{COLOURS[name]}" fill-opacity="0.75"/>'
            )
    return document(WIDTH, HEIGHT, body)


def _grid(at: Any, first: int, last: int, low: float) -> list[str]:
    parts = []
    for decade in range(first, last + 1):
        x, bottom = at(10**decade, low)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#dddddd"/>')
        parts.append(text(x, bottom + 18, f"{10.0**decade:g} s", 11, "middle", "#666"))
    for step in range(round((1 - low) * 20) + 1):
        left, y = at(10**first, low + step / 20)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(text(left - 6, y + 4, f"{low + step / 20:.0%}", 11, "end", "#666"))
    return parts
