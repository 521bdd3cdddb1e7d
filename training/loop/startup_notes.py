"""What is no error, but is better known before the training than after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.loop.prepared_data import CLEANING, PreparedData
from training.options import Settings

FEW_STEPS, FEW_ITEMS = 10, 50  # below which a run may learn, or know, too little
MANY = 0.5  # share of distinct values, above which a text column is hardly one of categories
ENOUGH = 20  # rows to say so of


def notes(settings: Settings, prepared: PreparedData) -> list[str]:
    """Lines for the one who has started it."""
    return [
        f"note: {line}" for line in (*_cleaned(settings, prepared), *_sizes(settings, prepared), *_columns(prepared))
    ]


def _cleaned(settings: Settings, prepared: PreparedData) -> Iterator[str]:
    if noticed := prepared.data.noticed():
        counted = ", ".join(f"{count:,} {reason}" for reason, count in noticed.items())
        yield f"noticed and kept: {counted}; {settings.output.out / CLEANING} names them"


def _sizes(settings: Settings, prepared: PreparedData) -> Iterator[str]:
    batch = settings.optimization.batch
    steps, left = divmod(len(prepared), batch)
    if not settings.privacy.epsilon and (
        steps < FEW_STEPS or left > len(prepared) / 10
    ):  # private batches are drawn by lot
        yield (
            f"a batch of {batch} makes {steps} steps an epoch, and leaves out {left} of {len(prepared)} items each "
            "time: a smaller --batch learns more from as many epochs"
        )
    if (validation_items := len(prepared.validation[1])) < FEW_ITEMS:
        yield f"{validation_items} validation items say little about which epoch was best: more data would"


def _columns(prepared: PreparedData) -> Iterator[str]:
    if prepared.data.kind != "table":
        return
    rows = prepared.data.train[0]
    for name, kind in prepared.data.details["types"].items():
        values = [row[name] for row in rows if row[name] is not None]
        if len(values) < ENOUGH:
            continue
        if kind == "category" and len(set(values)) > MANY * len(values):
            yield (
                f"{name!r} has a value of its own in most rows, so it says next to nothing as a category: with "
                f"--text {name} it is read as text; if it is an id, leave the column out"
            )
        elif kind == "number" and _counts(values):
            yield f"{name!r} seems to number the rows, from which nothing is to be learned: leave the column out"


def _counts(values: list[Any]) -> bool:
    """Whether they are whole numbers, each once, in a range that has little room for others."""
    whole = {int(value) for value in values if float(value).is_integer()}
    return len(whole) == len(values) and max(whole) - min(whole) < 2 * len(whole)
