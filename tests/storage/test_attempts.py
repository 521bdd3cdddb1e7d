"""How often a call of the store is sent, how long it waits, what others do meanwhile: by a clock of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from shared import deadline
from shared.storage import attempts
from shared.storage.attempts import AWAY, PATIENCE, PROBE, UNLIMITED, Attempts, Passing
from shared.storage.base import ObjectNotFound, Unavailable


class Time:
    """Goes on when somebody sleeps, or when an attempt takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(deadline, "clock", lambda: self.now)
        self.random = random.Random(0)
        self.attempts = Attempts(lambda: self.now, self.pass_by, lambda most: self.random.uniform(0, most))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


class Server:
    """Answers from a moment on; before it, an error at once, or nothing until the time limit."""

    def __init__(self, time: Time, back_at: float, *, stalls: bool = False) -> None:
        self.time, self.back_at, self.stalls = time, back_at, stalls
        self.limits: list[float] = []

    def send(self, limit: float) -> str:
        self.limits.append(limit)
        if self.time.now < self.back_at:
            self.time.pass_by(limit if self.stalls else 0.005)
            raise Passing("SlowDown")
        self.time.pass_by(0.01)
        return "here"


def fails(call: Callable[[], object]) -> str:
    with pytest.raises(Unavailable) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("seconds", [None, 28.0, 5.0])
def test_a_burst_of_a_second_is_not_seen(time: Time, seconds: float | None) -> None:
    for seed in range(2000):
        time.random = random.Random(seed)
        server = Server(time, time.now + 1.0)
        with deadline.within(seconds):
            assert time.attempts.make(server.send) == "here"


def test_pauses_are_spread(time: Time) -> None:
    """Of a hundred callers who were refused at the same time, no tenth of a second gets the half again."""
    ends = []
    for seed in range(100):
        time.random = random.Random(seed)
        time.now = 100.0
        server = Server(time, 100.9)
        time.attempts.make(server.send)
        ends.append(round(time.now, 1))
    assert max(ends.count(end) for end in ends) < 50


def test_patience_ends(time: Time) -> None:
    server = Server(time, 1e9)
    assert fails(lambda: time.attempts.make(server.send)) == "SlowDown"
    assert 100 + PATIENCE - attempts.LONGEST_PAUSE <= time.now <= 100 + PATIENCE + 0.1
    assert len(server.limits) <= attempts.MOST


def test_a_stalled_store_is_left_within_the_deadline(time: Time) -> None:
    for seconds, expected in ((28.0, 10.0), (9.0, 9.0), (3.0, 3.0), (0.7, 0.7)):
        start, server = time.now, Server(time, 1e9, stalls=True)
        with deadline.within(seconds):
            fails(lambda server=server: time.attempts.make(server.send))
        assert time.now - start <= expected + attempts.LONGEST_PAUSE
        assert time.now - start <= seconds
        time.now += AWAY


def test_without_a_deadline_an_attempt_may_take_long(time: Time) -> None:
    server = Server(time, 0.0)
    time.attempts.make(server.send)
    assert server.limits == [UNLIMITED]


def test_no_time_no_request(time: Time) -> None:
    server = Server(time, 0.0)
    with deadline.within(0.2):
        assert "time of this call is used up" in fails(lambda: time.attempts.make(server.send))
    assert server.limits == []
    assert time.attempts.make(server.send) == "here"  # which says nothing about the store


def test_while_the_store_is_away_one_call_a_second_tries(time: Time) -> None:
    server = Server(time, 1e9, stalls=True)
    with deadline.within(28.0):
        fails(lambda: time.attempts.make(server.send))
    server.limits.clear()
    start = time.now
    for _ in range(1000):
        before = time.now
        with deadline.within(28.0):
            fails(lambda: time.attempts.make(server.send))
        assert time.now - before <= PROBE + 1e-6
        time.pass_by(0.01)
    assert len(server.limits) <= (time.now - start) / AWAY
    assert set(server.limits) == {PROBE}


def test_the_next_call_after_that_second_sees_that_it_is_back(time: Time) -> None:
    server = Server(time, 1e9)
    fails(lambda: time.attempts.make(server.send))
    server.back_at = time.now
    assert "did not answer a moment ago" in fails(lambda: time.attempts.make(server.send))
    time.pass_by(AWAY)
    assert time.attempts.make(server.send) == "here"
    assert time.attempts.make(server.send) == "here"


def test_an_answer_that_is_an_error_is_an_answer(time: Time) -> None:
    server = Server(time, 1e9)
    fails(lambda: time.attempts.make(server.send))
    time.pass_by(AWAY)

    def missing(limit: float) -> str:
        raise ObjectNotFound("nothing there")

    with pytest.raises(ObjectNotFound):
        time.attempts.make(missing)
    server.back_at = 0.0
    assert time.attempts.make(server.send) == "here"


def test_what_is_refused_for_good_is_sent_once(time: Time) -> None:
    sent = []

    def refused(limit: float) -> str:
        sent.append(limit)
        raise Unavailable("access denied")

    fails(lambda: time.attempts.make(refused))
    assert len(sent) == 1
    assert time.attempts.make(Server(time, 0.0).send) == "here"


def test_the_deadline_of_a_call_reaches_its_threads(time: Time) -> None:
    from shared.storage.base import get_many
    from shared.storage.memory import MemoryStore

    seen: list[float | None] = []

    class Looking(MemoryStore):
        def get(self, key: str, **range_: object):
            seen.append(deadline.remaining())
            return super().get(key)

    store = Looking()
    for key in "abc":
        store.put(key, b"x")
    with deadline.within(7.0), deadline.within(20.0):
        get_many(store, ["a", "b", "c"])
    assert seen == [7.0, 7.0, 7.0]
    assert deadline.remaining() is None
