"""Looks at drift: by the route, and by schedule over all models, from stored counts."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from functions.registry import app as registry
from functions.watch import app as watching
from shared import deadline, keys
from shared.counts import forms
from shared.counts.counts import SCORES, Counts, Row
from shared.counts.times import DAY, HOUR, hour_of
from shared.drift import look
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Change
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import call

LABELS = ["cat", "dog"]
TOP = {"edges": [number / SCORES for number in range(SCORES + 1)], "counts": [0] * 10 + [100] * 10}
REFERENCE = {"scores": {"top": TOP, "labels": {"cat": 500, "dog": 500}}}
ANN = Change(by="ann")
NOW = int(time.time() // 60)
NOW -= HOUR if "week" in look.windows(NOW) else 0  # at any time of the day, two windows are looked at
LAST = NOW - NOW % HOUR  # the last whole hour ends here


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    for app in (registry, watching):
        monkeypatch.setattr(app, "log", lambda: Log(store))
    push(Log(store), "m", 2, labels=LABELS, reference=REFERENCE)
    push(Log(store), "other", labels=LABELS, reference=REFERENCE)
    return store


def count(store: MemoryStore, at: int, cats: float = 0.5, n: int = 400, model: str = "m", version: int = 1) -> str:
    """A raw object of a minute, with scores as in the reference."""
    scores = dict(enumerate(np.full(10, n // 10).tolist(), 10))
    labels = {"cat": int(n * cats), "dog": n - int(n * cats)}
    counts = Counts(requests=n, scores=scores, labels=labels)
    row = Row(model=model, version=version, alias="production", since=2, at=at, counts=counts)
    key = keys.stats_raw(hour_of(at), 0, f"{abs(hash((at, model, version, cats))):016x}"[:16], 1)
    store.put(key, forms.pack(forms.Raw(rows=[row])))
    return key


def asked(**query: str) -> dict[str, Any]:
    answer = call(registry.handler, "GET", "/models/m/drift", query=query, scopes="read")
    assert answer.status == 200, answer.json
    return answer.json


def drifted() -> list[list[Any]]:
    return watching.handler({"drift": True, "minute": NOW}, None)["drifted"]


def test_the_route_says_which_column_of_which_version(store: MemoryStore) -> None:
    assert asked()["versions"] == []
    count(store, NOW - 5)
    count(store, NOW - 5, cats=0.1, version=2)
    quiet, different = asked()["versions"]
    assert (quiet["version"], quiet["state"], quiet["requests"], quiet["baseline"]) == (1, "quiet", 400, "reference")
    assert (different["version"], different["state"], different["severity"]) == (2, "drift", "major")
    (labels,) = [one for one in different["columns"] if one["name"] == "best label"]
    assert labels["psi"] > labels["threshold"] > 0 and labels["distance"] is None
    assert labels["bins"][0] == {"bin": "cat", "reference": 0.5, "share": 0.1}
    assert [one["version"] for one in asked(version="2")["versions"]] == [2]
    assert asked(alias="staging")["versions"] == []
    assert asked(since="30d", until="3d")["versions"] == []


def test_what_cannot_be_asked(store: MemoryStore) -> None:
    refused = call(registry.handler, "GET", "/models/m/drift", query={"since": "soon"}, scopes="read")
    assert (refused.status, "is no time" in refused.json["error"]) == (400, True)
    assert call(registry.handler, "GET", "/models/m/drift", query={"version": "9"}, scopes="read").status == 404
    assert call(registry.handler, "GET", "/models/nobody/drift", scopes="read").status == 404
    assert call(registry.handler, "GET", "/models/m/drift", scopes="read:other").status == 403


def test_counts_that_are_damaged_are_left_out_and_said(store: MemoryStore) -> None:
    count(store, NOW - 5)
    store.put(count(store, NOW - 6, cats=0.0), b"x")
    answer = asked()
    assert (answer["left_out"], answer["versions"][0]["state"]) == (1, "quiet")
    assert drifted() == []


def test_each_hour_looks_at_the_hour_and_the_day(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    count(store, LAST - 30)
    count(store, LAST - 30, model="other", cats=0.1)
    assert drifted() == [["other", 1, "hour"], ["other", 1, "day"]]
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "Drifted" in line]
    assert [(one["Drifted"], one["service"]) for one in figures] == [(1, "watch")] * 2


def test_the_day_has_items_that_the_hour_lacks(store: MemoryStore) -> None:
    for hour in range(1, 9):
        count(store, LAST - hour * HOUR, cats=0.1, n=50)
    assert drifted() == [["m", 1, "day"]]


def test_a_look_as_of_another_time(store: MemoryStore) -> None:
    count(store, LAST, cats=0.1)
    assert drifted() == []
    later = watching.handler({"drift": True, "minute": LAST + HOUR}, None)["drifted"]
    assert later == [["m", 1, window] for window in look.windows(LAST + HOUR)]


def test_what_is_not_over_yet_and_what_a_wrong_clock_counted_ahead_waits(store: MemoryStore) -> None:
    count(store, LAST, cats=0.1)
    count(store, LAST + 5 * HOUR, cats=0.1)
    assert drifted() == []


def test_the_week_is_looked_at_once_a_day() -> None:
    hours = [look.windows(hour * HOUR + 15) for hour in range(24 * 7)]
    assert sum("week" in one for one in hours) == 7
    assert sum(len(one) for one in hours[:24]) == 49
    (week,) = {last - first for one in hours for name, (first, last) in one.items() if name == "week"}
    assert week == 7 * DAY


def test_versions_that_are_gone_meanwhile_are_passed_over(store: MemoryStore) -> None:
    log = Log(store)
    for model, version in (("m", 1), ("m", 2), ("m", 7), ("other", 1), ("never", 1)):
        count(store, LAST - 30, cats=0.1, model=model, version=version)
    versions.retire(log, "m", 2, ANN)
    models.delete(log, "other", ANN)
    assert drifted() == [["m", 1, "hour"], ["m", 2, "hour"], ["m", 1, "day"], ["m", 2, "day"]]
    assert [one["version"] for one in asked()["versions"]] == [1, 2]
    assert call(registry.handler, "GET", "/models/other/drift", scopes="read").status == 404


def test_a_model_that_cannot_be_read_hides_no_other(store: MemoryStore) -> None:
    count(store, LAST - 30, cats=0.1)
    count(store, LAST - 30, cats=0.1, model="other")
    store.put(keys.blob(models.get(Log(store), "m").versions[1].manifest), b"x")
    assert drifted() == [["other", 1, "hour"], ["other", 1, "day"]]
    seen = look.look(Log(store), NOW)
    assert [(one.model, one.verdict is None) for one in seen] == [("m", True), ("other", False)] * 2


def test_without_time_for_another_version_the_look_ends(store: MemoryStore) -> None:
    count(store, LAST - 30, cats=0.1)
    with deadline.within(look.LEAST_SECONDS - 1):
        assert look.look(Log(store), NOW) == []


def test_a_package_without_a_reference_has_its_first_week(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    push(Log(store), "bare", labels=LABELS)
    count(store, LAST - 30, cats=0.1, model="bare")

    def state() -> tuple[str, Any]:
        answer = call(registry.handler, "GET", "/models/bare/drift", query={"until": "1h"}, scopes="read")
        later = {"since": f"{30 * HOUR}m"} if answer.json["versions"] == [] else {}
        answer = call(registry.handler, "GET", "/models/bare/drift", query=later, scopes="read")
        (version,) = answer.json["versions"]
        return version["state"], version["baseline"]

    assert state() == ("waiting", None)
    present = time.time()
    monkeypatch.setattr("shared.drift.answer.time.time", lambda: present + 12 * DAY * 60)
    for day in range(8):
        count(store, NOW + day * DAY, cats=0.5, n=200, model="bare")
    count(store, NOW + 12 * DAY - HOUR, cats=0.1, model="bare")
    assert state() == ("drift", "first calls")
