"""Shadows: served_by_one after the answer, compared, counted; whatever goes wrong with one, the caller never sees."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.serving.loaded import Loaded
from shared.serving.models import Models
from shared.serving.observe import Call
from shared.serving.shadow import WAITING, Shadows, compare
from shared.storage.memory import MemoryStore
from tests.serving.test_models import publish
from tests.support import linear

PATIENCE = 120  # seconds that a busy machine may take
FEEDS = {"x": np.array([[1, 1]], np.float32)}
CHANGE = Change(by="op")


@pytest.fixture
def models() -> Models:
    store = MemoryStore()
    for n, weight in enumerate((1.0, 1.0001, 2.0), 1):
        publish(store, "m", linear([[weight], [0.0]]), f"upload-{n}")
    return Models(Log(store), ttl=0, capacity=10**9)


def shadowed(models: Models, shadow: int) -> Loaded:
    aliases.move(models.log, "m", "production", Target(version=1, shadow=shadow), CHANGE)
    return models.load("m", None)


def call(served: Loaded, answer: object, repeat: Callable[[Loaded], object]) -> Call:
    return Call(loaded=served, route="infer", answer=answer, repeat=repeat)


def again(other: Loaded) -> list[np.ndarray]:
    return other.session.run(None, FEEDS)


def metric_lines(capsys: pytest.CaptureFixture, count: int = 1) -> list[dict]:
    deadline, lines = time.monotonic() + PATIENCE, []
    while len(lines) < count and time.monotonic() < deadline:
        time.sleep(0.01)
        lines += [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return lines


@pytest.mark.parametrize(("shadow", "different"), [(2, 0), (3, 1)])
def test_a_shadow_is_asked_and_compared(
    models: Models, capsys: pytest.CaptureFixture, shadow: int, different: int
) -> None:
    served = shadowed(models, shadow)
    Shadows(models).observe(call(served, again(served), again))
    [line] = metric_lines(capsys)
    assert (line["model"], line["version"], line["shadow"]) == ("m", 1, shadow)
    assert (line["Shadowed"], line["ShadowDifferent"]) == (1, different)
    assert line["largest"] == pytest.approx({2: 0.0001, 3: 1.0}[shadow], rel=0.01)
    metrics = line["_aws"]["CloudWatchMetrics"][0]
    assert {m["Name"] for m in metrics["Metrics"]} == {"Shadowed", "ShadowDifferent", "ShadowDuration"}
    assert all(m["Name"] in line for m in metrics["Metrics"])


def test_only_an_alias_with_a_shadow_is_shadowed(models: Models, capsys: pytest.CaptureFixture) -> None:
    shadows = Shadows(models)
    plain = models.load("m", None)
    shadows.observe(call(plain, again(plain), again))
    with_shadow = shadowed(models, 2)
    assert with_shadow.shadow == 2
    assert models.load("m", "1").shadow is None
    served_by_one = Loaded(**{f: getattr(with_shadow, f) for f in with_shadow.__struct_fields__} | {"shadow": 1})
    shadows.observe(call(served_by_one, again(served_by_one), again))
    shadows.observe(Call(loaded=with_shadow, route="infer", error=ValueError("no answer"), repeat=again))
    shadows.observe(Call(loaded=with_shadow, route="explain", answer={}))
    assert metric_lines(capsys, 0) == []
    assert (shadows._waiting.qsize(), shadows._started) == (0, False)


def test_a_shadow_that_fails_is_counted(models: Models, capsys: pytest.CaptureFixture) -> None:
    served = shadowed(models, 2)

    def fail(other: Loaded) -> None:
        raise ValueError("other inputs")

    shadows = Shadows(models)
    shadows.observe(call(served, again(served), fail))
    [line] = metric_lines(capsys)
    assert (line["Shadowed"], line["ShadowFailed"], line["reason"]) == (1, 1, "ValueError: other inputs")
    shadows.observe(call(served, again(served), again))
    assert metric_lines(capsys)[0]["ShadowDifferent"] == 0


def test_no_answer_waits_for_a_shadow(models: Models, capsys: pytest.CaptureFixture) -> None:
    served, shadows, gate = shadowed(models, 2), Shadows(models), threading.Event()
    ended: list[Loaded] = []

    def slow(other: Loaded) -> list[np.ndarray]:
        gate.wait(PATIENCE)
        ended.append(other)
        return again(other)

    for _ in range(WAITING + 5):
        shadows.observe(call(served, again(served), slow))
    assert not ended, "whoever had waited would have waited for the first one's end"
    gate.set()
    lines = metric_lines(capsys, WAITING + 5)
    served_by_one = sum(line.get("Shadowed", 0) for line in lines)
    assert (served_by_one + sum(line.get("ShadowDropped", 0) for line in lines), served_by_one >= WAITING) == (
        WAITING + 5,
        True,
    )


def test_work_afterwards_ends_when_there_is_no_time(models: Models, capsys: pytest.CaptureFixture) -> None:
    served, shadows = shadowed(models, 2), Shadows(models, afterwards=True)
    shadows.observe(call(served, again(served), again))
    shadows.work(0.5)
    assert metric_lines(capsys, 0) == []
    shadows.work(30)
    assert metric_lines(capsys)[0]["Shadowed"] == 1


@pytest.mark.parametrize(
    ("served", "shadow", "same", "largest"),
    [
        ([np.zeros((2, 2), np.float32)], [np.full((2, 2), 0.005, np.float32)], True, 0.005),
        ([np.zeros(2, np.float32)], [np.zeros(3, np.float32)], False, 0),
        ([np.array([np.nan, np.inf])], [np.array([np.nan, np.inf])], True, 0),
        ([np.array([1.0])], [np.array([np.nan])], False, 0),
        ([np.array([b"a"], object)], [np.array([b"b"], object)], False, 0),
        ([np.array(["a"], object)], [np.array(["a"], object)], True, 0),
        ({"label": "cat", "score": 0.5, "version": 1}, {"label": "cat", "score": 0.504, "version": 2}, True, 0.004),
        ({"label": "cat"}, {"label": "dog"}, False, 0),
        ({"a": 1}, {"b": 1}, False, 0),
        ([1, [2.0]], [1, [3.0]], False, 1),
        ([1, 2], [1], False, 0),
        (None, None, True, 0),
        ("1", 1, False, 0),
        (1.0, "1", False, 0),
    ],
)
def test_comparison(served: object, shadow: object, same: bool, largest: float) -> None:
    comparison = compare(served, shadow)
    assert (comparison.same, comparison.largest) == (same, pytest.approx(largest, abs=1e-6))
