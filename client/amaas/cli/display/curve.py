"""The curve of a training: a bar of its epochs, and a picture of one metric in characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amaas.cli.display.terminal import Terminal
from amaas.cli.display.text import echo

STEPS = " ▁▂▃▄▅▆▇█"
HEIGHT, WIDTH = 6, 60
PREFERRED = ("validation_accuracy", "accuracy")
OnState = Callable[[dict[str, Any]], None]


@contextmanager
def training_progress(name: str, epochs: int | None, *, quiet: bool) -> Iterator[OnState]:
    """Yields on_state, which takes states of a job: `state`, and `metrics` with the new rows.

    At a terminal a bar and a curve; elsewhere one line per epoch on standard error. Nothing when quiet.
    """
    console = Terminal(stderr=True, markup=False, highlight=False)
    if quiet:
        yield lambda state: None
    elif console.is_terminal:
        with _live(console, name, epochs) as on_state:
            yield on_state
    else:
        yield _print_rows


@contextmanager
def _live(console: Terminal, name: str, epochs: int | None) -> Iterator[OnState]:
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    rows: list[dict[str, Any]] = []
    description = TextColumn("{task.description}", markup=False)
    bar = Progress(SpinnerColumn(), description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    task = bar.add_task(name, total=epochs)
    with Live(bar, console=console, refresh_per_second=4) as live:

        def on_state(state: dict[str, Any]) -> None:
            rows.extend(state["metrics"])
            attempt = f", attempt {state['attempts']}" if state.get("attempts", 1) > 1 else ""
            bar.update(task, completed=len(rows), description=f"{state['state']}{attempt}, {name}")
            live.update(Group(Text(picture(rows)), bar) if rows else bar)

        yield on_state


def _print_rows(state: dict[str, Any]) -> None:
    for row in state["metrics"]:
        echo("  ".join(f"{key} {value}" for key, value in row.items()), err=True)


def picture(rows: Sequence[dict[str, Any]], height: int = HEIGHT, width: int = WIDTH) -> str:
    """One column per epoch, of the newest `width` ones, between the lowest and the highest value."""
    key = metric(rows)
    values = [float(row[key]) for row in rows if key and _is_number(row.get(key))][-width:]
    if not values:
        return ""
    low, high = min(values), max(values)
    levels = [1 + round((value - low) / (high - low or 1) * (height * 8 - 1)) for value in values]
    lines = ["".join(STEPS[min(max(level - 8 * row, 0), 8)] for level in levels) for row in reversed(range(height))]
    marks = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    edge = max(map(len, marks))
    drawn = (f"{mark:>{edge}} ┤{line}" for mark, line in zip(marks, lines, strict=True))
    return "\n".join([f"{key} {values[-1]:.4g}", *drawn])


def metric(rows: Sequence[dict[str, Any]]) -> str | None:
    """The metric to draw: the accuracy on held-out data, else another measure of it, else a loss."""
    keys = list(dict.fromkeys(key for row in rows for key, value in row.items() if _is_number(value)))
    held_out = [key for key in keys if key.startswith("validation_")]
    ranked = [
        *(key for key in PREFERRED if key in keys),
        *(key for key in held_out if "loss" not in key),
        *held_out,
        *(key for key in keys if "loss" in key),
    ]
    return ranked[0] if ranked else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
