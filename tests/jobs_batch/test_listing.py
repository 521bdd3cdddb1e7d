"""GET /batch: a token's own jobs, newest first, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from functions.batch import app
from shared.clock import new_id, now
from shared.jobs.batch import job as jobs
from shared.jobs.batch import listing, runs
from shared.jobs.batch.job import Job
from shared.storage.memory import MemoryStore
from tests.jobs_batch.test_dead_runs import Machine
from tests.jobs_batch.world import run
from tests.support import call


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(app, "store", lambda: store)
    monkeypatch.setattr(app, "machine", Machine)
    return store


def stored(store: MemoryStore, number: int, by: str = "tester", model: str = "m") -> str:
    identity = new_id(1_800_000_000 + number)
    job = Job(id=identity, model=model, version=1, by=by, created_at=now(), prefix=f"batch/{identity}/in/")
    return jobs.create(store, job).id


def listed(scopes: str = "infer:*", **query: str) -> tuple[list[str], str | None]:
    answer = call(app.handler, "GET", "/batch", query=query, scopes=scopes)
    assert answer.status == 200, answer.body
    return [job["id"] for job in answer.json["jobs"]], answer.json["next"]


def test_newest_first_and_page_by_page(store: MemoryStore) -> None:
    ids = [stored(store, number) for number in range(7)][::-1]
    assert listed() == (ids, None)
    pages, cursor = [], None
    while True:
        page, cursor = listed(limit="3", **({"next": cursor} if cursor else {}))
        pages.append(page)
        if cursor is None:
            break
    assert pages == [ids[:3], ids[3:6], ids[6:]]


def test_whose_jobs_they_are(store: MemoryStore) -> None:
    own, other = stored(store, 1), stored(store, 2, "bob")
    secret = stored(store, 3, model="secret")
    assert listed("infer:m") == ([own], None)
    assert listed("infer:*") == ([secret, own], None)
    assert listed("infer:m admin:m") == ([other, own], None)
    assert listed("infer:*", model="secret") == ([secret], None)
    assert call(app.handler, "GET", "/batch", scopes="read:*").status == 403


def test_a_page_reads_only_so_many_jobs_of_others(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_READ", 50)
    own = stored(store, 0)
    for number in range(1, 60):
        stored(store, number, "bob")
    page, cursor = listed()
    assert page == [] and cursor is not None
    assert listed(next=cursor) == ([own], None)


def test_what_is_no_job_is_passed_over(store: MemoryStore) -> None:
    own = stored(store, 1)
    store.put("batch/prices/in/a.csv", b"a\n1\n")
    store.put("batch/Not A Job/job.json", b"{}")
    later = stored(store, 2)
    store.put(
        f"batch/{later}/job.json", store.get(f"batch/{later}/job.json").body.replace(b'"format":1', b'"format":2')
    )
    assert listed() == ([own], None)


def test_counts_and_states(store: MemoryStore) -> None:
    done, waiting = stored(store, 1), stored(store, 2)
    store.put(f"batch/{done}/in/a.jsonl", b'1\n"refused"\n')
    run(store, jobs.read(store, done))
    answer: Any = call(app.handler, "GET", "/batch", scopes="infer:*").json["jobs"]
    assert [(job["id"], job["state"], job["done"], job["failed"], job["inputs"], job["by"]) for job in answer] == [
        (waiting, "waiting", 0, 0, None, "tester"),
        (done, "done", 2, 1, 2, "tester"),
    ]
    assert answer[1]["status_url"] == f"/batch/{done}" and answer[1]["chunks"] == {"all": 1, "done": 1}


def test_a_dead_run_is_seen_in_the_list(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.read(store, stored(store, 1))
    jobs.begin_run(store, job.id, 1, "ann")
    monkeypatch.setattr(runs, "age", lambda at: runs.GRACE + 1)
    answer = call(app.handler, "GET", "/batch", scopes="infer:*").json["jobs"]
    assert [entry["state"] for entry in answer] == ["failed"]
