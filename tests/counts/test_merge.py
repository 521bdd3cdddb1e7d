"""Every raw object is in a sum once, and only once, whatever happens on the way; readers see it before and after."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import keys
from shared.counts import forms, merge, read
from shared.counts.counts import Counts, Key, Row, Table, add_rows
from shared.counts.read import Wanted
from shared.counts.times import DAY, day_of, hour_of, minute_of
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from tests.counts import strategies
from tests.failing import WRITES, Call, FailingStore, Fault, Plan

NOON = minute_of("20260131T12")
KEY = Key("m", 1, "production", 3)
ALL = Wanted(model="m", first=NOON - 2 * DAY, last=NOON + 2 * DAY)


def put(store: MemoryStore, number: int, at: int = NOON, requests: int = 1, process: str = "0" * 16) -> str:
    row = Row(
        model=KEY.model, version=KEY.version, alias=KEY.alias, since=KEY.since, at=at, counts=Counts(requests=requests)
    )
    key = keys.stats_raw(hour_of(at), 0, process, number)
    store.put(key, forms.pack(forms.Raw(rows=[row])))
    return key


def seen(store: Any, wanted: Wanted = ALL) -> int:
    return sum(counts.requests for counts in read.read(store, wanted).table.values())


def raws(store: MemoryStore) -> list[str]:
    return [info.key for info in store.list_page(keys.STATS_RAW).objects]


class Counting:
    """A store that notes which operations it was asked for."""

    def __init__(self, store: MemoryStore) -> None:
        self._store, self.asked = store, []

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **options: Any) -> Any:
            self.asked.append(name)
            return getattr(self._store, name)(*args, **options)

        return ask


def test_where_nothing_is_new_one_listing_is_all() -> None:
    store = Counting(MemoryStore())
    assert merge.merge(store).added == 0
    assert store.asked == ["list_page"]


def test_readers_see_the_same_before_and_after_a_merge() -> None:
    store = MemoryStore()
    for number in range(5):
        put(store, number, NOON + number)
    before = read.read(store, ALL)
    assert merge.merge(store).added == 5
    assert raws(store) == []
    assert read.read(store, ALL) == before
    assert seen(store) == 5


def test_an_object_that_turns_up_again_is_not_counted_again() -> None:
    store = MemoryStore()
    put(store, 1)
    merge.merge(store)
    put(store, 1)  # a writer repeats what it had no answer to
    assert seen(store) == 1
    merge.merge(store)
    assert (seen(store), raws(store)) == (1, [])


@given(st.lists(strategies.row, max_size=12), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_is_merged_and_read_is_what_was_written(rows: list[Row], seed: int) -> None:
    store, random_ = MemoryStore(), random.Random(seed)
    for number, row in enumerate(rows):
        process = f"{random_.randrange(3):016x}"
        store.put(keys.stats_raw(hour_of(row.at), 0, process, number), forms.pack(forms.Raw(rows=[row])))
        if random_.random() < 0.3:
            merge.merge(store)
    for model in ("a", "b"):
        expected: Table = {}
        add_rows(expected, [row for row in rows if row.model == model])
        wanted = Wanted(model=model, first=28_000_000, last=28_000_300)
        assert read.read(store, wanted).table == expected
        by_hour: Table = {}
        add_rows(by_hour, [row for row in rows if row.model == model], 60)
        whole = Wanted(model=model, first=28_000_000 - DAY, last=28_000_300, step=60)
        assert read.read(store, whole).table == by_hour


def dying(operation: int, *, after: bool) -> Plan:
    """A process ends before or after its n-th operation that writes."""
    numbers = itertools.count()

    def plan(call: Call) -> Fault | None:
        if call.operation not in WRITES or next(numbers) < operation:
            return None
        return Fault(after=Unavailable("dead")) if after else Fault(before=Unavailable("dead"))

    return plan


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", range(8))
def test_a_merger_may_die_at_any_point(operation: int, after: bool) -> None:
    store = MemoryStore()
    for number in range(3):
        put(store, number)
        put(store, number + 10, NOON + 70)
    with suppress(Unavailable):
        merge.merge(FailingStore(store, dying(operation, after=after)))
    assert seen(store) == 6
    merge.merge(store)
    assert (seen(store), raws(store)) == (6, [])


def test_two_mergers_and_a_reader_at_once() -> None:
    """With writers that repeat their writes: no reader ever sees more than was written, and in the end all is there."""
    store = MemoryStore()
    stop, read_ = threading.Event(), [0]
    written = 0

    def merging() -> None:
        while not stop.is_set():
            merge.merge(store)

    def reading() -> None:
        while not stop.is_set():
            with suppress(Unavailable):  # it was merged each time that it was read
                found = seen(store)
                assert read_[-1] <= found <= written
                read_.append(found)

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(work) for work in (merging, merging, reading)]
        for number in range(150):
            written = number + 1
            put(store, number, NOON + number % 3)
            if number > 5 and number % 5 == 0:
                put(store, number - 5, NOON + (number - 5) % 3)
        stop.set()
        for one in working:
            one.result()
    merge.merge(store)
    assert (seen(store), raws(store), read_[-1] > 0) == (150, [], True)


def test_what_is_damaged_is_left_out_and_said_and_stops_nothing() -> None:
    store = MemoryStore()
    put(store, 1)
    bad = put(store, 2)
    body = store.get(bad).body
    store.put(bad, body[:-3])
    empty = put(store, 3)
    store.put(empty, b"")
    assert read.read(store, ALL).left_out == 2
    done = merge.merge(store)
    assert (done.added, done.left_out, done.found_damaged) == (1, 2, 2)
    assert raws(store) == [bad, empty]
    assert (seen(store), read.read(store, ALL).left_out) == (1, 2)
    again = merge.merge(store)
    assert (again.added, again.left_out, again.found_damaged) == (0, 2, 0)  # the alarm rings once
    store.put(bad, body)  # it was restored
    assert read.read(store, ALL).left_out == 1
    merge.merge(store)
    assert (seen(store), read.read(store, ALL).left_out) == (2, 1)


def test_rows_of_another_hour_than_the_key_says_are_damage() -> None:
    store = MemoryStore()
    body = store.get(put(store, 1, NOON)).body
    store.put(keys.stats_raw(hour_of(NOON + 60), 0, "0" * 16, 1), body)
    assert merge.merge(store).found_damaged == 1
    assert seen(store) == 1


def test_an_hour_that_is_damaged_is_said_and_the_others_are_read() -> None:
    store = MemoryStore()
    put(store, 1, NOON)
    put(store, 2, NOON + 60)
    merge.merge(store)
    store.put(keys.stats_hour(hour_of(NOON)), b"damaged")
    found = read.read(store, ALL)
    assert (seen(store), found.left_out) == (1, 1)
    put(store, 3, NOON)
    assert merge.merge(store).found_damaged == 1
    assert (seen(store), len(raws(store))) == (2, 1)


def by_day() -> Wanted:
    return Wanted(model="m", first=NOON - NOON % DAY - 89 * DAY, last=NOON - NOON % DAY + DAY, step=DAY)


def test_ninety_days_are_read_in_ninety_requests() -> None:
    store = MemoryStore()
    first = NOON - NOON % DAY - 89 * DAY
    for number in range(90 * 24):
        put(store, number, first + number * 60)
    merge.merge(store)
    counting = Counting(store)
    assert seen(counting, by_day()) == 90 * 24
    assert counting.asked.count("get") == 90
    assert counting.asked.count("list_page") <= 4


def test_a_day_that_is_not_as_its_hours_are_is_not_believed() -> None:
    store = MemoryStore()
    put(store, 1)
    merge.merge(store)
    day = keys.stats_day("m", day_of(NOON))
    old = store.get(day).body
    put(store, 2)
    assert seen(store, by_day()) == 2
    merge.merge(store)
    assert seen(store, by_day()) == 2
    for body in (old, b"damaged"):
        store.put(day, body)
        assert seen(store, by_day()) == 2
    store.delete(day)
    assert seen(store, by_day()) == 2
    merge.make_days(store, day_of(NOON))
    assert seen(store, by_day()) == 2


def test_a_day_keeps_what_it_has_of_hours_that_are_gone() -> None:
    store = MemoryStore()
    put(store, 1, NOON, 5)
    put(store, 2, NOON + 60, 7)
    merge.merge(store)
    store.delete(keys.stats_hour(hour_of(NOON)))  # it expired
    assert seen(store, by_day()) == 12
    put(store, 3, NOON + 120, 1)  # of a process that slept for very long
    merge.merge(store)
    assert seen(store, by_day()) == 13


def test_the_present_day_has_no_object_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge.time, "time", lambda: NOON * 60.0)
    store = MemoryStore()
    put(store, 1)
    merge.merge(store)
    assert store.list_page("stats/models/").objects == []
    assert seen(store, by_day()) == 1
    monkeypatch.setattr(merge.time, "time", lambda: (NOON + DAY) * 60.0)
    merge.make_days(store, day_of(NOON))
    assert [info.key for info in store.list_page("stats/models/").objects] == ["stats/models/m/20260131"]
