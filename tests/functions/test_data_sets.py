"""Data sets that an operator stored: who may have them predicted, or trained on; and whose jobs are whose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.batch import app as batch
from shared.config import Config
from shared.jobs.batch import job as jobs
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import Answer, call, caller

SALARIES = "batch/salaries/in/"


class Machine:
    """Starts runs, and carries none out."""

    def start(self, job: str, run: int) -> None: ...

    def is_running(self, job: str, run: int) -> bool:
        return True

    def stop(self, job: str, run: int) -> None: ...


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    memory = MemoryStore()
    log = Log(memory)
    for name, value in (("store", memory), ("log", log), ("machine", Machine()), ("config", Config(bucket="amaas"))):
        monkeypatch.setattr(batch, name, lambda value=value: value)
    push(log, "m", 1)
    push(log, "other", 1)
    memory.put(SALARIES + "rows.csv", b"x\n1\n")
    return memory


def ask(method: str, path: str, body: Any = b"", scopes: str = "infer", token: str = "ann", **context: str) -> Answer:
    return call(batch.handler, method, path, body, scopes=scopes, authorizer=caller(scopes, token, **context))


def started(prefix: str, scopes: str = "infer", **who: str) -> Answer:
    return ask("POST", "/models/m/batch", {"prefix": prefix}, scopes, **who)


@pytest.mark.parametrize(
    "scopes", ["infer", "infer:m", "infer data:salary", "write infer train", "admin:m", "admin:sal* infer"]
)
@pytest.mark.parametrize("prefix", [SALARIES, "batch/salaries/in/a", "batch/nothing-here/in/"])
def test_a_data_set_is_for_those_who_may_read_it(store: MemoryStore, scopes: str, prefix: str) -> None:
    answer = started(prefix, scopes)
    assert (answer.status, "it lacks the scope 'data:" in answer.json["error"]) == (403, True)
    assert [info for info in store.list_page("batch/").objects if info.key.endswith("job.json")] == []


@pytest.mark.parametrize("scopes", ["infer data:salaries", "infer:m data:sal*", "infer data", "admin"])
def test_with_the_scope_it_is_predicted(store: MemoryStore, scopes: str) -> None:
    assert started(SALARIES, scopes).status == 202


def own_job(**who: str) -> str:
    answer = ask("POST", "/models/m/batch", {"files": [{"name": "a.csv", "size": 4}]}, **who)
    assert answer.status == 201
    return str(answer.json["id"])


def test_inputs_of_ones_own_job_need_no_scope(store: MemoryStore) -> None:
    job = own_job()
    store.put(f"batch/{job}/in/a.csv", b"x\n1\n")
    assert ask("POST", f"/batch/{job}/start", {}).status == 202
    assert started(f"batch/{job}/in/").status == 202
    # nor those of the token that this one replaced
    assert started(f"batch/{job}/in/", token="later", replaces=json.dumps(["ann"])).status == 202
    assert ask("GET", f"/batch/{job}", token="later", replaces=json.dumps(["middle", "ann"])).status == 202


def test_another_callers_job_stays_theirs(store: MemoryStore) -> None:
    job = own_job()
    store.put(f"batch/{job}/in/a.csv", b"x\n1\n")
    for scopes in ("infer", "infer data", "infer data read write promote train"):
        for answer in (
            started(f"batch/{job}/in/", scopes, token="bob"),
            ask("GET", f"/batch/{job}", scopes=scopes, token="bob"),
            ask("GET", f"/batch/{job}/outputs", scopes=scopes, token="bob"),
            ask("GET", f"/batch/{job}/failures", scopes=scopes, token="bob"),
            ask("POST", f"/batch/{job}/files", {"files": [{"name": "b", "size": 1}]}, scopes, token="bob"),
            ask("POST", f"/batch/{job}/start", {}, scopes, token="bob"),
            ask("DELETE", f"/batch/{job}", scopes=scopes, token="bob"),
        ):
            assert (answer.status, "belongs to another token" in answer.json["error"]) == (403, True)
    assert ask("GET", f"/batch/{job}", scopes="admin:m", token="bob").status == 200


def test_answers_about_a_data_set_show_its_rows(store: MemoryStore) -> None:
    """So an administrator of the model alone does not get them."""
    job = started(SALARIES, "infer data:salaries").json["id"]
    for path in ("", "/outputs", "/failures"):
        assert ask("GET", f"/batch/{job}{path}", scopes="admin:m", token="bob").status == 403
        assert ask("GET", f"/batch/{job}{path}", scopes="admin:m data:salaries", token="bob").status in (200, 202)
        assert ask("GET", f"/batch/{job}{path}", scopes="infer", token="ann").status in (200, 202)


def test_a_name_that_is_a_job_is_no_data_set(store: MemoryStore) -> None:
    job = own_job()
    assert started(f"batch/{job}/in/", f"infer data:{job}", token="bob").status == 403
    assert jobs.exists(store, job)
