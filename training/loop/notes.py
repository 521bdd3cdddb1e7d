"""What is no error, but is better known before the training than after it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from training.loop.task import CLEANING, Task

FEW_STEPS, FEW_ITEMS = 10, 50  # below which a run may learn, or know, too little
MANY = 0.5  # share of rows with a value of their own, from which on a column of words is hardly one of categories
ENOUGH = 20  # rows to say so of


def notes(s: argparse.Namespace, task: Task) -> list[str]:
    """Lines for the one who has started it."""
    return [f"note: {line}" for line in (*_cleaned(s, task), *_sizes(s, task), *_columns(task))]


def _cleaned(s: argparse.Namespace, task: Task) -> Iterator[str]:
    if noticed := task.data.noticed():
        counted = ", ".join(f"{count:,} {reason}" for reason, count in noticed.items())
        yield f"noticed and kept: {counted}; {s.out / CLEANING} names them"


def _sizes(s: argparse.Namespace, task: Task) -> Iterator[str]:
    steps, left = divmod(len(task), s.batch)
    if not s.epsilon and (steps < FEW_STEPS or left > len(task) / 10):  # private batches are drawn by lot
        yield (
            f"a batch of {s.batch} makes {steps} steps an epoch, and leaves out {left} of {len(task)} items each "
            "time: a smaller --batch learns more from as many epochs"
        )
    if (held_out := len(task.held_out[1])) < FEW_ITEMS:
        yield f"{held_out} items to validate tell little of which epoch was best: more data would"


def _columns(task: Task) -> Iterator[str]:
    if task.data.kind != "table":
        return
    rows = task.data.train[0]
    for name, kind in task.data.details["types"].items():
        values = [row[name] for row in rows if row[name] is not None]
        if len(values) < ENOUGH:
            continue
        if kind == "category" and len(set(values)) > MANY * len(values):
            yield (
                f"{name!r} has a value of its own in most rows, so it says next to nothing as a category: with "
                f"--text {name} it is read as text; if it is an id, leave the column out"
            )
        elif kind == "number" and _counts(values):
            yield f"{name!r} seems to number the rows, from which nothing is to be learnt: leave the column out"


def _counts(values: list[Any]) -> bool:
    """Whether they are whole numbers, each once, in a range that has little room for others."""
    whole = {int(value) for value in values if float(value).is_integer()}
    return len(whole) == len(values) and max(whole) - min(whole) < 2 * len(whole)
