"""The progress of an upload and of a batch job, on standard error, so that standard output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from amaas.cli.display.terminal import Terminal


@contextmanager
def upload_progress(
    name: str, *, quiet: bool, verb: str = "sending", then: str = "checking"
) -> Iterator[Callable[[int, int], None] | None]:
    """Yields on_progress of Client.push: a bar while bytes are sent, then a spinner for what follows.

    Yields None, and shows nothing, when quiet or without a terminal.
    """
    console = Terminal(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    description = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), description, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{verb} {name}", total=None)

        def on_progress(sent: int, total: int) -> None:
            bar.update(task, completed=sent, total=total)
            if sent == total:
                bar.columns = (SpinnerColumn(), description)
                bar.update(task, description=f"{then} {name}")

        yield on_progress


@contextmanager
def batch_progress(job: str, *, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Yields on_state of Client.wait_for_batch_job: a bar of the finished inputs. None as above."""
    console = Terminal(stderr=True, markup=False)
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    description = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"batch job {job}", total=None)

        def on_state(state: dict[str, Any]) -> None:
            bar.update(task, completed=state["done"], total=state["inputs"], description=f"{state['state']}, {job}")

        yield on_state
