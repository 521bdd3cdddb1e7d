"""What is fetched or made once, and kept: written beside its place, and put there in one step.

Two trainings may fetch the same at a time. Each writes into a folder of its own, and what is in place first stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A new folder on the target's disk that nobody else writes into; what is left in it goes at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def put(made: Path, target: Path) -> None:
    """A file or folder out of `beside` in its place; unless all of it is there by now, which stays as it is.

    A folder that lacks a part of it gives way.
    """
    if _whole(made, target):
        return
    try:
        if target.is_dir():
            target.rename(made.with_name("before"))
        made.rename(target)
    except OSError:  # somebody else is just doing the same: a folder is never put over another one
        if not _whole(made, target):
            raise


def _whole(made: Path, target: Path) -> bool:
    return target.exists() and all((target / path.relative_to(made)).exists() for path in made.rglob("*"))
