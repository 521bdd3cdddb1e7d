"""What is read is what was called, less what killed processes had not written; and the proof finds what is broken."""

from __future__ import annotations

import itertools

import pytest

from shared.counts import merge, unwritten
from shared.storage.base import Store
from tests.proofs import counts as proof

CALLS, PROCESSES, MERGES = 1500, 8, 60


@pytest.mark.parametrize("seed", range(2))
def test_the_sum_is_the_log_less_what_the_killed_had_not_written(seed: int) -> None:
    world = proof.check(seed, CALLS, PROCESSES, MERGES)
    assert world.killed > 3 and world.merges > 30
    assert 0 < sum(world.lost.values()) < CALLS / 2


def test_a_kill_takes_no_call_older_than_a_minute_after_the_last_write() -> None:
    assert 0 < proof.lost_since_written(1) <= unwritten.EVERY


def test_a_merger_that_does_not_know_what_it_has_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the names of what was merged, an object that turns up again counts twice."""
    monkeypatch.setattr(merge, "is_merged", lambda total, key: False)
    with pytest.raises(AssertionError):
        proof.check(0, CALLS, PROCESSES, MERGES)


def test_a_merger_that_does_not_look_what_others_wrote_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: hours that are replaced whatever they are now."""
    put = proof.MemoryStore.put

    def careless(self: proof.MemoryStore, key: str, body: bytes, **options: object) -> str:
        return put(self, key, body)

    monkeypatch.setattr(proof.MemoryStore, "put", careless)
    with pytest.raises(AssertionError):
        proof.check(3, CALLS, PROCESSES, MERGES)  # a merger is overtaken there just as it writes


def test_a_writer_that_takes_a_new_name_for_each_attempt_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a reply that was lost counts twice."""
    numbers = itertools.count(10**6)

    def renaming(self: unwritten.Unwritten, store: Store) -> None:
        while self._begun:
            key, body = self._begun[0]
            key = f"{key.rpartition('-')[0]}-{next(numbers)}"
            store.put(key, body)
            del self._begun[0]

    monkeypatch.setattr(unwritten.Unwritten, "_put", renaming)
    with pytest.raises(AssertionError):
        proof.check(0, CALLS, PROCESSES, MERGES)
