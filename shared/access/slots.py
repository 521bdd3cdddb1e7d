"""What a token uses of the limits that the bucket holds: markers, put before what they stand for, and then listed.

A call puts a marker of its own, lists all of its owner's, and goes on if they are within the limit; else it removes its
own and is refused. Of two calls at the same time at least one sees the other's marker: both may be refused, and never
are both let in where there is room for one. No call touches a marker that another one may still rely on, so that a call
which dies between two requests leaves one marker, at most, of something that did not begin.

Nothing has to happen when a job ends: its markers go when room is needed, after a look at what they stand for. What did
not begin within SETTLE seconds never will, since its function has ended by then. Bytes count for the day on which they
were announced, whatever becomes of them: the next day has markers of its own. The bucket's rules remove old markers.

    limits/{owner}/batch_jobs/{job}.{run}/{marker}
    limits/{owner}/training_jobs/{job}/{marker}
    limits/{owner}/upload_bytes/{day}/{id}.{bytes}/{marker}
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from shared import deadline, keys
from shared.access.limits import UPLOAD_BYTES
from shared.clock import now
from shared.errors import AmaasError, TooMany
from shared.storage.base import ObjectInfo, Store, list_all

SETTLE = 60.0  # seconds: longer than a function with routes may run, and clocks differ
WAIT = {"batch_jobs": 30, "training_jobs": 300}  # seconds after which it is worth trying again
DAY = 86400
PARALLEL = 16  # looks at jobs at the same time
REMEDY = "or ask an administrator for a token with a higher limit"

# whether what a marker's name stands for has ended; None if it has not begun, as far as is stored
Ended = Callable[[str], bool | None]


def take(store: Store, owner: str, limit: str, name: str, most: int | None, ended: Ended) -> None:
    """Take a slot for a job that is about to begin. Raises TooMany.

    owner: whose limit it is. name: of the job, with what tells its runs apart behind a dot. most: jobs at the same
    time; None for no limit.
    """
    if most is None:
        return
    folder = keys.slots(owner, limit)
    own = put_marker(store, f"{folder}{name}")
    try:
        fits = _jobs(store, folder, own, most, ended) <= most
    except Exception:
        remove_marker(store, own)
        raise
    if not fits:
        remove_marker(store, own)
        raise TooMany(
            f"limit {limit}: {most} jobs of this token may run at the same time, and that many do: wait until one of "
            f"them has ended, {REMEDY}",
            WAIT[limit],
        )


def _jobs(store: Store, folder: str, own: str, most: int, ended: Ended) -> int:
    """How many jobs have slots, after those of ended ones were removed if there are more than `most`."""
    markers = list(list_all(store, folder))
    if len({_job(folder, marker) for marker in markers}) <= most:
        return 0
    active = set()
    verdicts = _verdicts({_name(folder, marker) for marker in markers if marker.key != own}, ended)
    for marker in markers:
        if marker.key != own:
            verdict = verdicts[_name(folder, marker)]
            if verdict or (verdict is None and time.time() - marker.modified > SETTLE):
                store.delete(marker.key)
                continue
        active.add(_job(folder, marker))
    return len(active)


def _verdicts(names: set[str], ended: Ended) -> dict[str, bool | None]:
    if len(names) <= PARALLEL:
        return {name: ended(name) for name in sorted(names)}
    from concurrent.futures import ThreadPoolExecutor  # many at once, or a call would not see the last of them in time

    with ThreadPoolExecutor(PARALLEL) as pool:
        return dict(zip(names, pool.map(deadline.carry(ended), names), strict=True))


def use_bytes(store: Store, owner: str, name: str, size: int, most: int | None) -> None:
    """Count bytes that are about to be announced against today's limit. Raises TooMany.

    name: of the announcement, the same for repetitions of one call, which count once.
    """
    if most is None:
        return
    today = now()[:10]
    folder = f"{keys.slots(owner, UPLOAD_BYTES)}{today}/"
    own = put_marker(store, f"{folder}{name}.{size}")
    try:
        used = sum({_name(folder, marker): count_in(folder, marker) for marker in list_all(store, folder)}.values())
    except Exception:
        remove_marker(store, own)
        raise
    if used > most:
        remove_marker(store, own)
        raise TooMany(
            f"limit {UPLOAD_BYTES}: these are {size:,} bytes, and {max(most - used + size, 0):,} of the {most:,} that "
            f"this token may announce on one day are left: wait until 00:00 UTC, {REMEDY}",
            int(DAY - time.time() % DAY) + 1,
        )


def put_marker(store: Store, folder: str) -> str:
    """Returns its key."""
    key = f"{folder}/{os.urandom(8).hex()}"
    store.put(key, b"")
    return key


def remove_marker(store: Store, key: str) -> None:
    """Best effort: one that stays is taken for what did not begin, or counts until the day ends."""
    with contextlib.suppress(AmaasError):
        store.delete(key)


def _name(folder: str, marker: ObjectInfo) -> str:
    return marker.key.removeprefix(folder).partition("/")[0]


def _job(folder: str, marker: ObjectInfo) -> str:
    return _name(folder, marker).partition(".")[0]


def count_in(folder: str, marker: ObjectInfo) -> int:
    """The number behind a marker's name."""
    digits = _name(folder, marker).rpartition(".")[2]
    return int(digits) if digits.isdecimal() else 0
