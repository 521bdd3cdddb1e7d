"""A runner that its model has taken over: it costs its own call, and nothing of this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shared import deadline
from shared.runtime import zygotes
from shared.runtime.confined import Confined
from shared.runtime.runners import KEPT, Crashed
from tests.runtime import hostile
from tests.runtime.sessions import confine
from tests.support import linear

X = {"x": np.ones(2, np.float32)}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], Confined]]:
    """Sessions whose runners do what is asked of them."""
    monkeypatch.setattr(zygotes, "ZYGOTE", "tests.runtime.hostile")
    monkeypatch.setattr(zygotes, "_zygotes", [])
    yield confine
    for zygote in zygotes._zygotes:
        zygote.close()


def test_answers_that_nobody_asked_for_end_the_runner(taken: Callable[[bytes], Confined]) -> None:
    session = taken(hostile.FLOOD)
    deaths: list[str] = []
    session.on_death = deaths.append
    processes = set()
    for _ in range(5):
        with deadline.within(20):
            session.run(None, X)
        processes.add(session.pid)
        wait_until_heard(session)
    assert len(processes) == 5
    assert deaths == ["SIGKILL"] * 4


def wait_until_heard(session: Confined) -> None:
    while session._held[0].is_idle:
        os.sched_yield()


def test_texts_are_counted_before_they_are_decoded(taken: Callable[[bytes], Confined]) -> None:
    session = taken(hostile.TEXTS)
    before = peak()
    with deadline.within(60), pytest.raises(Crashed, match="cannot be read"):
        session.run(None, X)
    assert peak() - before < 2 * hostile.MANY


def peak() -> int:
    """Bytes of this process's memory at most, the area aside."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) << 10


def test_an_area_that_is_filled_is_given_back(taken: Callable[[bytes], Confined]) -> None:
    session = taken(hostile.AREA)
    with deadline.within(60):
        assert session.run(None, X)[0].tolist() == [0.0]
    assert session.resident < 2 * KEPT
    assert session.pid is not None
    os.kill(session.pid, signal.SIGKILL)
    assert session.resident < 2 * KEPT


def test_what_lies_in_the_area_is_counted(taken: Callable[[bytes], Confined]) -> None:
    session = taken(hostile.STAY)
    before, runner = session.resident, session._held[0]
    runner.area[: KEPT // 2] = b"x" * (KEPT // 2)
    assert session.resident >= before + KEPT // 2


def test_words_of_a_runner_at_work_are_not_repeated(taken: Callable[[bytes], Confined]) -> None:
    with deadline.within(20), pytest.raises(Crashed) as caught:
        taken(hostile.WORDS).run(None, X)
    assert hostile.CALLERS not in str(caught.value)


def test_a_runner_that_stays_when_it_is_let_go_is_ended(taken: Callable[[bytes], Confined]) -> None:
    session = taken(hostile.STAY)
    session.run(None, X)
    state = Path(f"/proc/{session.pid}/stat")
    session.close()
    with deadline.within(20):
        while state.read_text().rpartition(")")[2].split()[0] != "Z":  # until the next one is started
            assert (deadline.remaining() or 0) > 0
            os.sched_yield()


def test_a_runner_that_died_between_two_calls_is_replaced() -> None:
    session = confine(linear([[1.0], [0.0]]))
    deaths: list[str] = []
    session.on_death = deaths.append
    tensors = {"x": np.array([[3, 4]], np.float32)}
    assert session.run(None, tensors)[0].tolist() == [[3.0]]
    first = session.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until_dead(first)
    assert session.run(None, tensors)[0].tolist() == [[3.0]]
    assert session.pid != first
    assert deaths == ["SIGKILL"]


def wait_until_dead(pid: int) -> None:
    """It is a child of the zygote, which waits for it when it is told to."""
    while Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        os.sched_yield()
