"""The curve of a training while it goes on: a bar of its epochs, and a picture of one metric in characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

STEPS = " ▁▂▃▄▅▆▇█"
HEIGHT, WIDTH = 6, 60
SHOWN = ("validation_accuracy", "accuracy")
Report = Callable[[dict[str, Any]], None]


@contextmanager
def watching(name: str, epochs: int | None, *, quiet: bool) -> Iterator[Report]:
    """Gives what is to be called with states of a job: `state`, and `metrics` with the rows that are new.

    At a terminal a bar and a curve; elsewhere one line per epoch on standard error. Nothing when quiet.
    """
    from rich.console import Console

    rows: list[dict[str, Any]] = []
    console = Console(stderr=True, markup=False, highlight=False)
    if quiet or not console.is_terminal:
        yield lambda state: _plain(state, quiet)
        return
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeElapsedColumn())
    task = bar.add_task(name, total=epochs)
    with Live(bar, console=console, refresh_per_second=4) as live:

        def report(state: dict[str, Any]) -> None:
            rows.extend(state["metrics"])
            attempt = f", attempt {state['attempts']}" if state.get("attempts", 1) > 1 else ""
            bar.update(task, completed=len(rows), description=f"{state['state']}{attempt}, {name}")
            live.update(Group(Text(picture(rows)), bar) if rows else bar)

        yield report


def _plain(state: dict[str, Any], quiet: bool) -> None:
    import click

    for row in [] if quiet else state["metrics"]:
        click.echo("  ".join(f"{key} {value}" for key, value in row.items()), err=True)


def picture(rows: Sequence[dict[str, Any]], height: int = HEIGHT, width: int = WIDTH) -> str:
    """One column per epoch, the newest `width` of them at most, between the lowest and the highest value."""
    key = metric(rows)
    values = [float(row[key]) for row in rows if key and _is_number(row.get(key))][-width:]
    if not values:
        return ""
    low, high = min(values), max(values)
    levels = [1 + round((value - low) / (high - low or 1) * (height * 8 - 1)) for value in values]
    lines = ["".join(STEPS[min(max(level - 8 * row, 0), 8)] for level in levels) for row in reversed(range(height))]
    marks = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    edge = max(map(len, marks))
    return "\n".join(
        [
            f"{key} {values[-1]:.4g}",
            *(f"{mark:>{edge}} ┤{line}" for mark, line in zip(marks, lines, strict=True)),
        ]
    )


def metric(rows: Sequence[dict[str, Any]]) -> str | None:
    """Which number to draw: the accuracy on held-out data, else another measure of it, else a loss."""
    known = list(dict.fromkeys(key for row in rows for key, value in row.items() if _is_number(value)))
    held_out = [key for key in known if key.startswith("validation_")]
    ranked = [
        *(key for key in SHOWN if key in known),
        *(key for key in held_out if "loss" not in key),
        *held_out,
        *(key for key in known if "loss" in key),
    ]
    return ranked[0] if ranked else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
