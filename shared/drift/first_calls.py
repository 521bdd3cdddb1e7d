"""The first days of calls of a version: what its outputs are compared with, where its package has no reference.

Of inputs there are no bins without a reference, and so no counts.
"""

from __future__ import annotations

from shared.clock import minute_of
from shared.counts import read
from shared.counts.counts import Counts
from shared.counts.read import Wanted
from shared.counts.times import DAY
from shared.registry.state import Version
from shared.storage.base import Store

DAYS = 7  # with calls: each day of a week once
WITHIN = 30  # days of the registration, each of which is a request


def of(store: Store, model: str, version: Version, until: int) -> Counts | None:
    """Of days that were over at a minute; None where there were fewer than DAYS. Raises Unavailable."""
    if not version.created_at:
        return None
    registered = minute_of(version.created_at)
    first = registered - registered % DAY
    last = min(first + WITHIN * DAY, until - until % DAY)
    if last - first < DAYS * DAY:
        return None
    selection = read.read(store, Wanted(model=model, first=first, last=last, step=DAY, version=version.version))
    days = sorted({at for (_, at), counts in selection.table.items() if counts.scores or counts.labels})[:DAYS]
    if len(days) < DAYS:
        return None
    total = Counts()
    for (_, at), counts in selection.table.items():
        if at in days:
            total.add(counts)
    return total
