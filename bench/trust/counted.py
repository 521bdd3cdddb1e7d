"""Counts of calls: what is read is what was called, less what killed processes had not written."""

from __future__ import annotations

from bench.trust.proof import Outcome, red, replaced
from shared.counts import merge
from tests.proofs import counts


def calls(count: int, seed: int) -> Outcome:
    """count: calls over 50 processes, whose clocks differ; some are killed, replies of the store are lost."""
    return red(lambda: _checked(count, seed))


def _checked(count: int, seed: int) -> Outcome:
    world = counts.check(seed, count)
    figures = {
        "killed": world.killed,
        "calls that they had not written": sum(world.lost.values()),
        "read": sum(world.requests().values()),
        "merges": world.merges,
    }
    return Outcome(count, figures)


def merged_twice(seed: int) -> Outcome:
    """Without the names of what was merged: an object that turns up again counts twice."""
    with replaced((merge, "is_merged", lambda total, key: False)):
        return red(lambda: Outcome(counts.check(seed, 1500, 8, 60).merges))
