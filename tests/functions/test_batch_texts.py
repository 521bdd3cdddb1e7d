"""A batch job of texts, by the worker itself: several at once, and the same lines as one by one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest

from functions.batchwork import app
from shared import batch_keys
from shared.clock import now
from shared.config import Config
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import plan_key
from shared.jobs.batch.work import NotFinished
from shared.registry.log import Log
from shared.serving.counter import Counter
from shared.serving.generation import engine
from shared.serving.generation.reader import SessionReader
from shared.serving.models import Models
from shared.serving.tasks.text_generation import TextGeneration
from shared.storage.memory import MemoryStore
from tests.functions.generating import models, pushed

__all__ = ["models", "pushed"]  # fixtures

GREEDY = {"temperature": 0, "max_tokens": 12}
ASKED: list[Any] = [
    {"input": "one", "parameters": GREEDY},
    {"input": "a longer prompt than the first one", "parameters": GREEDY},
    {"input": "seeded", "parameters": {"seed": 7, "max_tokens": 20}},
    {"input": 7},
    {"input": "x" * 200, "parameters": GREEDY},
    {"inputs": ["two", "in one"], "parameters": GREEDY},
    {"input": {"messages": [{"role": "user", "content": "as a chat"}]}, "parameters": GREEDY},
    {"input": "of one token", "parameters": {"temperature": 0, "max_tokens": 1}},
    {"input": "too hot", "parameters": {"temperature": 9}},
    {"input": "with a stop", "parameters": {"temperature": 0, "max_tokens": 20, "stop": list("aeiou")[:4]}},
    *({"input": f"number {number}", "parameters": {"seed": number, "max_tokens": 4 + number}} for number in range(12)),
]
BAD = (3, 4, 8)


class Context:
    """Of a call. left: seconds, asked for each time."""

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left

    def get_remaining_time_in_millis(self) -> int:
        return int(self._left() * 1000)


Work = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def work(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Work:
    """The lines of a job of one chunk."""
    loading = Models(Log(store), ttl=0, capacity=10**9, generates=None)
    for name, value in {"store": store, "models": loading, "config": Config(bucket="amaas")}.items():
        monkeypatch.setattr(app, name, partial(lambda one: one, value))

    def of(asked: Sequence[Any], name: str = "j1", left: Callable[[], float] = lambda: 900.0) -> list[dict[str, Any]]:
        return lines(store, a_job(store, asked, name), left)

    return of


def a_job(store: MemoryStore, asked: Sequence[Any], name: str) -> Job:
    job = Job(id=name, model="tiny", version=1, by="ann", created_at=now(), prefix=f"batch/{name}/in/", chunk=1000)
    store.put(batch_keys.batch_input(name, "a.jsonl"), b"\n".join(json.dumps(one).encode() for one in asked))
    plan.create(store, jobs.create(store, job))
    return job


def lines(store: MemoryStore, job: Job, left: Callable[[], float]) -> list[dict[str, Any]]:
    [chunk] = json.loads(store.get(plan_key(job.id)).body)
    app.handler({"job": job.id, "run": 1, "chunk": chunk}, Context(left))
    return [json.loads(line) for line in store.get(batch_keys.batch_output(job.id, 0)).body.splitlines()]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each step had."""
    seen: list[int] = []
    real = SessionReader.step

    def step(self: SessionReader, tokens: Sequence[int]) -> np.ndarray:
        seen.append(len(tokens))
        return real(self, tokens)

    monkeypatch.setattr(SessionReader, "step", step)
    return seen


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextGeneration, "together", False)


def test_lines_are_those_of_one_by_one_with_bad_ones_among_them(
    work: Work, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = work(ASKED)
    assert max(steps) == 8
    assert [line["index"] for line in answered] == list(range(len(ASKED)))
    assert tuple(line["index"] for line in answered if "error" in line) == BAD
    before = len(steps)
    one_by_one(monkeypatch)
    assert work(ASKED, "j2") == answered
    assert len(steps) == before


def test_a_call_that_is_too_short_leaves_the_rest_to_the_next_one(
    work: Work, steps: list[int], monkeypatch: pytest.MonkeyPatch, store: MemoryStore
) -> None:
    """Time goes by steps of several: what is cut is answered by later calls, as if it had never begun."""
    asked = [{"input": f"number {number}", "parameters": {"seed": number, "max_tokens": 40}} for number in range(20)]
    job, begun = a_job(store, asked, "j1"), 0

    def left() -> float:
        return 70.0 - (len(steps) - begun)

    monkeypatch.setattr(engine, "_remaining", lambda: lambda: left() - app.WRITING)
    with pytest.raises(NotFinished, match=r"has \d+ of 20 answers"):
        lines(store, job, left)
    assert len(steps) == 59, "to the deadline of the texts"
    answered: list[dict[str, Any]] = []
    while not answered and len(steps) < 1000:
        begun = len(steps)
        with suppress(NotFinished):
            answered = lines(store, job, left)
    one_by_one(monkeypatch)
    assert work(asked, "j2") == answered


def test_a_job_of_one_text_needs_no_steps_of_several(work: Work, steps: list[int]) -> None:
    [line] = work(ASKED[:1])
    assert line["prediction"]["finish_reason"] and steps == []


def test_an_error_of_ours_is_in_the_log_and_costs_no_answer(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("rows are lost")

    monkeypatch.setattr(TextGeneration, "answer_together", broken)
    with caplog.at_level(logging.ERROR):
        answered = work(ASKED[:3])
    assert "not answered together" in caplog.text
    assert all("prediction" in line for line in answered)


def test_each_answer_is_counted_as_a_call(work: Work, monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> None:
    seen: list[Any] = []
    counter = Counter(lambda: store, afterwards=True)
    monkeypatch.setattr(app, "COUNTS", True)
    monkeypatch.setattr(app, "counter", lambda: counter)
    monkeypatch.setattr(counter, "observe", seen.append)
    work(ASKED)
    assert len(seen) == len(ASKED)
    assert sum(call.error is not None for call in seen) == len(BAD)
    assert all(call.route == "batch" and call.bytes_in for call in seen)
    shares = [call.infer_ns for call in seen if not call.input_ns]
    assert len(shares) == len(ASKED) - len(BAD) - 2, "but the first one, and the one of two texts"
    assert all(shares)
