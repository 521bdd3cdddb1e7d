"""Limits that the bucket holds: two calls at the same time, calls that die, and what becomes of their markers."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access import slots
from shared.errors import BadInput, TooMany
from shared.storage.base import ObjectNotFound, Unavailable, list_all
from shared.storage.memory import MemoryStore
from tests.access.stepping import Caller, Killed, take_turns

BATCH, TRAINING, BYTES = "batch_jobs", "training_jobs", "upload_bytes"


def exists(store, key: str) -> bool:
    try:
        store.head(key)
    except ObjectNotFound:
        return False
    return True


def ended(store):
    return lambda name: exists(store, f"over/{name}") if exists(store, f"began/{name}") else None


def begin(store, name: str, most: int) -> None:
    """What a function does: the slot first, then the job."""
    slots.take(store, "ann", BATCH, name, most, ended(store))
    store.put(f"began/{name}", b"")


def end(store, name: str) -> None:
    store.put(f"over/{name}", b"")


def running(store: MemoryStore) -> set[str]:
    """Jobs that have begun and not ended: several runs of one are one job."""
    began = {info.key.removeprefix("began/") for info in list_all(store, "began/")}
    over = {info.key.removeprefix("over/") for info in list_all(store, "over/")}
    return {name.partition(".")[0] for name in began - over}


deaths = st.none() | st.tuples(st.integers(1, 9), st.booleans())


@settings(max_examples=200, deadline=None)
@given(
    most=st.integers(0, 3),
    before=st.integers(0, 4),
    jobs=st.lists(st.tuples(st.integers(0, 4), deaths, st.booleans()), min_size=1, max_size=5),
    order=st.lists(st.integers(0, 100), min_size=1, max_size=60),
)
def test_never_more_jobs_than_the_limit_and_nobody_is_locked_out(most, before, jobs, order) -> None:
    store = MemoryStore()
    for n in range(before):  # that ended long ago, with their markers still there
        if most:
            begin(store, f"old{n}.1", most)
            end(store, f"old{n}.1")

    def work(name: str, ends: bool):
        def call(turns) -> None:
            begin(turns, name, most)
            if ends:
                end(turns, name)

        return call

    callers = [
        Caller(work(f"job{job}.{n}", ends), *(death or (None, False))) for n, (job, death, ends) in enumerate(jobs)
    ]

    def look() -> None:
        assert len(running(store)) <= most

    take_turns(store, callers, order, look)
    assert all(caller.error is None or isinstance(caller.error, Killed | TooMany) for caller in callers)
    for n, (job, _, _) in enumerate(jobs):  # whatever became of them, they end
        if exists(store, f"began/job{job}.{n}"):
            end(store, f"job{job}.{n}")
    with patch.object(slots, "SETTLE", -1.0):  # later
        for n in range(most):
            begin(store, f"new{n}.1", most)
        with pytest.raises(TooMany):
            begin(store, "one-more.1", most)


@settings(max_examples=200, deadline=None)
@given(
    most=st.integers(0, 100),
    calls=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60), deaths), min_size=1, max_size=5),
    order=st.lists(st.integers(0, 100), min_size=1, max_size=60),
)
def test_never_more_bytes_than_the_limit_on_a_day(most, calls, order) -> None:
    store, sizes = MemoryStore(), {}
    for name, size, _ in calls:  # the same call has the same size
        sizes.setdefault(name, size)

    def work(name: int):
        def call(turns) -> None:
            slots.use_bytes(turns, "ann", f"u{name}", sizes[name], most)
            turns.put(f"began/u{name}", b"")

        return call

    callers = [Caller(work(name), *(death or (None, False))) for name, _, death in calls]

    def look() -> None:
        announced = {info.key.removeprefix("began/u") for info in list_all(store, "began/")}
        assert sum(sizes[int(name)] for name in announced) <= most

    take_turns(store, callers, order, look)
    assert all(caller.error is None or isinstance(caller.error, Killed | TooMany) for caller in callers)
    with patch.object(slots, "now", lambda: "2999-01-01T00:00:00.000Z"):  # the next day
        slots.use_bytes(store, "ann", "next", most, most)


def test_the_properties_notice_a_check_before_the_marker() -> None:
    """The negative control: a limit that lists first lets two calls in at the same time."""
    store = MemoryStore()

    def careless(name: str):
        def call(turns) -> None:
            if len(list(list_all(turns, "limits/ann/"))) >= 1:
                raise TooMany("full", 1)
            turns.put(f"limits/ann/{name}", b"")
            turns.put(f"began/{name}.1", b"")

        return call

    take_turns(store, [Caller(careless("a")), Caller(careless("b"))], [0, 1], lambda: None)
    assert len(running(store)) == 2


def test_two_at_once_where_one_has_room_may_both_be_refused() -> None:
    store = MemoryStore()
    callers = [Caller(lambda turns, name=name: begin(turns, name, 1)) for name in ("a.1", "b.1")]
    take_turns(store, callers, [0, 1], lambda: None)
    assert [type(caller.error) for caller in callers] == [TooMany, TooMany]
    begin(store, "a.1", 1)


def test_runs_of_one_job_are_one_job() -> None:
    store = MemoryStore()
    begin(store, "a.1", 1)
    begin(store, "a.2", 1)
    with pytest.raises(TooMany, match=r"limit batch_jobs: 1 jobs .* wait until one of them has ended") as refused:
        begin(store, "b.1", 1)
    assert refused.value.retry_after == 30


def test_the_bytes_of_one_call_count_once_and_those_of_a_refused_one_do_not() -> None:
    store = MemoryStore()
    for _ in range(3):
        slots.use_bytes(store, "ann", "u1", 60, 100)
    with pytest.raises(TooMany, match=r"limit upload_bytes: these are 50 bytes, and 40 of the 100") as refused:
        slots.use_bytes(store, "ann", "u2", 50, 100)
    assert 0 < refused.value.retry_after <= 86400
    slots.use_bytes(store, "ann", "u3", 40, 100)
    slots.use_bytes(store, "bob", "u4", 100, 100)


def test_many_markers_are_looked_at_together() -> None:
    store = MemoryStore()
    for n in range(100):
        begin(store, f"a{n}.1", 100)
        if n % 2:
            end(store, f"a{n}.1")
    for n in range(50):
        begin(store, f"b{n}.1", 100)
    with pytest.raises(TooMany):
        begin(store, "one-more.1", 100)
    assert len(running(store)) == 100


def test_without_a_limit_nothing_is_asked_of_the_store() -> None:
    slots.take(None, "ann", BATCH, "a.1", None, lambda name: None)  # type: ignore[arg-type]
    slots.use_bytes(None, "ann", "u1", 10**15, None)  # type: ignore[arg-type]


def test_a_call_that_cannot_list_leaves_no_marker() -> None:
    class Away(MemoryStore):
        def list_page(self, *args, **options):
            raise Unavailable("away")

    store = Away()
    for call in (
        lambda: slots.take(store, "ann", TRAINING, "a", 1, lambda name: None),
        lambda: slots.use_bytes(store, "ann", "u1", 1, 1),
    ):
        with pytest.raises(Unavailable):
            call()
    assert not MemoryStore.list_page(store, "limits/").objects


@pytest.mark.parametrize("owner", ["", "../x", "a/b", "a" * 65])
def test_an_owner_is_an_id(owner: str) -> None:
    with pytest.raises(BadInput):
        slots.use_bytes(MemoryStore(), owner, "u1", 1, 1)
