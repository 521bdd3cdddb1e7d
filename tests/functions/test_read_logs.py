"""`GET /logs`: who may read what functions have logged, and which questions are no questions."""

from __future__ import annotations

import time

import pytest

from functions.logs import app as logs
from tests.logged.memory import MemoryLogs
from tests.support import call

NOW = int(time.time() * 1000)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> MemoryLogs:
    written = MemoryLogs()
    monkeypatch.setattr(logs, "logs", lambda: written)
    written.write("inference", NOW - 7_200_000, message="two hours ago")
    written.write("inference", NOW - 60_000, model="wine", request_id="call-1", status=500)
    written.write("watch", NOW - 30_000, level="ERROR", message="not judged", errorType="OSError", errorMessage="gone",
                  stackTrace=["  File a\n", "    raise\n"])  # fmt: skip
    return written


def get(query: dict[str, str] | None = None, scopes: str = "admin") -> dict[str, object]:
    answer = call(logs.handler, "GET", "/logs", scopes=scopes, query=query)
    assert answer.status == 200, answer.json
    return answer.json


def test_lines_are_oldest_first_and_say_where_to_go_on(written: MemoryLogs) -> None:
    first = get({"limit": "1"})
    assert [line["message"] for line in first["lines"]] == ["call"]
    assert first["lines"][0]["fields"] == {"model": "wine", "status": 500}
    more = get({"limit": "1", "next": first["next"], "since": first["since"], "until": first["until"]})
    [line] = more["lines"]
    assert (line["exception"], line["trace"]) == ("OSError: gone", ["  File a", "    raise"])
    assert more["next"] is None
    assert len(get({"since": "3h"})["lines"]) == 3
    assert [line["message"] for line in get({"since": "3h", "until": "1h"})["lines"]] == ["two hours ago"]


@pytest.mark.parametrize("scopes", ["read write promote train infer", "admin:wine", "admin:*wine*"])
def test_only_an_administrator_of_everything_may(written: MemoryLogs, scopes: str) -> None:
    assert call(logs.handler, "GET", "/logs", scopes=scopes).status == 403
    assert written.asked == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, "since is no time"),
        ({"since": "1h", "until": "2h", "next": "x"}, "`next` is none"),
        ({"since": "2030-01-01", "until": "2029-01-01"}, "since is not before its until"),
        ({"since": "999999d"}, "since is not before its until, or before 1970"),
        ({"level": "BAD"}, "level"),
        ({"function": "nothing"}, "function"),
        ({"request_id": 'a" "b'}, "request_id"),
        ({"model": 'a" ?b'}, "model"),
    ],
)
def test_what_is_no_question(written: MemoryLogs, query: dict[str, str], said: str) -> None:
    answer = call(logs.handler, "GET", "/logs", query=query)
    assert answer.status == 400 and said in answer.json["error"]
    assert written.asked == []


def test_a_function_without_its_groups_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_GROUPS", raising=False)
    answer = call(logs.handler, "GET", "/logs")
    assert answer.status == 503 and "deploy the template again" in answer.json["error"]
