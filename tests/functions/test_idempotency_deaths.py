"""A process that dies in the middle of a call with an Idempotency-Key: what it did, and what its repetition answers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from shared import keys
from shared.entry import idempotency
from shared.errors import NotFound, Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, runs, status
from shared.registry import aliases, models
from shared.registry.state import Target
from tests.failing import Call, Crash, Fault, crash_at, never
from tests.functions.keyed import (
    DELETIONS,
    JOBS,
    OTHER,
    TRANSITIONS,
    Caller,
    World,
    disturb,
    objects,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "PAUSE", 0.0)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", TRANSITIONS)
def test_a_death_at_any_request_leaves_one_transition(
    monkeypatch: pytest.MonkeyPatch, operation: str, after: bool
) -> None:
    """The process dies before or after each request in turn; others go on; then the call is repeated."""
    committed_before_death = set()
    for point in range(1, 100):
        world = World(monkeypatch)
        caller = Caller(world, operation)
        start, requests = world.log.read("m").revision, len(world.store.calls)
        world.plan = crash_at(requests + point + 1, after=after)
        try:
            caller.send()
            break  # it has fewer requests
        except Crash:
            world.plan = never
        committed = _own(world, start)
        committed_before_death.add(bool(committed))
        with suppress(NotFound):  # of a deleted model
            models.edit(world.log, "m", OTHER, tags=["theirs"])
        answer = caller.send()
        assert answer.status in (200, 201), answer.body
        assert len(_own(world, start)) == 1
        assert answer.json["revision"] == _own(world, start)[0]
        assert caller.send().body == answer.body
    assert committed_before_death == {True, False}


def _own(world: World, start: int) -> list[int]:
    newest = world.log.read("m").revision
    return [record.revision for record in world.log.records("m", newest, start + 1) if record.by == "tester"]


@pytest.mark.parametrize("operation", ["setAlias", "rollbackAlias", "updateModel", "createMoveRequest"])
def test_the_answer_after_a_death_is_the_one_that_was_made(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    expected = Caller(World(monkeypatch), operation).send().body
    world = World(monkeypatch)
    caller = Caller(world, operation)
    _die_before_the_answer_is_stored(world, caller)
    disturb(world)
    assert caller.send().body == expected


def _die_before_the_answer_is_stored(world: World, caller: Caller) -> None:
    puts = []

    def plan(call: Call) -> Fault | None:
        if call.operation == "put" and call.key.startswith(keys.IDEMPOTENCY):
            puts.append(call)
        return Fault(before=Crash("dead")) if len(puts) == 2 else None

    world.plan = plan
    with pytest.raises(Crash):
        caller.send()
    world.plan = never


@pytest.mark.parametrize("operation", JOBS)
def test_a_job_whose_call_died_is_not_made_twice(world: World, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller(world, operation)
    submitted = len(world.queue.submitted)
    _die_before_the_answer_is_stored(world, caller)
    early = caller.send()
    assert early.status == 409
    assert int(early.headers["Retry-After"]) >= 30
    assert "repeat it" in early.json["error"]
    _wait_for_the_end_of_the_claim(monkeypatch)
    answer = caller.send()
    assert answer.status in (200, 201, 202), answer.body
    assert caller.send().body == answer.body
    made = {info.key.split("/")[1] for prefix in ("uploads/", "batch/", "training/") for info in objects(world, prefix)}
    assert len(made) == 1
    assert len(world.queue.submitted) - submitted <= 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", DELETIONS)
def test_a_deletion_that_died_at_any_request_is_finished_and_answered(operation: str, after: bool) -> None:
    """Not with 404, where nothing is left that the repetition could find."""
    points = 0
    for point in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            world = World(patch)
            caller = Caller(world, operation)
            world.plan = crash_at(len(world.store.calls) + point + 1, after=after)
            try:
                caller.send()
                break  # it has fewer requests
            except Crash:
                world.plan = never
            _wait_for_the_end_of_the_claim(patch)
            answer = caller.send()
            assert answer.status == 200, answer.body
            assert caller.send().body == answer.body
            assert _files(world) == []
            points += 1
    assert points > 5


def _files(world: World) -> list[str]:
    """What a deletion is to delete; a training job's records stay."""
    left = [info.key for prefix in ("uploads/", "batch/", "training/") for info in objects(world, prefix)]
    return [key for key in left if not (key.startswith("training/") and key.endswith(".json"))]


