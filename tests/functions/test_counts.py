"""`GET /models/{model}/stats` and the function that merges: spans, pages, quantiles, what cannot be read."""

from __future__ import annotations

import time

import pytest

from functions.counts import app as merging
from functions.registry import app as registry
from shared import keys
from shared.counts import bins, forms
from shared.counts.counts import Counts, Row
from shared.counts.times import DAY, hour_of, minute_of
from shared.counts.views import span
from shared.errors import BadInput
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import call

NOW = int(time.time() // 60)
NOON = minute_of("20260131T12")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(registry, "log", lambda: Log(store))
    monkeypatch.setattr(merging, "store", lambda: store)
    push(Log(store), "m")
    push(Log(store), "other")
    return store


def put(
    store: MemoryStore, number: int, ago: int, version: int = 1, alias: str = "production", **counts: object
) -> str:
    at = NOW - ago
    row = Row(
        model="m", version=version, alias=alias, since=2 if alias else 0, at=at, counts=Counts(requests=1, **counts)
    )
    key = keys.stats_raw(hour_of(at), 0, "0" * 16, number)
    store.put(key, forms.pack(forms.Raw(rows=[row])))
    return key


def asked(**query: str) -> dict:
    answer = call(registry.handler, "GET", "/models/m/stats", query=query, scopes="read")
    assert answer.status == 200, answer.json
    return answer.json


def test_a_model_that_nobody_called_has_no_counts(store: MemoryStore) -> None:
    answer = asked()
    assert (answer["model"], answer["sums"], answer["series"], answer["next"]) == ("m", [], [], None)
    assert (answer["step"], answer["left_out"], answer["dropped"]) == ("minute", 0, 0)


def test_sums_by_version_and_alias_and_the_series_of_them(store: MemoryStore) -> None:
    for number in range(100):
        ns = (number + 1) * 1_000_000
        put(store, number, 5 + number % 2, latency={"total": {bins.of_ns(ns): 1}}, ns={"total": ns})
    put(store, 100, 3, version=2, errors={"Crashed": 1}, server_errors=1)
    put(store, 101, 3, version=2, alias="", client_errors=1)
    put(store, 102, 90)
    merging.handler({}, None)
    put(store, 103, 2, version=2)
    answer = asked()
    assert [(one["version"], one["alias"], one["revision"], one["requests"]) for one in answer["sums"]] == [
        (1, "production", 2, 100),
        (2, None, None, 1),
        (2, "production", 2, 2),
    ]
    total = answer["sums"][0]["latency"]["total"]
    assert total["mean"] == 50.5
    for name, exact in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert abs(total[name] / exact - 1) <= answer["quantile_error"] + 0.01
    assert answer["sums"][0]["latency"]["load"]["p50"] is None
    assert (answer["sums"][2]["server_errors"], answer["sums"][2]["errors"]) == (1, {"Crashed": 1})
    assert [(one["version"], one["requests"]) for one in answer["series"]] == [(1, 50), (1, 50), (2, 1), (2, 1), (2, 1)]
    assert [one["requests"] for one in asked(version="2")["sums"]] == [1, 2]
    assert [one["requests"] for one in asked(alias="")["sums"]] == [1]
    assert sum(one["requests"] for one in asked(since="1d", step="hour")["series"]) == 104


def test_the_series_comes_in_pages(store: MemoryStore) -> None:
    for number in range(7):
        put(store, number, 10 - number, version=1 + number % 2)
    found: list[dict] = []
    query = {"limit": "3"}
    while True:
        answer = asked(**query)
        assert len(answer["series"]) <= 3
        assert sum(one["requests"] for one in answer["sums"]) == 7
        found += answer["series"]
        if not answer["next"]:
            break
        query["next"] = answer["next"]
    assert found == asked()["series"]
    assert len(found) == 7


def test_what_cannot_be_read_is_said(store: MemoryStore) -> None:
    put(store, 1, 3)
    bad = put(store, 2, 3)
    store.put(bad, b"x")
    assert (asked()["left_out"], asked()["sums"][0]["requests"]) == (1, 1)
    assert merging.handler({}, None) == {"added": 1, "left_out": 1, "damaged": 1}
    assert (asked()["left_out"], asked()["sums"][0]["requests"]) == (1, 1)


def test_days_are_made_by_a_schedule_of_their_own(store: MemoryStore) -> None:
    put(store, 1, DAY)
    assert len(merging.handler({"days": True}, None)["days"]) == 2
    assert store.list_page("stats/models/").objects == []  # nothing is merged yet
    merging.handler({}, None)
    assert len(store.list_page("stats/models/m/").objects) == 1
    assert asked(since="3d", step="day")["sums"][0]["requests"] == 1


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"since": "yesterday"}, "is no time"),
        ({"since": "1960-01-01"}, "before 1970"),
        ({"since": "9d", "step": "minute"}, "longer than the 2 days"),
        ({"since": "500d"}, "longer than the 400 days"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "not before"),
        ({"next": "x"}, "no cursor"),
        ({"version": "zero"}, "version does not fit"),
        ({"step": "week"}, "step does not fit"),
        ({"limit": "0"}, "limit does not fit"),
    ],
)
def test_a_query_that_is_wrong_says_what_to_do(store: MemoryStore, query: dict[str, str], error: str) -> None:
    refused = call(registry.handler, "GET", "/models/m/stats", query=query, scopes="read")
    assert (refused.status, error in refused.json["error"]) == (400, True), refused.json


def test_of_a_model_that_there_is_not_or_that_the_token_may_not_read(store: MemoryStore) -> None:
    assert call(registry.handler, "GET", "/models/none/stats", scopes="read").status == 404
    assert call(registry.handler, "GET", "/models/m/stats", scopes="read:other").status == 403


@pytest.mark.parametrize(
    ("since", "until", "step", "expected"),
    [
        ("1h", None, None, (NOON - 59, NOON + 1, "minute")),
        ("1d", None, None, (NOON - DAY, NOON + 60, "hour")),
        ("2026-01-01", "2026-01-31", None, (NOON - NOON % DAY - 30 * DAY, NOON - NOON % DAY, "day")),
        ("2026-01-31T10:30:00+01:00", "2026-01-31T11:30:00Z", "hour", (NOON - 180, NOON, "hour")),
        ("90m", "30m", None, (NOON - 119, NOON - 29, "minute")),
    ],
)
def test_a_span_begins_and_ends_at_whole_steps(
    since: str, until: str | None, step: str | None, expected: tuple[int, int, str]
) -> None:
    assert span(since, until, step, NOON * 60.0) == expected


def test_a_span_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput):
        span("0m", None, None, NOON * 60.0)


def test_bins_of_inputs_with_few_items_are_not_told(store: MemoryStore) -> None:
    put(store, 1, 5, items=121, features={"brightness": {-1: 10, 0: 40, 3: 11, 4: 60}, "contrast": {2: 100, 3: 21}})
    [one] = asked()["sums"]
    assert one["features"] == {"brightness": {"0": 40, "4": 60}, "contrast": {"2": 100, "3": 21}}
    assert one["items"] == 121
