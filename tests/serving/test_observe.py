"""The hook after an answer: who subscribes is told of every call, and can neither break nor delay one."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from shared.errors import BadInput
from shared.serving.observe import Call, Observers, TimedSession
from shared.serving.stats import Stats
from tests.serving import packages
from tests.support import linear

LOADED = packages.loaded(linear([[1.0, 2.0]]))


def test_every_observer_is_told_whatever_another_one_does(caplog: pytest.LogCaptureFixture) -> None:
    observers, received = Observers(), []

    def broken(call: Call) -> None:
        raise ValueError("no room")

    for observer in (received.append, broken, received.append):
        observers.subscribe(observer)
    call = Call(loaded=LOADED, route="infer")
    with caplog.at_level(logging.ERROR):
        observers.notify(call)
    assert received == [call, call]
    assert [record.message for record in caplog.records] == ["an observer failed"]


def test_work_after_the_answer_is_given_what_time_is_left(caplog: pytest.LogCaptureFixture) -> None:
    observers, seconds = Observers(), []

    def broken(seconds: float) -> None:
        raise ValueError("no room")

    for work in (seconds.append, broken, seconds.append):
        observers.after_answer(work)
    with caplog.at_level(logging.ERROR):
        observers.work(5.0)
    assert len(seconds) == 2
    assert 5.0 >= seconds[0] >= seconds[1]


@pytest.mark.parametrize(
    ("error", "status"), [(None, 200), (BadInput("no such input"), 400), (ZeroDivisionError("a bug"), 500)]
)
def test_a_call_has_its_status(error: Exception | None, status: int) -> None:
    assert Call(loaded=LOADED, route="infer", error=error).status == status


def test_a_recorded_session_notes_what_it_was_fed_and_how_often() -> None:
    session = TimedSession(LOADED.session)
    for value in (1.0, 2.0):
        feeds = {"x": np.array([[value]], np.float32)}
        assert session.run(None, feeds)[0].tolist() == [[value, 2 * value]]
    assert (session.runs, session.inputs) == (2, feeds)
    assert session.ns > 0


def test_calls_of_all_routes_are_counted_by_version() -> None:
    stats = Stats()
    for route, runs in (("infer", 1), ("predict", 2), ("explain", 100)):
        stats.observe(Call(loaded=LOADED, route=route, runs=runs, input_ns=1, infer_ns=20, output_ns=300))
    stats.observe(Call(loaded=LOADED, route="predict", error=BadInput("no image"), input_ns=7))
    entry = stats.of_version("m", 7)
    assert (entry["inference_count"], entry["execution_count"]) == (3, 103)
    parts = entry["inference_stats"]
    assert parts["success"] == {"count": 3, "ns": 3 * 321}
    assert parts["fail"] == {"count": 1, "ns": 7}
    assert parts["compute_infer"] == {"count": 3, "ns": 60}
    assert stats.of_version("m", 8)["inference_count"] == 0
