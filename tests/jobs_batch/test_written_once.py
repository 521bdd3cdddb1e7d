"""What a batch job stored is neither done again nor written over, and one bad input leaves the others their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from shared import batch_keys
from shared.errors import Unavailable
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan, progress, runs, work
from shared.jobs.batch.attempts import Attempts
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.work import RESERVE, NotFinished, process
from shared.storage.base import list_all
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import MANIFEST, a_job, answers, chunks, echo, for_ever, run

FOUR = b'{"n": 0}\n{"n": 1}\n{"n": 2}\n{"n": 3}\n'


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return a_job(store, {"a.jsonl": FOUR}, chunk=2)


@pytest.fixture
def chunk(store: MemoryStore, job: Job) -> Chunk:
    plan.create(store, job)
    return chunks(store, job)[0]


def never(body: bytes, content_type: str) -> dict[str, Any]:
    raise AssertionError("it was answered already")


def test_a_chunk_that_is_done_stays_so_where_its_output_was_deleted(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    """A second delivery must not bring back what somebody had deleted."""
    process(store, job, 1, chunk, MANIFEST, echo, for_ever)
    store.delete(batch_keys.batch_output(job.id, chunk.number))
    assert process(store, job, 1, chunk, MANIFEST, never, for_ever) == {"chunk": 0, "state": "done"}
    assert answers(store, job) == []


def test_a_slower_worker_leaves_the_output_of_a_faster_one(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    def faster(body: bytes, content_type: str) -> dict[str, Any]:
        return {"by": "faster"}

    def slower(body: bytes, content_type: str) -> dict[str, Any]:
        process(store, job, 1, chunk, MANIFEST, faster, for_ever)
        return {"by": "slower"}

    process(store, job, 1, chunk, MANIFEST, slower, for_ever)
    assert [line["prediction"] for line in answers(store, job)] == [{"by": "faster"}] * 2


def test_a_slower_worker_leaves_the_part_of_a_faster_one(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    """Its part may be the longer one: lines that a third worker went on from would be lost."""
    faster, slower = Attempts(store, job.id, 1, chunk), Attempts(store, job.id, 1, chunk)
    faster.lines += [b'{"index":0}', b'{"index":1}']
    slower.lines += [b'{"index":0}']
    faster.store_part()
    slower.store_part()
    assert Attempts(store, job.id, 1, chunk).lines == faster.lines


def test_an_output_that_is_not_whole_is_not_written(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    longer = replace(chunk, count=chunk.count + 1)
    with pytest.raises(RuntimeError, match="has 2 inputs, the plan says 3"):
        process(store, job, 1, longer, MANIFEST, echo, for_ever)
    assert answers(store, job) == []
    assert not list(list_all(store, f"{batch_keys.batch(job.id)}done/"))


def test_a_fault_of_ours_on_one_input_leaves_the_others_their_answers(store: MemoryStore, job: Job) -> None:
    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        if json.loads(body) == {"n": 0}:
            raise RuntimeError("a fault of ours")
        return echo(body, content_type)

    run(store, job, predict)
    lines = answers(store, job)
    assert (lines[0]["status"], lines[0]["error"]) == (500, "internal error: see the log of the function batchwork")
    assert [line["prediction"]["echo"]["n"] for line in lines[1:]] == [1, 2, 3]


def test_a_call_whose_time_is_over_stores_what_it_has(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    with pytest.raises(NotFinished, match="has 1 of 2 answers"):
        process(store, job, 1, chunk, MANIFEST, echo, lambda: RESERVE - 1)
    assert answers(store, job) == []
    process(store, job, 1, chunk, MANIFEST, echo, for_ever)
    assert [line["index"] for line in answers(store, job)] == [0, 1]


def test_how_a_run_ended_is_stored_once(store: MemoryStore, job: Job) -> None:
    ended = jobs.end_run(store, job.id, 1, missing=2)
    assert jobs.end_run(store, job.id, 1, error="seen too late", died=True) == ended
    assert jobs.read_run_end(store, job.id, 1) == ended


def test_a_run_that_left_chunks_undone_says_how_many(store: MemoryStore, job: Job, chunk: Chunk) -> None:
    jobs.begin_run(store, job.id, 1, "ann")
    process(store, job, 1, chunk, MANIFEST, echo, for_ever)
    ended = progress.finish_run(store, job, 1, "the workers were away")
    assert (ended.missing, ended.error) == (1, "the workers were away")
    status = progress.status(store, job)
    assert (status["state"], status["done"], status["error"]) == ("incomplete", 2, "the workers were away")


def test_to_cancel_a_run_is_to_stop_its_execution(store: MemoryStore, job: Job) -> None:
    stopped: list[tuple[str, int]] = []

    class Machine:
        def start(self, job: str, run: int) -> None: ...

        def look(self, job: str, run: int) -> runs.Execution:
            return runs.Execution(running=True, status="running")

        def stop(self, job: str, run: int) -> None:
            stopped.append((job, run))

    runs.start(store, Machine(), job, "ann")
    runs.cancel(store, Machine(), job)
    assert stopped == [(job.id, 1)]
    assert progress.status(store, job)["state"] == "cancelled"


def test_inputs_are_closed_before_the_call_ends(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when their garbage is collected: that may be while a thread is started, which waits for the same lock."""
    job, closed = a_job(store, {"a.json": b"0", "b.json": b"1"}), []
    plan.create(store, job)
    real = work.read_inputs

    def read_inputs(*args: Any) -> Iterator[Any]:
        try:
            yield from real(*args)
        finally:
            closed.append(True)

    def away(body: bytes, content_type: str) -> dict[str, Any]:
        raise Unavailable("the model is away")

    monkeypatch.setattr(work, "read_inputs", read_inputs)
    with pytest.raises(NotFinished) as error:
        process(store, job, 1, chunks(store, job)[0], MANIFEST, away, for_ever)
    assert closed and error.tb is not None, "the traceback holds what was not closed"
