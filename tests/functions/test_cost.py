"""`GET /models/{model}/cost` and `GET /costs`: from stored counts and blobs to amounts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.figures import app as figures
from shared import keys
from shared.config import Config
from shared.cost import blobs, prices
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.registry import models
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push
from tests.support import call

NOW = int(time.time() // 60)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    settings = Config(bucket="amaas", inference_memory=2048)
    monkeypatch.setattr(figures, "log", lambda: Log(store))
    monkeypatch.setattr(figures, "config", lambda: settings)
    push(Log(store), "m", 2)
    push(Log(store), "other")
    return store


def put(store: MemoryStore, number: int, version: int = 1, model: str = "m", ago: int = 90, **counts: Any) -> None:
    at = NOW - ago
    row = Row(model=model, version=version, alias="production", since=2, at=at, counts=Counts(**counts))
    store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, number), forms.pack(forms.Raw(rows=[row])))


def asked(path: str = "/models/m/cost", scopes: str = "read", **query: str) -> dict:
    answer = call(figures.handler, "GET", path, query=query, scopes=scopes)
    assert answer.status == 200, answer.json
    return answer.json


def test_by_version_and_for_a_thousand_answers(store: MemoryStore) -> None:
    put(store, 1, requests=900, billed_ms=9000, server_errors=100)
    put(store, 2, version=2, requests=100, billed_ms=2000, cold_ms=500)
    answer = asked()
    first, second = answer["versions"]
    assert (first["version"], first["requests"], first["answers"], first["mean_ms"]) == (1, 900, 800, 10.0)
    gb_second = answer["prices"]["gb_second"]
    assert first["parts"]["compute"] == pytest.approx(9 * 2 * gb_second, rel=1e-5)
    assert second["parts"]["starts"] == pytest.approx(0.5 * 2 * gb_second, rel=1e-5)
    per_call = (0.2 + 3.5) / 1e6
    assert first["per_1000_answers"] == pytest.approx(1000 * (18 * gb_second + 900 * per_call) / 800, rel=1e-5)
    assert answer["sum"]["requests"] == 1000
    assert answer["sum"]["total"] == pytest.approx(first["total"] + second["total"], rel=1e-5)
    assert (answer["memory_mb"], answer["prices"]["region"]) == (2048, "us-east-1")
    assert "remembered" in answer["prices"]["source"] and answer["not_included"] and answer["assumed"]


def test_a_model_that_nobody_called_costs_its_storage(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 3 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    answer = asked()
    total = answer["sum"]
    assert (answer["versions"], answer["break_even"], total["per_1000_answers"], total["mean_ms"]) == ([], None) + (
        None,
    ) * 2
    named = {info.key: info.size for info in store.list_page(keys.BLOBS).objects}
    head = models.get(Log(store), "m")
    own = {digest for version in head.versions.values() for digest in (version.manifest, version.model)}
    assert total["stored_bytes"] == sum(named[keys.blob(digest)] for digest in own), "a shared blob counts once"
    gib_months = total["stored_bytes"] / 1024**3 * 3 / 730
    assert total["parts"]["storage"] == total["total"] == pytest.approx(0.023 * gib_months, rel=0.02)


def test_of_a_span_before_the_model_nothing_is_stored(store: MemoryStore) -> None:
    assert asked(since="2026-01-01", until="2026-01-31")["sum"]["parts"]["storage"] == 0


def test_a_bucket_with_too_many_blobs_says_that_it_does_not_know(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "MOST_PAGES", 0)
    put(store, 1, requests=1, billed_ms=5)
    answer = asked()
    for one in (*answer["versions"], answer["sum"]):
        assert (one["stored_bytes"], one["parts"]["storage"]) == (None, None)
        assert one["total"] > 0


def test_the_instance_of_the_query_is_compared_with(store: MemoryStore) -> None:
    put(store, 1, requests=1000, billed_ms=20_000)
    usual = asked()["break_even"]
    assert usual["instance"] == {"name": "c6i.large", "hour": 0.085, "vcpus": 2.0}
    assert usual["calls"] < usual["calls_behind_gateway"] and "busy for 50 %" in usual["assumed"]
    dear = asked(instance_hour="850", utilization="0.1")["break_even"]
    assert (dear["calls"], dear["instance"]["name"]) == (None, "the named instance")
    assert dear["capacity"] == pytest.approx(usual["capacity"] / 5, rel=1e-6)


def test_versions_of_a_deleted_model_of_the_same_name(store: MemoryStore) -> None:
    """They cost what their calls did, and their blobs are nobody's."""
    log = Log(store)
    put(store, 1, requests=10, billed_ms=100)
    models.delete(log, "m", ANN)
    assert call(figures.handler, "GET", "/models/m/cost", scopes="read").status == 404
    push(log, "m")
    answer = asked()
    assert [(one["version"], one["requests"], one["stored_bytes"]) for one in answer["versions"]] == [(1, 10, 0)]
    assert answer["sum"]["stored_bytes"] > 0


def test_all_models_that_the_caller_may_read_a_page_at_a_time(store: MemoryStore) -> None:
    put(store, 1, requests=10, billed_ms=100)
    put(store, 2, model="other", requests=20, billed_ms=400)
    answer = asked("/costs")
    assert [(one["model"], one["requests"]) for one in answer["models"]] == [("m", 10), ("other", 20)]
    assert answer["models"][0]["total"] == asked()["sum"]["total"]
    assert [one["model"] for one in asked("/costs", scopes="read:oth*")["models"]] == ["other"]
    first = asked("/costs", limit="1")
    assert ([one["model"] for one in first["models"]], first["next"]) == (["m"], "m")
    assert [one["model"] for one in asked("/costs", next="m")["models"]] == ["other"]


def test_counts_that_cannot_be_read_are_said(store: MemoryStore) -> None:
    put(store, 1, requests=10, billed_ms=100)
    store.put(keys.stats_raw(hour_of(NOW - 90), 1, "0" * 16, 7), b"x")
    assert (asked()["left_out"], asked("/costs")["left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"since": "never"}, "is no time"),
        ({"since": "500d"}, "longer than the 400 days"),
        ({"utilization": "0"}, "utilization does not fit"),
        ({"utilization": "1.5"}, "utilization does not fit"),
        ({"instance_hour": "-1"}, "instance_hour does not fit"),
        ({"instance_vcpus": "nan"}, "instance_vcpus does not fit"),
    ],
)
def test_a_query_that_is_wrong_says_what_to_do(store: MemoryStore, query: dict[str, str], error: str) -> None:
    refused = call(figures.handler, "GET", "/models/m/cost", query=query, scopes="read")
    assert (refused.status, error in refused.json["error"]) == (400, True), refused.json


def test_who_may_not_read_the_model_gets_nothing(store: MemoryStore) -> None:
    assert call(figures.handler, "GET", "/models/m/cost", scopes="read:other").status == 403
    assert call(figures.handler, "GET", "/models/none/cost", scopes="read").status == 404


def test_prices_that_cannot_be_read_are_a_503_that_says_so(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "config", lambda: Config(bucket="amaas", prices="{}"))
    refused = call(figures.handler, "GET", "/models/m/cost", scopes="read")
    assert refused.status == 503 and "parameter Prices" in refused.json["error"]
    own = '{"region": "here", "date": "2026-12-01", "currency": "EUR"}'
    monkeypatch.setattr(figures, "config", lambda: Config(bucket="amaas", prices=own))
    assert asked()["prices"]["currency"] == prices.parse(own).currency == "EUR"
