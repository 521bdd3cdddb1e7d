"""`GET /models/{model}/accuracy` and `amaas accuracy`: estimated, doubtful, or waiting."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.registry import app as registry
from shared import keys
from shared.accuracy import answer
from shared.counts import forms
from shared.counts.counts import SCORES, Counts, Row
from shared.counts.times import hour_of
from shared.package.manifest import Manifest
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import call

LABELS = ["cat", "dog"]
TOP = {"edges": [number / SCORES for number in range(SCORES + 1)], "counts": [0] * 10 + [100] * 10}
TABLE = {"counts": [0] * 10 + [100] * 10, "right": [0] * 10 + [50, 55, 60, 65, 70, 75, 80, 85, 90, 95]}
REFERENCE = {"scores": {"top": TOP, "labels": {"cat": 500, "dog": 500}, "calibration": TABLE}}
MANIFEST = Manifest(name="m", labels=LABELS, reference=REFERENCE)


def counts(scores: dict[int, int], cats: float = 0.5) -> Counts:
    items = sum(scores.values())
    return Counts(requests=items, scores=scores, labels={"cat": int(items * cats), "dog": items - int(items * cats)})


def test_an_estimate_follows_the_scores() -> None:
    same = answer.of_version(1, MANIFEST, counts(dict.fromkeys(range(10, 20), 40)))
    assert (same.state, same.trained) == ("estimated", 0.725)
    assert same.estimate == pytest.approx(0.725, abs=0.003)
    assert same.low is not None and same.high is not None and same.low < 0.725 < same.high
    unsure = answer.of_version(1, MANIFEST, counts({10: 300, 11: 300}))
    assert unsure.state == "estimated", "lower scores alone are what it is for"
    assert unsure.estimate == pytest.approx(0.525, abs=0.003)


def test_it_is_not_to_be_believed_where_labels_or_inputs_drift() -> None:
    other = answer.of_version(1, MANIFEST, counts(dict.fromkeys(range(10, 20), 40), cats=0.05))
    assert (other.state, other.estimate is not None) == ("doubtful", True)
    assert "calls drift (best label)" in other.reason
    edges = [0.0, 0.5, 1.0]
    features = {"features": {"brightness": {"edges": edges, "counts": [500, 500]}}}
    dark = counts(dict.fromkeys(range(10, 20), 40))
    dark.features = {"brightness": {1: 400}}
    judged = answer.of_version(1, Manifest(labels=LABELS, reference=REFERENCE | features), dark)
    assert (judged.state, "brightness" in judged.reason) == ("doubtful", True)


def test_it_waits_for_a_table_and_for_answers() -> None:
    without = answer.of_version(1, Manifest(labels=LABELS), counts({15: 500}))
    assert (without.state, without.estimate, "no calibration table" in without.reason) == ("waiting", None, True)
    few = answer.of_version(1, MANIFEST, counts({15: 99}))
    assert (few.state, few.reason.startswith("99 answers")) == ("waiting", True)
    assert answer.of_version(1, MANIFEST, Counts(requests=500)).state == "waiting"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(registry, "log", lambda: Log(store))
    push(Log(store), "m", 2, labels=LABELS, reference=REFERENCE)
    return store


def asked(**query: str) -> Any:
    return call(registry.handler, "GET", "/models/m/accuracy", query=query, scopes="read")


def test_the_route_answers_by_version_and_says_what_cannot_be_read(store: MemoryStore) -> None:
    assert asked().json["versions"] == []
    now = int(time.time() // 60)
    rows = [
        Row(model="m", version=version, alias=alias, since=1, at=now - 5, counts=counts({15: 200}))
        for version, alias in ((1, "production"), (1, "beta"), (2, "beta"), (9, "beta"))
    ]
    store.put(keys.stats_raw(hour_of(now - 5), 0, "0" * 16, 1), forms.pack(forms.Raw(rows=rows)))
    store.put(keys.stats_raw(hour_of(now - 5), 0, "0" * 16, 2), b"x")
    answer = asked().json
    assert [(one["version"], one["items"]) for one in answer["versions"]] == [(1, 400), (2, 200)]
    assert answer["left_out"] == 1
    assert [one["items"] for one in asked(alias="beta", version="1").json["versions"]] == [200]
    assert asked(version="9").status == 404
    assert (asked(since="soon").status, "is no time" in asked(since="soon").json["error"]) == (400, True)
    assert call(registry.handler, "GET", "/models/nobody/accuracy", scopes="read").status == 404
    assert call(registry.handler, "GET", "/models/m/accuracy", scopes="read:other").status == 403
