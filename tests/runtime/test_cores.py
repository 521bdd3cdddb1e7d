"""Short calls of a confined model stay on their caller's core; nobody is bound to one for longer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from shared.runtime import cores
from shared.runtime.confined import Confined
from shared.runtime.runners import Crashed
from tests.runtime import sessions
from tests.runtime.sessions import confine
from tests.support import linear

X = np.array([[3, 4]], np.float32)
EVERY = os.sched_getaffinity(0)
several = pytest.mark.skipif(len(EVERY) == 1, reason="this machine has one core")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Confined:
    monkeypatch.setattr(cores, "SHORT", 60.0)  # whatever else this machine does
    return confine(linear([[1.0], [0.0]]))


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    yield
    assert os.sched_getaffinity(0) == EVERY


def call(session: Confined) -> set[int]:
    """The cores of its runner after a call."""
    assert session.run(None, {"x": X})[0].tolist() == [[3.0]]
    assert os.sched_getaffinity(0) == EVERY
    assert session.pid is not None
    return os.sched_getaffinity(session.pid)


@several
def test_a_runner_is_where_short_calls_come_from(session: Confined) -> None:
    assert call(session) == EVERY, "of the first one nobody knows how long it takes"
    for core in EVERY:
        os.sched_setaffinity(0, {core})  # this thread moves there
        os.sched_setaffinity(0, EVERY)
        assert len(call(session)) == 1


@several
def test_after_a_long_call_it_may_be_anywhere(session: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    call(session)
    assert len(call(session)) == 1
    monkeypatch.setattr(cores, "SHORT", 0.0)
    assert call(session) == call(session) == EVERY


def test_a_process_that_has_one_core_is_left_alone() -> None:
    core = min(EVERY)
    os.sched_setaffinity(0, {core})
    try:
        session = confine(linear([[1.0], [0.0]]))
        for _ in range(3):
            session.run(None, {"x": X})
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, EVERY)


def test_a_runner_that_dies_in_a_call_binds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "SHORT", 60.0)
    session = confine(sessions.dereferences_null())
    for _ in range(3):
        with pytest.raises(Crashed):
            session.run(None, {"x": np.ones(3, np.float32)})
