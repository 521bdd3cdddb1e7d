"""What one process has counted and not written yet; it writes at most once a minute, and all that there is.

An object's key has a random name of the process and a number that stands for one content only, so writing it again,
after a reply that was lost, changes nothing: no condition is needed, nor a right to read. What has been merged and
turns up again under its key is not counted again (merge.py).

Lost at most: what a process that is killed has counted since it last wrote, which is its last minute of calls.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Key, Table, to_rows
from shared.counts.times import HOUR, hour_of
from shared.storage.base import Store

EVERY = 60.0  # seconds between two writes
MOST_ROWS = 2048  # of keys and minutes, each of some kilobytes: reached only where the store is away for long


class Unwritten:
    """Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._table: Table = {}
        self._dropped = 0
        # not before it is needed: processes that are copies of one snapshot must not have the same
        self._process = ""
        self._number = 0
        # objects whose writing has begun: key and body, which stay the same until it is known that they are there
        self._begun: list[tuple[str, bytes]] = []
        self._written: float | None = None

    def add(self, key: Key, at: int, counts: Counts) -> None:
        """Add what was counted in a minute."""
        with self._lock:
            present = self._table.get((key, at))
            if present is None and len(self._table) >= MOST_ROWS:
                self._coarsen()
                present = self._table.get((key, at))
                if present is None and len(self._table) >= MOST_ROWS:
                    self._dropped += counts.requests
                    return
            if present is None:
                self._table[key, at] = counts
            else:
                present.add(counts)

    def _coarsen(self) -> None:
        """Add the minutes of each hour up to one row: sums of hours stay right, their minutes are not known."""
        coarse: Table = {}
        for (key, at), counts in self._table.items():
            coarse.setdefault((key, at - at % HOUR), Counts()).add(counts)
        self._table = coarse

    def is_due(self) -> bool:
        """Whether there is something to write, and nothing was written in the last minute."""
        if not (self._table or self._begun or self._dropped):
            return False
        return self._written is None or not 0 <= self._clock() - self._written < EVERY

    def write(self, store: Store) -> None:
        """Write all that there is. Raises Unavailable: then it is written with the next call."""
        with self._writing:
            self._written = self._clock()
            self._put(store)  # what an earlier call did not get through, first
            self._begin()
            self._put(store)

    def _put(self, store: Store) -> None:
        while self._begun:
            key, body = self._begun[0]
            store.put(key, body, content_type=forms.GZIP)
            del self._begun[0]

    def _begin(self) -> None:
        """Make an object of each hour's rows."""
        with self._lock:
            table, self._table = self._table, {}
            dropped, self._dropped = self._dropped, 0
        now = int(self._clock() // 60)
        hours: dict[str, Table] = {hour_of(now): {}} if dropped else {}
        for (key, at), counts in table.items():
            hours.setdefault(hour_of(at), {})[key, at] = counts
        for hour, rows in hours.items():
            self._process = self._process or os.urandom(8).hex()
            self._number += 1
            raw = forms.Raw(rows=to_rows(rows), dropped=dropped if hour == hour_of(now) else 0)
            self._begun.append((keys.stats_raw(hour, now % HOUR, self._process, self._number), forms.pack(raw)))