@pytest.mark.parametrize("operation", ["deleteUpload", "deleteBatchJobData"])
def test_negative_control_without_a_prepared_answer_it_is_a_404(
    world: World, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency._Claim, "prepare", lambda *_: None)
    caller = Caller(world, operation)
    _die_before_the_answer_is_stored(world, caller)
    _wait_for_the_end_of_the_claim(monkeypatch)
    assert caller.send().status == 404


def test_the_receipt_of_a_deletion_stays(world: World) -> None:
    caller = Caller(world, "deleteTrainingJobData")
    assert [caller.send(headers=None).json["objects"] for _ in range(2)] == [1, 0]
    [job] = jobs.list_ids(world.store)
    assert json.loads(world.store.get(keys.training_record(job, "deletion")).body)["objects"] == 1


def _wait_for_the_end_of_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    once = idempotency.once
    later = idempotency.LONGEST + idempotency.SKEW + 1

    def much_later(*args: Any, **options: Any) -> Any:
        import time

        return once(*args, **options, clock=lambda: time.time() + later)

    monkeypatch.setattr(idempotency, "once", much_later)


def test_a_failed_call_may_be_repeated_at_once(world: World) -> None:
    world.queue.trouble = Unavailable("not now")
    caller = Caller(world, "createUploadSession")
    world.plan = lambda call: Fault(before=Unavailable("away")) if call.key.startswith("models/m/uploads/") else None
    failed = caller.send()
    assert (failed.status, failed.headers["Retry-After"]) == (503, "1")
    world.plan = never
    assert caller.send().status == 201
    assert len({info.key.split("/")[1] for info in objects(world, "uploads/")}) == 1


def test_an_answer_that_cannot_be_stored_is_not_given(world: World) -> None:
    caller = Caller(world, "setAlias")
    puts: list[Call] = []

    def plan(call: Call) -> Fault | None:
        if call.operation == "put" and call.key.startswith(keys.IDEMPOTENCY):
            puts.append(call)
        return Fault(before=Unavailable("away")) if len(puts) >= 2 and call == puts[-1] else None

    world.plan = plan
    assert caller.send().status == 503
    world.plan = never
    moved = world.log.read("m")
    assert moved.aliases["production"].version == 3  # carried out, and said so to whoever asks again
    aliases.move(world.log, "m", "production", Target(version=1), OTHER)
    answer = caller.send().json
    assert (answer["version"], answer["revision"]) == (3, moved.revision)


# ---- training jobs, which AWS Batch takes as often as they are sent


def test_a_submission_whose_reply_is_lost_is_looked_up(world: World) -> None:
    world.queue.reply_lost = True
    answer = Caller(world, "createTrainingJob").send(headers=None)
    assert (answer.status, answer.json["state"]) == (202, "submitted")
    assert world.queue.submitted == [answer.json["id"]]
    assert status.read_report(world.store, answer.json["id"]) is not None


@pytest.mark.parametrize("was_taken", [False, True])
def test_a_call_that_died_around_its_submission_is_submitted_once(
    world: World, was_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(world, "createTrainingJob")
    submit = world.queue.submit

    def dies(job: str, deployment: str) -> str:
        if was_taken:
            submit(job, deployment)
        raise Crash("dead")

    with monkeypatch.context() as patch:
        patch.setattr(world.queue, "submit", dies)
        with pytest.raises(Crash):
            caller.send()
    _wait_for_the_end_of_the_claim(monkeypatch)
    if not was_taken:
        early = caller.send()
        assert (early.status, early.headers["Retry-After"]) == (503, "60")
        assert world.queue.submitted == [], "it may have been taken, and not be listed yet"
        monkeypatch.setattr(runs, "SETTLED", 0.0)
    answer = caller.send()
    assert (answer.status, answer.json["state"]) == (202, "submitted")
    assert world.queue.submitted == [answer.json["id"]]


def test_a_submission_without_any_answer_is_not_called_a_failure(world: World) -> None:
    world.queue.trouble = Unavailable("AWS Batch cannot be reached")
    caller = Caller(world, "createTrainingJob")
    assert caller.send().status == 503
    [job] = jobs.list_ids(world.store)
    assert progress.status(world.store, jobs.read(world.store, job))["state"] == "submitted"
    world.queue.trouble = None
    world.queue.submitted.append(job)  # it had arrived
    assert caller.send().json["id"] == job
    assert world.queue.submitted == [job]
