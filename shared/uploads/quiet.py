"""Waiting until a folder of the inbox is quiet, without a process that waits.

Nothing says how many files a folder gets. So a timer is started at each file's event, and the folder is taken when it
is the same at the timer's end as at its beginning: no clock of another machine decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol

from msgspec import Struct

from shared.storage.base import ObjectInfo

INCOMPLETE = 300  # seconds for which a folder that lacks files is waited for at least, once it is quiet


class QuietFolder(Struct, frozen=True):
    """The event at a timer's end. seen: the folder as it was at its beginning. by: who put the file that started it.

    last: that the folder is taken as it is, whatever it lacks.
    """

    model: str
    seen: str
    by: str
    last: bool = False
    look: Literal["inbox"] = "inbox"


class Timer(Protocol):
    """Raises Unavailable."""

    def start(self, folder: QuietFolder) -> None:
        """Have the ingest function called with `folder` later. Started twice, it calls at least once."""
        ...


def seen(objects: Iterable[ObjectInfo]) -> str:
    """32 hex digits for a folder as a listing shows it: other files, contents or times are another folder."""
    lines = sorted(f"{info.key}\n{info.etag}\n{info.modified!r}" for info in objects)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
