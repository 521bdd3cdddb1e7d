"""The watch function: from stored counts to a record, and from the record to whoever is told of it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

from functions.watch import app as watching
from shared import keys
from shared.config import Config
from shared.counts import forms, read
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.errors import Unavailable
from shared.registry import aliases, models
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Target
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push
from tests.support import s3_event

LOOK = {"source": "aws.events"}
MINUTES = 4


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """A canary that was split off five minutes ago."""
    log = Log(MemoryStore())
    monkeypatch.setattr(watching, "log", lambda: log)
    monkeypatch.setattr(watching, "store", lambda: log.store)
    monkeypatch.setattr(watching, "config", lambda: Config(bucket="amaas"))
    monkeypatch.setattr(watching._Rest, "until", 0.0)
    watching._ways.cache_clear()
    push(log, "m", 2)
    rules = ReleasePolicy(bake_minutes=3, least_requests=50, tolerated_loss=0.2, promote=True)
    aliases.set_policy(log, "m", "production", None, ANN, rules)
    aliases.move(log, "m", "production", Target.of({1: 90, 2: 10}), ANN)
    five_later = time.time() + 300
    monkeypatch.setattr(watching.time, "time", lambda: five_later)
    return log


def target(log: Log) -> str:
    return str(models.get(log, "m").aliases["production"].target)


def count(log: Log, bad: int, since: int | None = None) -> None:
    """A raw object of each minute: ten calls of the canary, `bad` of which fail, and ninety of the stable version."""
    since = models.get(log, "m").aliases["production"].since if since is None else since
    now = int(watching.time.time() // 60)
    for number, at in enumerate(range(now - MINUTES - 1, now - 1)):
        rows = [
            Row(model="m", version=version, alias="production", since=since, at=at, counts=counts)
            for version, counts in ((1, Counts(requests=90)), (2, Counts(requests=10, server_errors=bad)))
        ]
        key = keys.stats_raw(hour_of(at), at % 60, os.urandom(8).hex(), number)
        log.store.put(key, forms.pack(forms.Raw(rows=rows)))


def look() -> list[dict[str, Any]]:
    return watching.handler(LOOK, None)["looked"]


def test_a_worse_canary_is_rolled_back(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    count(log, bad=5)
    (said,) = look()
    assert (said["verdict"], said["obstacle"]) == ("RollBack", None)
    assert "server errors in 20 of 40 calls, beside 0 of 360" in said["reason"]
    assert target(log) == "1"
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "RolledBack" in line]
    assert [one["RolledBack"] for one in figures] == [1]


def test_a_good_canary_goes_on_once_it_has_had_its_calls(log: Log) -> None:
    count(log, bad=0)
    assert look()[0]["reason"] == "version 2 has had 40 of 50 calls"
    count(log, bad=0)  # of other processes
    (said,) = look()
    assert (said["verdict"], target(log)) == ("GoOn", "1: 75, 2: 25")


def test_counts_of_another_stage_are_none_of_this_one(log: Log) -> None:
    count(log, bad=10, since=models.get(log, "m").aliases["production"].since - 1)
    assert "no calls of version 2" in look()[0]["reason"]


def test_damaged_counts_are_left_out(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    count(log, bad=5)
    log.store.put(keys.stats_raw(hour_of(int(watching.time.time() // 60)), 1, "f" * 16, 1), b"damaged")
    assert look()[0]["verdict"] == "RollBack"
    assert "counts are missing" in caplog.text


def test_where_nothing_is_watched_a_process_rests_until_a_model_changes(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases.set_policy(log, "m", "production", None, ANN, None)
    assert look() == []
    monkeypatch.setattr(watching.watch, "look", lambda *args: pytest.fail("it does not rest"))
    assert look() == []
    monkeypatch.undo()


def test_a_move_wakes_it(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching._Rest, "until", float("inf"))
    assert look() == []
    assert watching.handler(s3_event(keys.changed("m", 4)), None) == {"told": []}
    assert len(look()) == 1


def test_what_cannot_be_judged_rings(
    log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(read, "read", lambda *args: 1 / 0)
    assert look() == [{"model": "m", "alias": "production", "verdict": None}]
    assert '"WatchFailed":1' in capsys.readouterr().out.replace(" ", "")
    assert target(log) == "1: 90, 2: 10"


# ---- telling


@pytest.fixture
def posted(log: Log, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bytes]]:
    sent: list[tuple[str, str, bytes]] = []
    settings = Config(bucket="amaas", webhook_url="https://hooks.example/x", webhook_secret="word")
    monkeypatch.setattr(watching, "config", lambda: settings)
    monkeypatch.setattr(watching.webhook, "send", lambda *message: sent.append(message))
    return sent


def test_whoever_is_to_be_told_is_told_of_the_watchers_moves(log: Log, posted: list[tuple[str, str, bytes]]) -> None:
    count(log, bad=5)
    look()
    revision = models.get(log, "m").revision
    for number in range(1, revision):
        assert watching.handler(s3_event(keys.changed("m", number)), None) == {"told": []}
    assert watching.handler(s3_event(keys.changed("m", revision)), None) == {"told": [f"m/{revision}"]}
    ((url, secret, body),) = posted
    assert (url, secret) == ("https://hooks.example/x", "word")
    assert json.loads(body)["evidence"]["metrics"]["server_errors"]["canary_bad"] == 20


def test_an_event_that_is_faster_than_its_record_comes_again(
    log: Log, posted: list[tuple[str, str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.notify, "PAUSES", ())
    with pytest.raises(Unavailable, match="not there yet"):
        watching.handler(s3_event(keys.changed("m", models.get(log, "m").revision + 1)), None)


def test_other_objects_there_are_nothing_to_tell(log: Log) -> None:
    assert watching.handler(s3_event("catalogue/changed/odd"), None) == {"told": []}


def test_a_webhook_that_hangs_changes_no_alias(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The move was made before, and telling of it is another invocation's."""
    settings = Config(bucket="amaas", webhook_url="https://hooks.example/x", webhook_secret="word")
    monkeypatch.setattr(watching, "config", lambda: settings)

    def hangs(*message: object) -> None:
        raise Unavailable("the webhook hooks.example did not answer within 3 s, 3 times")

    monkeypatch.setattr(watching.webhook, "send", hangs)
    count(log, bad=5)
    assert look()[0]["verdict"] == "RollBack"
    assert target(log) == "1"
    with pytest.raises(Unavailable, match="did not answer"):
        watching.handler(s3_event(keys.changed("m", models.get(log, "m").revision)), None)
    assert target(log) == "1"
