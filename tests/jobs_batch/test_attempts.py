"""Inputs that kill the worker: each is its own failure, every other one is answered, and nothing is answered twice."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Unavailable
from shared.jobs.batch import plan, progress
from shared.jobs.batch.attempts import DEATHS, REFUSALS
from shared.jobs.batch.work import NotFinished, process
from shared.runtime.runners import Crashed, TimedOut
from shared.storage.base import Unavailable as StoreUnavailable
from shared.storage.memory import MemoryStore
from tests.failing import Crash, FailingStore, crash_at, randomly
from tests.jobs_batch.world import MANIFEST, a_job, answers, chunks, echo, for_ever, run


class Worker:
    """The model of a chunk, and how often each input was tried.

    kills: inputs of which this process dies. refuses: for which the model is out of reach. crashes: which end the
    model's own process. slow: which take longer than there is time.
    """

    def __init__(self, **inputs: set[int]) -> None:
        self.kills, self.refuses = inputs.get("kills", set()), inputs.get("refuses", set())
        self.crashes, self.slow = inputs.get("crashes", set()), inputs.get("slow", set())
        self.tried: Counter[int] = Counter()

    def predict(self, body: bytes, content_type: str) -> dict[str, Any]:
        number = json.loads(body)["n"]
        self.tried[number] += 1
        if number in self.kills:
            raise Crash("the process died")
        if number in self.refuses:
            raise Unavailable("the process of the model ended")
        if number in self.crashes:
            raise Crashed("the model ended its process", "SIGFPE")
        if number in self.slow:
            raise TimedOut("the model was not ready in time")
        return echo(body, content_type)


def a_chunk_of(count: int) -> tuple[MemoryStore, Any, Any]:
    store = MemoryStore()
    rows = b"\n".join(json.dumps({"n": n}).encode() for n in range(count))
    job = a_job(store, {"a.jsonl": rows}, chunk=10_000)
    plan.create(store, job)
    [chunk] = chunks(store, job)
    return store, job, chunk


def called_until_done(store: Any, job: Any, chunk: Any, worker: Worker, most: int, number: int = 1) -> int:
    """As the state machine does: again after each death. Returns the number of calls."""
    for calls in range(1, most + 1):
        try:
            process(store, job, number, chunk, MANIFEST, worker.predict, for_ever)
            return calls
        except (Crash, NotFinished):
            continue
    raise AssertionError(f"not done after {most} calls")


def right(store: Any, job: Any, count: int, failed: set[int]) -> None:
    lines = answers(store, job)
    assert [line["index"] for line in lines] == list(range(count))
    assert {line["index"] for line in lines if "error" in line} == failed
    assert all(line["prediction"]["echo"] == {"n": line["index"]} for line in lines if "error" not in line)


@pytest.mark.parametrize("count", [1, 2, 10, 500])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_input_that_kills_costs_a_few_calls(count: int, place: str) -> None:
    store, job, chunk = a_chunk_of(count)
    bad = {"first": 0, "middle": count // 2, "last": count - 1}[place]
    worker = Worker(kills={bad})
    # one death per halving, and per attempt at the input alone; then the call that ends
    calls = called_until_done(store, job, chunk, worker, math.ceil(math.log2(count)) + DEATHS + 1)
    assert calls > DEATHS
    right(store, job, count, {bad})
    [line] = [line for line in answers(store, job) if "error" in line]
    assert (
        line["status"] == 500
        and "the worker died on this input" in line["error"]
        and line["input"] == f"a.jsonl:{bad + 1}"
    )
    assert worker.tried[bad] == calls - 1, "each call but the last one died of it, and of nothing else"


@given(st.sets(st.integers(0, 39), max_size=12), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_many_that_kill(kills: set[int], seed: int) -> None:
    store, job, chunk = a_chunk_of(40)
    worker = Worker(kills=kills)
    called_until_done(store, job, chunk, worker, 1 + 8 * len(kills))
    right(store, job, 40, kills)
    status = progress.status(store, job)
    assert (status["state"], status["done"], status["failed"]) == ("done", 40, len(kills))


def test_all_of_them_kill() -> None:
    store, job, chunk = a_chunk_of(60)
    called_until_done(store, job, chunk, Worker(kills=set(range(60))), 200)
    right(store, job, 60, set(range(60)))


def test_a_death_by_chance_costs_no_input_its_answer() -> None:
    store, job, chunk = a_chunk_of(50)
    worker = Worker(kills={7})
    with pytest.raises(Crash):
        process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    worker.kills = set()  # it was the machine
    process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    right(store, job, 50, set())


def test_parts_that_are_done_are_not_done_again() -> None:
    store, job, chunk = a_chunk_of(64)
    worker = Worker(kills={63})
    called_until_done(store, job, chunk, worker, 20)
    assert worker.tried[0] <= 2 and worker.tried[32] <= 3, "each half is stored as soon as it is answered"


def test_starting_again_resumes_where_the_last_run_ended() -> None:
    store, job, chunk = a_chunk_of(64)
    worker = Worker(kills={40})
    for _ in range(5):  # then the run is given up
        with pytest.raises(Crash):
            process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    tried = worker.tried[0]
    called_until_done(store, job, chunk, worker, 6, number=2)
    right(store, job, 64, {40})
    assert worker.tried[0] == tried


def test_a_run_does_not_take_another_runs_attempts_for_deaths_of_its_own() -> None:
    """Another run's worker may be alive still: its mark is no proof against an input."""
    store, job, chunk = a_chunk_of(1)
    worker = Worker(kills={0})
    for number in (1, 2, 3):
        with pytest.raises(Crash):
            process(store, job, number, chunk, MANIFEST, worker.predict, for_ever)
    worker.kills = set()
    process(store, job, 4, chunk, MANIFEST, worker.predict, for_ever)
    right(store, job, 1, set())


