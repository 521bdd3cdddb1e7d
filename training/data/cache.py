"""The cache of what is fetched or generated once: written beside its place, and moved there in one step.

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


def publish(draft: Path, target: Path) -> None:
    """A file or folder out of `beside` in its place; unless all of it is there by now, which stays as it is.

    A folder that lacks a part of it gives way.
    """
    if _whole(draft, target):
        return
    try:
        if target.is_dir():
            target.rename(draft.with_name("before"))
        draft.rename(target)
    except OSError:  # somebody else is just doing the same: a folder is never put over another one
        if not _whole(draft, target):
            raise


def _whole(draft: Path, target: Path) -> bool:
    return target.exists() and all((target / path.relative_to(draft)).exists() for path in draft.rglob("*"))
