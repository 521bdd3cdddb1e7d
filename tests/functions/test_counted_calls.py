"""From a call to its counts: the line in the log, the answer's header, and the sums of the registry's route."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.inference import app as inference
from functions.registry import app as registry
from shared import keys
from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.serving.counter import Counter
from shared.serving.observe import Observers
from shared.storage.memory import MemoryStore
from tests.serving.test_models import publish
from tests.support import Answer, call, linear

BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}]}


@pytest.fixture
def counter(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """As on Lambda: counting is on, and done after answers."""
    for n in (1, 2):
        publish(store, "m", linear([[float(n)], [0.0]]), f"upload-{n}")
    counter = Counter(lambda: store, afterwards=True)
    monkeypatch.setattr(inference.calls, "observers", Observers())
    inference.calls.observe_for_counts(counter)
    return counter


def infer(path: str = "/v2/models/m/infer", body: Any = BODY) -> Answer:
    return call(inference.handler, "POST", path, body)


def sums() -> list[dict[str, Any]]:
    answer = call(registry.handler, "GET", "/models/m/stats", scopes="read")
    assert answer.status == 200, answer.json
    return answer.json["sums"]


def test_steps_of_a_canary_are_told_apart_by_the_revision_of_the_alias(store: MemoryStore, counter: Counter) -> None:
    revisions = []
    for target in (Target(version=1), Target.of({1: 1, 2: 1}), Target(version=2)):
        aliases.move(Log(store), "m", "production", target, Change(by="op"))
        revisions.append(Log(store).read("m").aliases["production"].since)
        for number in range(10):
            assert call(inference.handler, "POST", "/v2/models/m/infer", BODY, headers={"x-request-key": f"{number}"})
    assert infer("/v2/models/m/versions/1/infer").status == 200
    counter.finish()
    found = {(one["version"], one["alias"], one["revision"]): one["requests"] for one in sums()}
    split = {key: number for key, number in found.items() if key[2] == revisions[1]}
    assert set(split) == {(1, "production", revisions[1]), (2, "production", revisions[1])}
    assert sum(split.values()) == 10
    assert {key: number for key, number in found.items() if key not in split} == {
        (1, None, None): 1,
        (1, "production", revisions[0]): 10,
        (2, "production", revisions[2]): 10,
    }


def test_the_line_of_a_call_names_version_and_alias(
    store: MemoryStore, counter: Counter, capsys: pytest.CaptureFixture
) -> None:
    def line(answer: Answer) -> dict[str, Any]:
        return [one for one in map(json.loads, capsys.readouterr().out.splitlines()) if one["message"] == "call"][-1]

    said = line(infer())
    assert (said["model"], said["version"], said["alias"]) == ("m", 1, "production")
    said = line(infer("/v2/models/m/versions/2/infer"))
    assert (said["model"], said["version"], said["alias"]) == ("m", 2, None)
    assert said["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]  # a version would be a metric of its own
    said = line(infer("/v2/models/nobody/infer"))
    assert (said["status"], "model" in said) == (404, False)  # a name that a caller made up
    said = line(infer(body={"inputs": [BODY["inputs"][0] | {"shape": [1, 7]}]}))
    assert (said["status"], said["version"], said["error"]) == (400, 1, "BadInput")


def test_a_version_that_cannot_be_loaded_is_counted_and_named(
    store: MemoryStore, counter: Counter, capsys: pytest.CaptureFixture
) -> None:
    store.delete(keys.blob(Log(store).read("m").versions[2].model))
    answer = infer("/v2/models/m/versions/2/infer")
    assert answer.status >= 500, answer.json
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["model"], line["version"]) == ("m", 2)
    counter.finish()
    [one] = sums()
    assert (one["version"], one["requests"], one["server_errors"]) == (2, 1, 1)
