"""`GET /models/{model}/aliases/{alias}/release`: what the watcher would decide, without anything being carried out."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import pytest

from functions.figures import app as figures
from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.registry import aliases, approvals, models
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Change, Policy, Target
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, BOB, push
from tests.support import call

PATH = "/models/m/aliases/production/release"
RULES = ReleasePolicy(bake_minutes=3, least_requests=50, tolerated_loss=0.2, promote=True)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """A canary that was split off five minutes ago."""
    log = Log(MemoryStore())
    monkeypatch.setattr(figures, "log", lambda: log)
    push(log, "m", 3)
    aliases.set_policy(log, "m", "production", None, ANN, RULES)
    aliases.move(log, "m", "production", Target.of({1: 90, 2: 10}), ANN)
    later = time.time() + 300
    monkeypatch.setattr(time, "time", lambda: later)
    return log


def count(log: Log, bad: int, calls: int = 20) -> None:
    """In each of four minutes so many calls of the canary, `bad` of which fail, and ninety of the stable version."""
    since = models.get(log, "m").aliases["production"].since
    now = int(time.time() // 60)
    for number, at in enumerate(range(now - 5, now - 1)):
        rows = [
            Row(model="m", version=version, alias="production", since=since, at=at, counts=counts)
            for version, counts in ((1, Counts(requests=90)), (2, Counts(requests=calls, server_errors=bad)))
        ]
        log.store.put(
            keys.stats_raw(hour_of(at), at % 60, os.urandom(8).hex(), number), forms.pack(forms.Raw(rows=rows))
        )


def asked() -> dict[str, Any]:
    answer = call(figures.handler, "GET", PATH, scopes="read")
    assert answer.status == 200, answer.json
    return answer.json


def test_without_calls_it_waits(log: Log) -> None:
    state = asked()
    assert (state["verdict"], state["obstacle"]) == ("wait", None)
    assert "no calls of version 2" in state["reason"]
    stage = state["stage"]
    assert (stage["stable"], stage["canary"], stage["weight"], stage["next_step"]) == (1, 2, 10.0, 25)
    assert stage["minutes"] == 5 and stage["since"] == models.get(log, "m").revision
    assert state["policy"]["steps"] == [5, 25, 50, 100] and state["evidence"]["first"] is None


def test_a_worse_canary_goes_back_at_the_next_look_and_not_by_asking(log: Log) -> None:
    count(log, bad=5)
    before = models.get(log, "m").revision
    state = asked()
    assert (state["verdict"], state["obstacle"]) == ("roll-back", None)
    metric = state["evidence"]["metrics"]["server_errors"]
    assert (metric["canary"], metric["canary_bad"], metric["stable"], metric["stable_bad"]) == (80, 20, 360, 0)
    assert state["evidence"]["log_e_worse"] == metric["log_e_worse"] >= state["evidence"]["needed"]
    assert state["evidence"]["needed"] == round(math.log(100), 4)
    assert models.get(log, "m").revision == before


def test_a_good_one_goes_on_and_a_metric_that_is_open_is_waited_for(log: Log) -> None:
    count(log, bad=0)
    state = asked()
    assert (state["verdict"], state["obstacle"]) == ("go-on", None)
    metric = state["evidence"]["metrics"]["server_errors"]
    assert metric["log_e_no_loss"] >= state["evidence"]["needed"] and metric["loss_bound"] <= 0.2
    strict = ReleasePolicy(bake_minutes=3, least_requests=50, tolerated_loss=0.0005, promote=True)
    aliases.set_policy(log, "m", "production", None, ANN, strict)
    assert asked()["verdict"] == "wait" and "waits for more calls" in asked()["reason"]


def test_inputs_out_of_range_are_a_bad_event_where_a_policy_says_so(log: Log) -> None:
    rules = ReleasePolicy(bake_minutes=3, least_requests=5, metrics=("out_of_range",))
    aliases.set_policy(log, "m", "production", None, ANN, rules)
    since = models.get(log, "m").aliases["production"].since
    at = int(time.time() // 60) - 3
    rows = [
        Row(model="m", version=version, alias="production", since=since, at=at, counts=counts)
        for version, counts in (
            (1, Counts(requests=90, placed=80, out_of_range=1)),
            (2, Counts(requests=20, placed=20, out_of_range=15)),
        )
    ]
    log.store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, 1), forms.pack(forms.Raw(rows=rows)))
    state = asked()
    metric = state["evidence"]["metrics"]["out_of_range"]
    assert (state["verdict"], metric["canary"], metric["stable"]) == ("roll-back", 20, 80)
    assert "out of range in 15 of 20 calls, beside 1 of 80" in state["reason"]


def test_what_stands_in_the_way_is_said(log: Log) -> None:
    """An open move request, which the watcher does not overtake."""
    count(log, bad=0)
    approvals.request(log, "m", "production", Target(version=3), ANN)
    state = asked()
    assert (state["verdict"], state["obstacle"]) == ("go-on", "a move request of this alias is open")


def test_two_persons_have_to_have_let_it_go_on(log: Log) -> None:
    aliases.set_policy(log, "m", "production", None, ANN, None)
    aliases.set_policy(log, "m", "production", Policy(protected=True, two_person=True), ANN)
    rules = approvals.request_policy(log, "m", "production", None, ANN, RULES)
    approvals.approve(log, "m", rules, BOB)  # the rules, and not the split that was there before
    count(log, bad=0)
    assert "two persons have not approved this release" in asked()["obstacle"]


@pytest.mark.parametrize(
    ("target", "policy", "reason"),
    [
        (Target(version=2), RULES, "all of its calls go to version 2"),
        (Target.of({1: 1, 2: 1, 3: 1}), RULES, "split among 3 versions"),
        (Target.of({1: 1, 2: 1}), None, "no release policy"),
    ],
)
def test_why_an_alias_is_not_watched(log: Log, target: Target, policy: ReleasePolicy | None, reason: str) -> None:
    aliases.move(log, "m", "production", target, ANN)
    aliases.set_policy(log, "m", "production", None, ANN, policy)
    state = asked()
    assert (state["verdict"], state["stage"], state["evidence"]) == (None, None, None)
    assert reason in state["reason"]
    assert (state["policy"] is None) == (policy is None)


def test_the_evidence_of_the_step_before_goes_on(log: Log) -> None:
    from shared.release import stored, watch

    count(log, bad=0)
    now = int(time.time() // 60)
    watch.look(log, lambda canary: stored.counts_of(log.store, canary, now).minutes, now)
    assert models.get(log, "m").aliases["production"].split == {1: 75, 2: 25}
    state = asked()
    assert state["evidence"]["carried"] == state["evidence"]["log_e_worse"] != 0
    assert (state["stage"]["weight"], state["stage"]["next_step"], state["verdict"]) == (25.0, 50, "wait")


def test_counts_that_cannot_be_are_no_evidence(log: Log) -> None:
    count(log, bad=90)  # of twenty
    answer = call(figures.handler, "GET", PATH, scopes="read")
    assert answer.status == 503 and "cannot be judged" in answer.json["error"]


def test_what_is_missing_in_the_counts_is_said(log: Log) -> None:
    count(log, bad=0)
    log.store.put(keys.stats_raw(hour_of(int(time.time() // 60)), 1, "f" * 16, 1), b"damaged")
    assert asked()["evidence"]["left_out"] == 1


def test_of_an_alias_that_there_is_not(log: Log) -> None:
    answer = call(figures.handler, "GET", "/models/m/aliases/nope/release", scopes="read")
    assert answer.status == 404 and answer.json["error"].endswith("it has production")
    assert call(figures.handler, "GET", PATH, scopes="read:other").status == 403
    models.delete(log, "m", Change(by="ann"))
    assert call(figures.handler, "GET", PATH, scopes="read").status == 404
