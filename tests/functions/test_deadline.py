"""A call has the time that its function has left, less what its answer takes; who is sent away is told for how long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shared import deadline, errors
from shared.entry.http import Request, Response, Routes
from tests.support import load_event


class Context:
    """Lambda's."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def serve(handle: Any, context: Any = None) -> dict[str, Any]:
    routes = Routes("test")
    routes.route("GET", "/x", id="x", scope=None)(handle)
    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": "/x", "body": None}
    reply: dict[str, Any] = routes(event | {"queryStringParameters": None}, context)
    return reply


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [50.0]
    monkeypatch.setattr(deadline, "clock", lambda: now[0])
    return now


@pytest.mark.parametrize(("context", "expected"), [(Context(29.0), 28.0), (Context(0.5), -0.5), (None, None)])
def test_the_functions_time_is_the_calls(clock: list[float], context: Any, expected: float | None) -> None:
    seen = []
    serve(lambda request: seen.append(deadline.remaining()), context)
    assert seen == [expected]
    assert deadline.remaining() is None


def test_time_passes_and_ends(clock: list[float]) -> None:
    with deadline.within(10.0):
        clock[0] += 4
        assert deadline.remaining() == 6.0
        with deadline.within(20.0):
            assert deadline.remaining() == 6.0
        with deadline.within(2.0):
            assert deadline.remaining() == 2.0
        with deadline.within(None):
            assert deadline.remaining() == 6.0
        clock[0] += 100
        assert deadline.remaining() == -94.0


def test_another_thread_has_it_only_if_it_is_carried_there(clock: list[float]) -> None:
    seen: list[float | None] = []

    def look() -> None:
        seen.append(deadline.remaining())

    with deadline.within(10.0):
        for work in (look, deadline.carry(look)):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    assert seen == [None, 10.0]
    assert deadline.carry(look) is look


class Later(errors.Conflict):
    retry_after = 7


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [
        (errors.Unavailable("away"), 503, "1"),
        (Later("in a while"), 409, "7"),
        (errors.Conflict("moved"), 409, None),
        (errors.KeyReused("another call"), 422, None),
    ],
)
def test_who_is_to_come_again_is_told_when(error: errors.AmaasError, status: int, seconds: str | None) -> None:
    def handle(request: Request) -> None:
        raise error

    reply = serve(handle)
    assert (reply["statusCode"], reply["headers"].get("Retry-After")) == (status, seconds)


def test_a_503_that_is_no_error_says_it_too() -> None:
    assert serve(lambda request: Response({"ready": False}, 503))["headers"]["Retry-After"] == "1"
    assert "Retry-After" not in serve(lambda request: {"ready": True})["headers"]
