"""The progress of an upload, on standard error, so that standard output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def sending(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what Client.push takes as on_progress: a bar while bytes go out, then a spinner during the checks.

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
                bar.update(task, description=f"checking {name}")

        yield report