def test_an_input_for_which_the_model_is_out_of_reach_is_its_own_failure() -> None:
    store, job, chunk = a_chunk_of(20)
    worker = Worker(refuses={4, 19})
    calls = called_until_done(store, job, chunk, worker, 10)
    right(store, job, 20, {4, 19})
    assert calls == 1 + 2 * (REFUSALS - 1)
    assert worker.tried[4] == 2 * REFUSALS, "twice in each call: the second time with a new process"
    assert worker.tried[0] == 1, "what was answered before it is stored"
    assert {line["status"] for line in answers(store, job) if "error" in line} == {503}


def test_an_input_that_ends_the_models_own_process_is_its_own_failure_at_once() -> None:
    store, job, chunk = a_chunk_of(20)
    worker = Worker(crashes={0, 7, 8})
    process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    right(store, job, 20, {0, 7, 8})
    assert (worker.tried[6], worker.tried[7]) == (1, 2), "twice: a process may end by chance"
    assert {line["status"] for line in answers(store, job) if "error" in line} == {503}


def test_an_input_that_takes_all_the_time_of_a_call_fails_when_it_had_all_of_it() -> None:
    store, job, chunk = a_chunk_of(10)
    worker = Worker(slow={4})
    with pytest.raises(NotFinished, match="what was left of the time"):
        process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    right(store, job, 10, {4})
    assert worker.tried == Counter({4: 2} | {n: 1 for n in range(10) if n != 4})
    assert [line["status"] for line in answers(store, job) if "error" in line] == [504]


def test_a_model_that_comes_back_answers_every_input() -> None:
    store, job, chunk = a_chunk_of(5)
    worker = Worker(refuses={2})
    with pytest.raises(NotFinished):
        process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    worker.refuses = set()
    process(store, job, 1, chunk, MANIFEST, worker.predict, for_ever)
    right(store, job, 5, set())


def test_a_store_that_is_away_is_no_inputs_fault() -> None:
    store, job, chunk = a_chunk_of(5)

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        if json.loads(body)["n"] == 2 and away:
            raise StoreUnavailable("the store is away")
        return echo(body, content_type)

    away = True
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            process(store, job, 1, chunk, MANIFEST, predict, for_ever)
    away = False
    process(store, job, 1, chunk, MANIFEST, predict, for_ever)
    right(store, job, 5, set())


@given(st.integers(0, 2**32), st.sets(st.integers(0, 15), max_size=3))
@settings(max_examples=25, deadline=None)
def test_deaths_and_a_store_that_fails_by_chance(seed: int, kills: set[int]) -> None:
    store, job, chunk = a_chunk_of(16)
    failing = FailingStore(store, randomly(seed, before=0.05, after=0.05))
    worker = Worker(kills=kills)
    for _ in range(500):
        try:
            process(failing, job, 1, chunk, MANIFEST, worker.predict, for_ever)
            break
        except (Crash, Unavailable):
            continue
    right(store, job, 16, kills)


def test_two_jobs_chunks_do_not_share_their_attempts() -> None:
    store = MemoryStore()
    rows = b"\n".join(json.dumps({"n": n}).encode() for n in range(20))
    job = a_job(store, {"a.jsonl": rows}, chunk=10)
    plan.create(store, job)
    worker = Worker(kills={13})
    for chunk in chunks(store, job):
        called_until_done(store, job, chunk, worker, 10)
    right(store, job, 20, {13})
    assert {worker.tried[n] for n in range(10)} == {1}


def test_an_untroubled_chunk_costs_one_more_request_than_its_answers() -> None:
    store, job, _ = a_chunk_of(20)
    counting = FailingStore(store)
    run(counting, job)
    operations = Counter(call.operation for call in counting.calls if "/part/" in call.key)
    assert operations == {"list_page": 1, "put": 1}


def test_any_order_of_deaths_ends() -> None:
    """Deaths that follow no input: a machine that is taken away again and again, and comes to an end all the same."""
    rng = random.Random(1)
    store, job, chunk = a_chunk_of(30)

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        if rng.random() < 0.1:
            raise Crash("the machine was taken away")
        return echo(body, content_type)

    for _ in range(300):
        try:
            process(store, job, 1, chunk, MANIFEST, predict, for_ever)
            break
        except Crash:
            continue
    lines = answers(store, job)
    assert [line["index"] for line in lines] == list(range(30))
    assert sum("error" in line for line in lines) <= 3


def test_a_run_that_dies_at_any_request_of_the_store_is_ended_by_the_next() -> None:
    """Before and after the effect: also between the note that an input kills and its answer."""
    for number in range(1, 60):
        for after in (False, True):
            store, job, chunk = a_chunk_of(4)
            failing = FailingStore(store, crash_at(number, after=after))
            worker = Worker(kills={1, 2})
            while len(failing.calls) < number:
                with suppress(Crash):
                    process(failing, job, 1, chunk, MANIFEST, worker.predict, for_ever)
            called_until_done(failing, job, chunk, worker, 10, number=2)
            right(store, job, 4, {1, 2})
