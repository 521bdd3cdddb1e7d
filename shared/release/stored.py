"""The counts that a canary is judged by, as they are stored: of both versions, since its stage began."""

from __future__ import annotations

from typing import NamedTuple

from shared.counts import read
from shared.counts.counts import to_rows
from shared.counts.times import DAY
from shared.feedback import stored as labels
from shared.feedback.labels import judged
from shared.registry.releases import WRONG_LABEL
from shared.release import counted
from shared.release.counted import Minute
from shared.release.watch import Canary
from shared.storage.base import Store

APART = 60  # minutes by which the clocks of processes may be wrong, and their counts still be found


class StageCounts(NamedTuple):
    """left_out, dropped: what is missing in them, see counts/read.py."""

    minutes: list[Minute]
    left_out: int
    dropped: int


def counts_of(store: Store, canary: Canary, now: int) -> StageCounts:
    """now: minutes since the epoch. Raises Unavailable."""
    first, last = canary.stage.began - APART, now + APART
    selection = read.read(store, read.Wanted(model=canary.model, alias=canary.alias, first=first, last=last))
    roles, since = canary.stage.roles, canary.stage.since
    minutes = counted.minutes(to_rows(selection.table), roles, since)
    missing = selection.left_out
    if WRONG_LABEL in canary.policy.metrics:
        given = labels.read(store, canary.model, first // DAY, last // DAY)
        minutes = counted.with_labels(minutes, judged(given.labels), roles, since)
        missing += given.left_out
    return StageCounts(minutes, missing, selection.dropped)
