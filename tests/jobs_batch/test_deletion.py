"""A batch job is deleted at once: inputs, outputs and records, with a receipt, by its owner, and not while it runs."""

from __future__ import annotations

import logging

import pytest

from functions.batch import app
from shared.jobs.batch import job as jobs
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import a_job, run
from tests.proofs.stores import keys_of
from tests.support import call

ROWS = {"a.jsonl": b'"somebody"\n"refused"\n', "b/c.jsonl": b'"else"\n'}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    memory = MemoryStore()
    monkeypatch.setattr(app, "store", lambda: memory)
    return memory


def test_nothing_of_it_is_left_but_the_receipt(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="shared")
    job = a_job(store, ROWS)
    run(store, job)
    store.put("batch/j10/in/x", b"another job's")
    everything = keys_of(store, "batch/j1/")
    size = sum(len(store.get(key).body) for key in everything)
    receipt = call(app.handler, "DELETE", "/batch/j1/data").json
    assert (receipt["job"], receipt["model"], receipt["by"]) == ("j1", "m", "tester")
    assert (receipt["objects"], receipt["versions"], receipt["bytes"]) == (len(everything), len(everything), size)
    assert keys_of(store) == {"batch/j10/in/x"}
    [line] = [record for record in caplog.records if record.getMessage() == "deleted"]
    assert (line.job, line.by, line.objects, line.bytes) == ("j1", "tester", len(everything), size)
    assert "somebody" not in caplog.text
    assert call(app.handler, "GET", "/batch/j1").status == 404
    assert call(app.handler, "DELETE", "/batch/j1/data").status == 404


def test_a_job_that_runs_is_not_deleted(store: MemoryStore) -> None:
    job = a_job(store, ROWS)
    jobs.begin_run(store, job.id, 1, "ann")
    answer = call(app.handler, "DELETE", "/batch/j1/data")
    assert answer.status == 409 and "cancel it" in answer.json["error"]
    assert "batch/j1/in/a.jsonl" in keys_of(store)


def test_a_job_that_was_never_started_is_deleted(store: MemoryStore) -> None:
    a_job(store, ROWS)
    assert call(app.handler, "DELETE", "/batch/j1/data").json["objects"] == 3
    assert keys_of(store) == set()


def test_only_its_owner_deletes_it(store: MemoryStore) -> None:
    a_job(store, ROWS)  # by ann
    for scopes in ("infer:m", "infer:other", "read:m"):
        assert call(app.handler, "DELETE", "/batch/j1/data", scopes=scopes).status == 403, scopes
    assert len(keys_of(store)) == 3
