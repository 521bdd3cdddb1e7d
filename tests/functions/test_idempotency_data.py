"""What an answer repeats of inputs, outputs and metrics: read anew for a repetition, and gone once it is deleted."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from api import routes as api
from functions.batch import app as batch
from functions.training import app as training
from shared import batch_keys, keys
from shared.entry.http import Route
from shared.jobs.batch import plan
from shared.jobs.training import job as trainings
from tests.functions.keyed import CALLS, KEY, REPLAYED, World, a_job, files
from tests.jobs_training.conftest import REQUEST
from tests.support import Answer, call

SECRET = "hepatitis"
# of callers, and what stays when data is deleted: a record's own members
STAYS = {"createTrainingJob": {"arguments"}, "cancelTrainingJob": {"arguments"}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def answered(world: World, job: str) -> None:
    """Its one chunk has its output: an answer, and an error."""
    lines = [
        {"index": 0, "input": f"{SECRET}.json", "prediction": {"outputs": SECRET}},
        {"index": 1, "input": f"{SECRET}.txt", "error": f"no JSON: {SECRET}"},
    ]
    world.store.put(f"batch/{job}/planned.json", msgspec.json.encode(plan.PlanSummary(2, 1)))
    world.store.put(batch_keys.batch_output(job, 0), b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    world.store.put(batch_keys.batch_done(job, 0, 2, 1), b"")


def left(world: World, prefix: str = "") -> list[str]:
    """Keys of objects that name the secret."""
    listed = world.store.list_page(prefix).objects
    return [info.key for info in listed if SECRET in info.key or SECRET.encode() in world.store.get(info.key).body]


def repeated(first: Answer, again: Answer) -> None:
    assert first.status in (200, 201, 202)
    assert (again.status, again.body, again.headers[REPLAYED]) == (first.status, first.body, "true")


def without_data(first: Answer, again: Answer, *optional: str) -> None:
    """After the deletion: the first answer, but for the data."""
    assert (again.status, again.headers[REPLAYED]) == (first.status, "true")
    assert SECRET in first.body.decode() and SECRET not in again.body.decode()
    lists = {name: [] for name, value in first.json.items() if isinstance(value, list) and name not in optional}
    assert again.json == {name: value for name, value in first.json.items() if name not in optional} | lists


def test_answers_of_a_started_job(world: World) -> None:
    job = a_job(world)["job"]
    answered(world, job)
    start = lambda: call(batch.handler, "POST", f"/batch/{job}/start", {"wait": 20}, headers=KEY)  # noqa: E731
    first = start()
    assert [len(first.json[name]) for name in ("results", "failures")] == [2, 1]
    assert left(world, keys.IDEMPOTENCY) == []
    repeated(first, start())
    call(batch.handler, "DELETE", f"/batch/{job}/data")
    assert left(world) == []
    without_data(first, start(), "results")


def test_answers_of_a_job_that_is_created_for_a_prefix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state machine is that fast; or the first answer came late, by a call that took over a claim."""

    class Fast:
        def start(self, job: str, run: int) -> None:
            answered(world, job)

    monkeypatch.setattr(batch, "machine", Fast)
    world.store.put("batch/patients/in/a.json", b"{}")
    body = {"prefix": "batch/patients/in/"}
    create = lambda: call(  # noqa: E731
        batch.handler, "POST", "/models/m/batch", body, headers=KEY, scopes="infer data"
    )
    first = create()
    repeated(first, create())
    call(batch.handler, "DELETE", f"/batch/{first.json['id']}/data")
    assert left(world) == []
    without_data(first, create(), "results")
    assert len(world.store.list_page("batch/", delimiter="/").prefixes) == 1  # no other job was created


def test_names_of_files(world: World) -> None:
    body = {"files": [*files(f"{SECRET}.json", 2)["files"], *files("b.json", 2)["files"]]}
    create = lambda: call(batch.handler, "POST", "/models/m/batch", body, headers=KEY)  # noqa: E731
    first = create()
    assert left(world, keys.IDEMPOTENCY) == []
    job = first.json["id"]
    repeated(first, create())
    world.store.put(batch_keys.batch_input(job, "b.json"), b"{}")
    call(batch.handler, "POST", f"/batch/{job}/start", {})
    repeated(first, create())  # it has started since: whoever never got the URLs may still ask for them
    call(batch.handler, "DELETE", f"/batch/{job}")
    call(batch.handler, "DELETE", f"/batch/{job}/data")
    assert left(world) == []
    without_data(first, create())


def test_a_repetition_has_no_more_than_the_first_answer(world: World) -> None:
    job = a_job(world)["job"]
    start = lambda: call(batch.handler, "POST", f"/batch/{job}/start", {}, headers=KEY)  # noqa: E731
    first = start()
    assert first.json["failures"] == []
    answered(world, job)
    repeated(first, start())


def test_answers_of_a_job_that_is_cancelled(world: World) -> None:
    job = a_job(world)["job"]
    call(batch.handler, "POST", f"/batch/{job}/start", {})
    answered(world, job)
    world.store.put(f"batch/{job}/planned.json", msgspec.json.encode(plan.PlanSummary(4, 2)))  # it goes on
    cancel = lambda: call(batch.handler, "DELETE", f"/batch/{job}", headers=KEY)  # noqa: E731
    first = cancel()
    assert first.json["failures"]
    repeated(first, cancel())
    call(batch.handler, "DELETE", f"/batch/{job}/data")
    assert left(world) == []
    without_data(first, cancel())


def test_metrics_of_a_training_job(world: World) -> None:
    job = call(training.handler, "POST", "/training-jobs", REQUEST).json["id"]
    world.store.put(keys.training_metrics(job), json.dumps({"epoch": 1, "class": SECRET}).encode() + b"\n")
    cancel = lambda: call(training.handler, "DELETE", f"/training-jobs/{job}", headers=KEY)  # noqa: E731
    first = cancel()
    assert len(first.json["metrics"]) == first.json["next"] == 1
    both = world.store.get(keys.training_metrics(job)).body + b'{"epoch": 2}\n'  # while it stopped
    world.store.put(keys.training_metrics(job), both)
    repeated(first, cancel())
    trainings.write_report(world.store, job, 1, "failed", "cancelled")
    call(training.handler, "DELETE", f"/training-jobs/{job}/data")
    assert left(world) == []
    without_data(first, cancel())


KEYED = [route for _, route in api.routes() if route.keyed and not route.transition]


def members_of_callers(of: Any) -> set[str]:
    """Members that may hold anything: what callers sent, or models answered."""
    return {name for name, hint in get_type_hints(of).items() if Any in parts(hint)}


def parts(hint: Any) -> list[Any]:
    return [hint, *(part for arg in get_args(hint) for part in parts(arg))]


@pytest.mark.parametrize("route", KEYED, ids=[route.id for route in KEYED])
def test_what_may_hold_anything_is_not_kept(route: Route) -> None:
    assert route.id in CALLS
    forms = route.gives.values() if isinstance(route.gives, dict) else [route.gives]
    open_members = set().union(*(members_of_callers(form) for form in forms))
    assert open_members <= {*route.deletable, *STAYS.get(route.id, ())}
    assert bool(route.deletable) == (route.reread is not None)
