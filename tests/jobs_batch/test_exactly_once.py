"""Exactly one answer per input: through crashes at every call, second deliveries, races, and halves of chunks."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import batch_keys
from shared.errors import Unavailable
from shared.jobs.batch import plan, progress
from shared.jobs.batch.work import NotFinished, process
from shared.storage.memory import MemoryStore
from tests.failing import Crash, FailingStore, crash_at, never, randomly
from tests.jobs_batch.world import MANIFEST, a_job, answers, chunks, echo, for_ever, run

LINES = b"\n".join(json.dumps({"n": n}).encode() for n in range(7))
FILES = {"a.jsonl": LINES, "b.csv": b"p,q\n1,2\n3,4\n5,x\n", "c.bin": b'"one"', "d.bin": b'"two"', "e.bin": b"no json"}
COUNT = 7 + 3 + 3


def prepared() -> MemoryStore:
    store = MemoryStore()
    a_job(store, FILES, chunk=2)
    return store


def whole(store: MemoryStore) -> None:
    lines = answers(store, _job(store))
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert [("prediction" in line) != ("error" in line) for line in lines] == [True] * COUNT
    assert [line["prediction"]["echo"] for line in lines[:7]] == [{"n": n} for n in range(7)]
    assert [line["index"] for line in lines if "error" in line] == [9, 12]
    status = progress.status(store, _job(store))
    assert (status["state"], status["inputs"], status["done"], status["failed"]) == ("done", COUNT, COUNT, 2)
    assert [line["input"] for line in status["failures"]] == ["b.csv:3", "e.bin"]


def _job(store: Any) -> Any:
    from shared.jobs.batch import job as jobs

    return jobs.read(store, "j1")


def calls_of_a_run() -> int:
    failing = FailingStore(prepared())
    run(failing, _job(failing.store))
    return len(failing.calls)


def test_a_run_without_faults() -> None:
    store = prepared()
    run(store, _job(store))
    whole(store)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_process_dies_at_each_call_and_the_run_is_repeated(after: bool) -> None:
    died = 0
    for number in range(1, calls_of_a_run() + 1):
        failing = FailingStore(prepared(), crash_at(number, after=after))
        try:
            run(failing, _job(failing.store))
        except Crash:
            died += 1
        failing.plan = never
        run(failing, _job(failing.store), number=2)
        whole(failing.store)  # type: ignore[arg-type]  # what was wrapped is a MemoryStore
    assert died == calls_of_a_run()


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_faults_by_chance_any_order_and_second_deliveries(seed: int, chunk: int) -> None:
    rng, store = random.Random(seed), MemoryStore()
    a_job(store, FILES, chunk=chunk)
    failing = FailingStore(store, randomly(seed, before=0.15, after=0.15))
    job = _job(store)
    for _ in range(200):
        try:
            plan.create(failing, job)
            break
        except Unavailable:
            continue
    todo = 2 * chunks(store, job)
    rng.shuffle(todo)
    for _ in range(2000):
        if not todo:
            break
        try:
            process(failing, job, 1, todo[-1], MANIFEST, unsteady(rng), for_ever)
        except Unavailable:
            rng.shuffle(todo)
            continue
        todo.pop()
    whole(store)


def unsteady(rng: random.Random) -> Any:
    """A model that is away from time to time, and takes no input for answered then."""

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        if rng.random() < 0.1:
            raise Unavailable("the model is away")
        return echo(body, content_type)

    return predict


def test_two_workers_on_one_chunk_at_the_same_time_agree_on_one_output() -> None:
    store = prepared()
    job, meet = _job(store), threading.Barrier(2)
    plan.create(store, job)
    first = chunks(store, job)[0]

    def worker(name: str) -> None:
        def predict(body: bytes, content_type: str) -> dict[str, Any]:
            if json.loads(body) == {"n": 0}:
                meet.wait(10)
            return {"by": name}

        process(store, job, 1, first, MANIFEST, predict, for_ever)

    threads = [threading.Thread(target=worker, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = answers(store, job)
    assert len(lines) == 2
    assert len({line["prediction"]["by"] for line in lines}) == 1, "no output is mixed of two"


@given(st.lists(st.integers(1, 3), max_size=8))
def test_a_chunk_that_takes_many_calls_is_put_together_of_its_parts(steps: list[int]) -> None:
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": LINES}, chunk=100)
    plan.create(store, job)
    [chunk] = chunks(store, job)
    predicted: list[Any] = []

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        predicted.append(json.loads(body)["n"])
        return echo(body, content_type)

    for count in steps:
        remaining = iter([100.0] * (count - 1) + [0.0] * 100)
        try:
            process(store, job, 1, chunk, MANIFEST, predict, lambda remaining=remaining: next(remaining))
        except NotFinished:
            continue
    process(store, job, 1, chunk, MANIFEST, predict, for_ever)
    assert predicted == list(range(7)), "no input is predicted twice"
    assert [line["index"] for line in answers(store, job)] == list(range(7))


def test_the_plan_is_made_once_whatever_arrives_later() -> None:
    store = prepared()
    job = _job(store)
    before = plan.create(store, job)
    store.put(batch_keys.batch_input("j1", "0-late.jsonl"), b"{}")
    store.delete("batch/j1/planned.json")  # as if the planner had died in between
    assert plan.create(store, job) == before
    run(store, job)
    whole(store)


def test_a_cancelled_run_does_no_more_and_the_next_one_does_the_rest() -> None:
    from shared.jobs.batch import job as jobs

    store = prepared()
    job = _job(store)
    plan.create(store, job)
    process(store, job, 1, chunks(store, job)[0], MANIFEST, echo, for_ever)
    jobs.begin_run(store, job.id, 1, "ann")
    jobs.cancel_run(store, job.id, 1)
    run(store, job, number=1)
    assert len(answers(store, job)) == 2
    assert progress.status(store, job)["state"] == "cancelled"
    run(store, job, number=2)
    whole(store)
