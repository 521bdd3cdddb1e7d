"""The progress of an upload and of a batch job, on standard error, so that standard output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def sending(name: str, *, quiet: bool, then: str = "checking") -> Iterator[Callable[[int, int], None] | None]:
    """Gives what Client.push takes as on_progress: a bar while bytes go out, then a spinner for what follows.

    Gives None, and shows nothing, when quiet or when nobody sits at a terminal.
    """
    from rich.console import Console

    console = Console(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    said = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), said, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"sending {name}", total=None)

        def report(sent: int, total: int) -> None:
            bar.update(task, completed=sent, total=total)
            if sent == total:
                bar.columns = (SpinnerColumn(), said)
                bar.update(task, description=f"{then} {name}")

        yield report


@contextmanager
def following(job: str, *, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Gives what Client.batch_wait takes as on_state: a bar of the inputs that are done. None as above."""
    from rich.console import Console

    console = Console(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    said = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), said, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"batch job {job}", total=None)

        def report(state: dict[str, Any]) -> None:
            bar.update(task, completed=state["done"], total=state["inputs"], description=f"{state['state']}, {job}")

        yield report
