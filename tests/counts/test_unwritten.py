"""What a process has counted reaches the bucket once, whatever its writes come to; memory is bounded."""

from __future__ import annotations

import copy
import threading
import zlib

import pytest

from shared import keys
from shared.counts import forms, unwritten
from shared.counts.counts import Counts, Key, Table, add_rows
from shared.counts.times import hour_of, minute_of
from shared.counts.unwritten import Unwritten
from shared.errors import Unavailable as Damaged
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from tests.failing import Call, FailingStore, Fault

KEY = Key("m", 1, "production", 3)
NOON = minute_of("20260131T12")


class Clock:
    def __init__(self, minute: float) -> None:
        self.seconds = minute * 60.0

    def __call__(self) -> float:
        return self.seconds


def stored(store: MemoryStore) -> dict[str, forms.Raw]:
    return {
        info.key: forms.unpack(forms.RAW, store.get(info.key).body, info.key)
        for info in store.list_page(keys.STATS_RAW).objects
    }


def summed(store: MemoryStore) -> Table:
    table: Table = {}
    for raw in stored(store).values():
        add_rows(table, raw.rows)
    return table


def test_the_first_calls_are_written_at_once_and_then_once_a_minute() -> None:
    store, clock = MemoryStore(), Clock(NOON)
    counted = Unwritten(clock)
    assert not counted.is_due()
    counted.add(KEY, NOON, Counts(requests=1))
    assert counted.is_due()
    counted.write(store)
    counted.add(KEY, NOON, Counts(requests=1))
    clock.seconds += 59
    assert not counted.is_due()
    clock.seconds += 1
    assert counted.is_due()
    counted.write(store)
    assert not counted.is_due()
    assert len(stored(store)) == 2
    assert summed(store) == {(KEY, NOON): Counts(requests=2)}


def test_a_clock_that_is_set_back_stops_no_writing() -> None:
    clock = Clock(NOON)
    counted = Unwritten(clock)
    counted.add(KEY, NOON, Counts(requests=1))
    counted.write(MemoryStore())
    clock.seconds -= 3600
    counted.add(KEY, NOON - 60, Counts(requests=1))
    assert counted.is_due()


def test_each_object_is_of_one_hour() -> None:
    store = MemoryStore()
    counted = Unwritten(Clock(NOON + 1))
    for minute in (NOON - 1, NOON, NOON + 1):
        counted.add(KEY, minute, Counts(requests=1))
    counted.write(store)
    parsed = [keys.parse_stats_raw(key) for key in stored(store)]
    assert [(one[0], one[2]) for one in parsed if one] == [("20260131T11", 1), ("20260131T12", 2)]
    for key, raw in stored(store).items():
        named = keys.parse_stats_raw(key)
        assert named is not None
        assert {hour_of(row.at) for row in raw.rows} == {named[0]}


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_write_that_failed_is_repeated_with_the_same_bytes(lost: str) -> None:
    """Whether it took effect or not: its rows are there once."""
    inner = MemoryStore()
    failing = True

    def plan(call: Call) -> Fault | None:
        if not failing:
            return None
        return Fault(before=Unavailable("no connection")) if lost == "before" else Fault(after=Unavailable("no answer"))

    counted = Unwritten(Clock(NOON))
    counted.add(KEY, NOON, Counts(requests=1))
    for _ in range(3):
        with pytest.raises(Unavailable):
            counted.write(FailingStore(inner, plan))
        counted.add(KEY, NOON, Counts(requests=1))
    failing = False
    counted.write(FailingStore(inner, plan))
    assert summed(inner) == {(KEY, NOON): Counts(requests=4)}
    assert len(stored(inner)) == 2


def test_with_too_many_rows_hours_stay_right_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwritten, "MOST_ROWS", 10)
    store = MemoryStore()
    counted = Unwritten(Clock(NOON + 100))
    for minute in range(50):
        counted.add(KEY, NOON + minute, Counts(requests=1))
    for version in range(2, 20):
        counted.add(Key("m", version), NOON, Counts(requests=1))
    counted.write(store)
    table = summed(store)
    assert sum(counts.requests for (key, _), counts in table.items() if key == KEY) == 50
    dropped = sum(raw.dropped for raw in stored(store).values())
    assert dropped > 0
    assert sum(counts.requests for counts in table.values()) + dropped == 68
    counted.write(store)
    assert sum(raw.dropped for raw in stored(store).values()) == dropped


def test_copies_of_one_process_have_names_of_their_own() -> None:
    store, first = MemoryStore(), Unwritten(Clock(NOON))
    first._lock = first._writing = None  # type: ignore[assignment]  # no lock can be copied
    second = copy.deepcopy(first)
    for one in (first, second):
        one._lock, one._writing = threading.Lock(), threading.Lock()
        one.add(KEY, NOON, Counts(requests=1))
        one.write(store)
    assert len(stored(store)) == 2


def test_a_body_that_is_damaged_or_too_new_is_refused() -> None:
    body = forms.pack(forms.Raw(rows=[]))
    with pytest.raises(Damaged, match="damaged"):
        forms.unpack(forms.RAW, body[:-4], "k")
    with pytest.raises(Damaged, match="damaged"):
        forms.unpack(forms.RAW, b"{}", "k")
    packer = zlib.compressobj(wbits=31)
    later = packer.compress(b'{"format":2,"rows":[],"more":1}') + packer.flush()
    with pytest.raises(Damaged, match="later release"):
        forms.unpack(forms.RAW, later, "k")


def test_ranges_hold_what_was_put_in() -> None:
    ranges: forms.Ranges = []
    for number in (5, 1, 2, 9, 3, 4, 4):
        forms.include(ranges, number)
    assert ranges == [[1, 5], [9, 9]]
    assert [n for n in range(12) if forms.includes(ranges, n)] == [1, 2, 3, 4, 5, 9]
