"""From an answer's id to how often a version was right: the route, accuracy by week, wrong labels of canaries."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from functions.counts import app as counting
from functions.feedback import app as feedback
from functions.registry import app as registry
from shared import keys
from shared.config import Config
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import DAY, hour_of
from shared.feedback import answers, measured, stored
from shared.feedback.answers import Answer
from shared.feedback.labels import Given, Judged
from shared.registry.log import Log
from shared.registry.verdicts import Roles
from shared.release import counted
from shared.release.evidence import Block
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import call

NOW = int(time.time() // 60)
PATH = "/models/m/feedback"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    for app in (feedback, registry):
        monkeypatch.setattr(app, "log", lambda: Log(store))
    for app in (feedback, counting):
        monkeypatch.setattr(app, "store", lambda: store)
    monkeypatch.setattr(feedback, "config", lambda: Config(bucket="amaas", label_days=30))
    feedback._labels.cache_clear()
    push(Log(store), "m", 2, labels=["cat", "dog"])
    return store


def an_answer(number: int, predicted: int = 0, *, version: int = 1, minute: int = NOW - 5, since: int = 2) -> Answer:
    return Answer(version, "production", since, minute, number.to_bytes(6, "big"), [predicted], [19])


def an_id(number: int, predicted: int = 0, **more: Any) -> str:
    return answers.encode(an_answer(number, predicted, **more))


def give(*labels: dict[str, Any], status: int = 202, scopes: str = "label") -> dict[str, Any]:
    answer = call(feedback.handler, "POST", PATH, {"labels": list(labels)}, scopes=scopes)
    assert answer.status == status, answer.json
    return answer.json


def count(store: MemoryStore, items: int, version: int = 1, at: int = NOW - 5) -> None:
    row = Row(
        model="m",
        version=version,
        alias="production",
        since=2,
        at=at,
        counts=Counts(requests=items, scores={19: items}),
    )
    store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, version), forms.pack(forms.Raw(rows=[row])))


def weeks(**query: str) -> list[dict[str, Any]]:
    answer = call(registry.handler, "GET", "/models/m/accuracy", query=query, scopes="read")
    assert answer.status == 200, answer.json
    assert answer.json["labels_left_out"] == 0
    return list(answer.json["measured"])


def test_labels_are_right_or_wrong_before_they_are_merged_and_after(store: MemoryStore) -> None:
    count(store, 10)
    labels = [{"answer_id": an_id(number), "label": "cat" if number < 3 else "dog"} for number in range(4)]
    assert give(*labels) == {"accepted": 4, "refused": []}
    [week] = weeks()
    assert (week["version"], week["items"], week["right"], week["accuracy"]) == (1, 4, 3, 0.75)
    assert (week["answered"], week["share"], week["doubt"]) == (10, 0.4, None)
    assert week["confusions"] == [{"predicted": "cat", "label": "dog", "items": 1}]
    assert 0.3 < week["low"] < 0.75 < week["high"] < 0.96
    counting.handler({}, None)
    assert not store.list_page("feedback/raw/").objects
    assert weeks() == [week]
    assert weeks(version="2") == []


def test_of_each_item_the_last_label_counts(store: MemoryStore) -> None:
    for label in ("dog", "cat"):
        give({"answer_id": an_id(1), "label": label})
        time.sleep(0.002)
        counting.handler({}, None)
    assert weeks()[0]["right"] == 1


def test_each_label_is_refused_by_itself(store: MemoryStore) -> None:
    old, coming = an_id(3, minute=NOW - 31 * DAY), an_id(4, minute=NOW + 2 * 60)
    gone, many = an_id(5, version=9), {"answer_id": an_id(6), "label": "cat", "item": 1}
    answer = give(
        {"answer_id": an_id(1), "label": "cat"},
        {"answer_id": an_id(2), "label": "horse"},
        {"answer_id": "no id", "label": "cat"},
        *({"answer_id": one, "label": "cat"} for one in (old, coming, gone)),
        many,
        {"answer_id": an_id(7), "label": "1"},
        {"answer_id": an_id(8), "label": "7"},  # a class without a label is called by its number
    )
    assert answer["accepted"] == 2
    assert [one["index"] for one in answer["refused"]] == [1, 2, 3, 4, 5, 6, 7]
    assert "give one of cat, dog" in answer["refused"][0]["error"]
    assert "horse" not in str(answer)


def test_who_may_give_labels(store: MemoryStore) -> None:
    label = {"answer_id": an_id(1), "label": "cat"}
    for scopes in ("infer", "read", "write", "label:other"):
        give(label, status=403, scopes=scopes)
    give(label, scopes="label:m")
    give(status=400)
    assert call(feedback.handler, "POST", "/models/nobody/feedback", {"labels": [label]}, scopes="label").status == 404


def test_deleting_leaves_nothing_and_a_receipt(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    give({"answer_id": an_id(1), "label": "cat"})
    counting.handler({}, None)
    give({"answer_id": an_id(2), "label": "cat"})
    assert call(feedback.handler, "DELETE", PATH, scopes="label").status == 403
    with caplog.at_level(logging.INFO):
        answer = call(feedback.handler, "DELETE", PATH, scopes="admin")
    assert (answer.json["model"], answer.json["objects"]) == ("m", 2)
    assert not [key for key in store._objects if key.startswith("feedback/")]
    [line] = [record for record in caplog.records if record.message == "deleted"]
    assert line.what == "labels"
    assert weeks() == []


def test_weeks_begin_on_mondays() -> None:
    monday = 29_000_000 - 29_000_000 % measured.WEEK + measured.MONDAY
    assert time.gmtime(monday * 60)[6] == 0
    assert measured.week_of(monday) == monday == measured.week_of(monday + measured.WEEK - 1)
    assert measured.week_of(monday - 1) == monday - measured.WEEK


def judged(right: int, wrong: int, minute: int = 29_000_000, version: int = 1, since: int = 2) -> list[Judged]:
    answer = an_answer(0, version=version, minute=minute, since=since)
    return [Judged(answer, 0, 19, 0)] * right + [Judged(answer, 0, 19, 1)] * wrong


def test_figures_that_are_not_to_be_believed_say_so() -> None:
    place = (1, measured.week_of(29_000_000))
    doubts = [measured.by_week(judged(9, 1), {place: answered}, {})[0].doubt for answered in (10, 201, 9)]
    assert doubts[0] is None
    assert doubts[1] is not None and "10 of 201" in doubts[1]
    assert doubts[2] is not None and "more labels than the 9 answers" in doubts[2]


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (5, 10), (980, 1000)])
def test_wilsons_interval_is_where_the_normal_test_does_not_reject(right: int, n: int) -> None:
    low, high = measured.wilson(right, n)
    for share in (low, high):
        if 0 < share < 1:
            assert abs(right / n - share) == pytest.approx(measured.Z * (share * (1 - share) / n) ** 0.5)
    assert low <= right / n <= high


def test_wrong_labels_are_events_of_the_minutes_that_were_answered() -> None:
    roles = Roles(stable=1, canary=2, weight=10)
    rows = [
        Row(model="m", version=version, alias="production", since=2, at=at, counts=Counts(requests=9, scores={19: 9}))
        for version in (1, 2)
        for at in (29_000_000, 29_000_001)
    ]
    minutes = counted.minutes(rows, roles, 2)
    labels = judged(6, 2) + judged(1, 4, version=2) + judged(3, 0, since=1) + judged(10, 0, minute=29_000_001)
    blocks = counted.blocks(counted.with_labels(minutes, labels, roles, 2), "wrong_label")
    assert blocks == [Block(5, 4, 8, 2)], "not of another stage, nor of more labels than there were answers"


def test_what_was_stored_for_another_model_is_not_read(store: MemoryStore) -> None:
    stored.keep(store, "other", [Given(an_id(1), 0, 0, 5, "a")])
    assert weeks() == []
