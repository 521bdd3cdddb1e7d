"""Liveness: each upload reaches an end state within the time that the operations' page states, whatever is killed.

The clock is the test's own, the looks come by the template's schedule, and what a check does is decided by the test: a
verdict, an exception, or the end of the process.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from functions.ingest import app as ingest
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.uploads import attempts, forms, states, unfinished, views
from tests.proofs.lifecycle import (
    DAY,
    ENDED_WITHIN,
    EXPIRY,
    FAULTS,
    HOUR,
    LOOK,
    MINUTE,
    TIMEOUT,
    Context,
    Killed,
    World,
    figures,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_the_lease_outlives_the_function_and_sessions_outlive_the_looks() -> None:
    assert attempts.LEASE > TIMEOUT
    assert unfinished.FILES_WAITED_FOR + ENDED_WITHIN < EXPIRY


def test_three_hundred_lost_events_are_made_up_for(world: World) -> None:
    for _ in range(300):
        world.send("m")
    world.pass_time(unfinished.PATIENCE)
    assert world.states("m")["registered"] == 0, "their events may still be on the way"
    world.pass_time(2 * LOOK)
    assert world.states("m") == {"registered": 300}
    assert world.log.read("m").latest == 300
    assert world.unfinished() == []


def test_twenty_poisoned_uploads_delay_nobody_and_end(world: World, capsys: pytest.CaptureFixture) -> None:
    world.faults["poison"] = lambda _: Unavailable("the blob store says no, every time")
    poisoned = [world.send("poison") for _ in range(20)]
    world.clock.now += 1
    good = [world.send("good") for _ in range(5)]
    world.clock.now += unfinished.PATIENCE
    world.look()
    assert world.states("good") == {"registered": 5}, "in the first look"
    assert world.checked[:10:2] == poisoned[:5] and world.checked[1:10:2] == good, "round robin by model"
    world.pass_time(ENDED_WITHIN)
    assert world.states("poison") == {"failed": 20}
    for upload in world.uploads("poison"):
        assert (upload.code, upload.attempts) == ("interrupted", attempts.MAX_ATTEMPTS)
        assert "Unavailable" in str(upload.reason) and "push again" in str(upload.reason)
    assert figures(capsys.readouterr().out, "UploadsFailed") == [1] * 20
    assert world.unfinished() == []


@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_upload_never_ends_the_look_for_others(world: World, fault: str) -> None:
    world.faults["bad"] = FAULTS[fault]
    world.send("bad")
    for _ in range(5):
        world.send("good")
    world.pass_time(ENDED_WITHIN)
    assert world.states("good") == {"registered": 5}
    assert world.states("bad") == {"rejected" if fault == "rejected" else "failed": 1}


def test_killed_in_all_deliveries_it_ends_and_says_what_is_true_meanwhile(world: World) -> None:
    world.faults["m"] = lambda _: Killed()
    upload = world.send("m")
    arrived = world.clock.now
    world.deliver(upload)
    killed = world.upload("m")
    assert (killed.state, killed.attempts) == ("checking", 3)
    assert attempts.presented(killed).reason is None, "its last check might still be running"
    world.clock.now += attempts.LEASE
    assert attempts.presented(killed).code == "killed"
    assert "attempt 3 of 5" in str(attempts.presented(killed).reason)
    assert "tried again" in str(attempts.presented(killed).reason)
    world.pass_time(2 * HOUR)
    late = attempts.presented(world.upload("m"))
    assert (late.state, late.attempts) == ("checking", 4)
    assert "tried again" in str(late.reason)
    world.pass_time(ENDED_WITHIN - (world.clock.now - arrived))
    ended = world.upload("m")
    assert (ended.state, ended.code, ended.attempts) == ("failed", "killed", attempts.MAX_ATTEMPTS)
    assert "tried again" not in str(ended.reason) and "push again" in str(ended.reason)
    assert world.unfinished() == []


def test_a_killed_check_is_made_again_and_registers(world: World) -> None:
    fates: list[Any] = [Killed(), Killed(), Killed(), None]
    world.faults["m"] = lambda _: fates.pop(0)
    world.deliver(world.send("m"))
    world.pass_time(HOUR)
    assert (world.upload("m").state, world.upload("m").version) == ("registered", 1)


def test_an_outage_of_hours_costs_no_upload(world: World) -> None:
    begun = world.clock.now
    world.faults["m"] = lambda _: Unavailable("away") if world.clock.now - begun < 2.9 * HOUR else None
    for _ in range(20):
        world.deliver(world.send("m"))
    world.pass_time(ENDED_WITHIN)
    assert world.states("m") == {"registered": 20}


def test_a_session_whose_files_never_come_expires(world: World) -> None:
    world.send("m", "model.onnx", "amaas.json", missing=("amaas.json",))
    world.pass_time(DAY - LOOK)
    assert world.upload("m").state == "waiting"
    world.pass_time(3 * LOOK)
    upload = world.upload("m")
    assert (upload.state, upload.code) == ("expired", "files_missing")
    assert "amaas.json" in str(upload.reason)
    assert world.checked == [] and world.unfinished() == []


def test_files_that_come_late_are_checked(world: World) -> None:
    identity = world.send("m", missing=("model.onnx",))
    world.pass_time(20 * HOUR)
    world.store.put(f"uploads/{identity}/files/model.onnx", b"x")
    world.pass_time(HOUR)
    assert world.upload("m").state == "registered"


@pytest.mark.parametrize("gone", ["files", "session"])
def test_files_that_are_gone_end_it(world: World, gone: str) -> None:
    world.faults["m"] = FAULTS["unavailable"]
    identity = world.send("m")
    world.deliver(identity)
    world.store.delete(f"uploads/{identity}/files/model.onnx" if gone == "files" else f"uploads/{identity}/ticket.json")
    world.look()
    upload = world.upload("m")
    assert upload.state == "expired" and "push again" in str(upload.reason)


def test_one_model_with_hundreds_does_not_delay_another(world: World) -> None:
    for _ in range(300):
        world.send("many")
    world.clock.now += 1
    one = world.send("one")
    world.clock.now += unfinished.PATIENCE
    world.look()
    assert world.checked.index(one) <= 1


def test_a_look_begins_no_check_without_time_for_it_and_the_next_one_goes_on(world: World) -> None:
    world.seconds = 60.0  # the heaviest models
    for _ in range(40):
        world.send("m")
    world.clock.now += unfinished.PATIENCE + 1
    begun = world.clock.now
    world.look()
    assert world.clock.now - begun < TIMEOUT - 20, "nothing is killed in the middle"
    first = len(world.checked)
    assert 10 < first < 15
    world.pass_time(3 * LOOK)
    assert world.states("m") == {"registered": 40}
    assert len(world.checked) == 40, "none was checked twice"


def test_what_was_never_tried_comes_before_what_failed(world: World) -> None:
    """Twenty models that fill a look each time, and are older: they have had their turn in the second one."""
    world.seconds = 60.0
    for number in range(20):
        world.faults[f"poison-{number}"] = FAULTS["unavailable"]
        world.send(f"poison-{number}")
    world.clock.now += 1
    world.send("good")
    world.pass_time(unfinished.PATIENCE + 2 * LOOK)
    assert world.upload("good").state == "registered"


def test_a_look_that_is_killed_loses_nothing(world: World) -> None:
    world.faults["bomb"] = lambda _: Killed()
    world.send("bomb")
    for _ in range(3):
        world.send("good")
    world.pass_time(ENDED_WITHIN)
    assert world.states("good") == {"registered": 3}
    assert world.states("bomb") == {"failed": 1}


def test_a_check_that_runs_elsewhere_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = world.send("m")
    world.clock.now += unfinished.PATIENCE + MINUTE  # by a redrive, say
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(attempts, "_process", lambda: "another")
        attempts.begin(world.store, states.read_session(world.store, identity))
    world.clock.now += attempts.LEASE - MINUTE
    world.look()
    assert world.checked == []
    world.clock.now += 2 * MINUTE
    world.look()
    assert world.upload("m").state == "registered"


def test_a_marker_without_an_upload_is_removed_and_one_of_a_later_release_stays(world: World) -> None:
    world.store.put("unfinished/m/0123456789a-0000000000000001", b"")
    identity = world.send("later")
    world.store.put(f"models/later/uploads/{identity}.json", b'{"format": 2}')
    world.pass_time(2 * LOOK)
    assert world.unfinished() == [f"unfinished/later/{identity}"]


def test_a_session_whose_state_was_never_written_is_found(world: World) -> None:
    identity = world.send("m")
    world.store.delete(f"models/m/uploads/{identity}.json")
    world.pass_time(unfinished.PATIENCE + 3 * LOOK)
    assert world.upload("m").state == "registered"


def test_a_session_with_neither_state_nor_marker_is_found_by_the_daily_look(world: World) -> None:
    identity = world.send("m")
    world.store.delete(f"models/m/uploads/{identity}.json")
    for key in world.unfinished():
        world.store.delete(key)
    ingest.handler({}, Context(world.clock))  # the daily schedule
    world.pass_time(unfinished.PATIENCE + 3 * LOOK)
    assert world.upload("m").state == "registered"


def test_sessions_of_a_release_without_markers_are_taken_over(world: World) -> None:
    for _ in range(3):
        world.send("m")
    for key in world.unfinished():
        world.store.delete(key)
    world.pass_time(HOUR)
    assert world.states("m") == {"waiting": 3}
    ingest.handler({}, Context(world.clock))  # the daily schedule
    assert world.states("m") == {"registered": 3}
    assert world.unfinished() == []


def test_an_upload_that_nobody_ever_ended_is_shown_as_expired(world: World) -> None:
    world.send("m", missing=("model.onnx",))
    for key in world.unfinished():
        world.store.delete(key)
    world.pass_time(EXPIRY)
    assert attempts.presented(world.upload("m")).state == "waiting"
    world.clock.now += DAY + LOOK
    shown = views.upload(world.upload("m"))
    assert (shown.state, shown.code) == ("expired", "session_expired")


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_upload_ends_in_time(world: World, seed: int) -> None:
    """Events that are lost or doubled, checks with any fate each time, sessions without files; then nobody cares."""
    rng = random.Random(seed)
    fates = [None, *FAULTS.values()]
    world.faults = {f"m{n}": lambda session: (fate := rng.choice(fates)) and fate(session) for n in range(4)}
    for _ in range(40):
        incomplete = rng.random() < 0.1
        identity = world.send(f"m{rng.randrange(4)}", missing=("model.onnx",) if incomplete else ())
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            world.deliver(identity, rng.randint(1, 3))
        world.clock.now += rng.random() * HOUR
    world.pass_time(ENDED_WITHIN)
    complete = [upload for n in range(4) for upload in world.uploads(f"m{n}") if upload.state != "waiting"]
    assert {upload.state for upload in complete} <= set(forms.FINAL), "within the stated time"
    world.pass_time(DAY + LOOK)
    every = [upload for n in range(4) for upload in world.uploads(f"m{n}")]
    assert len(every) == 40 and {upload.state for upload in every} <= set(forms.FINAL)
    assert all(upload.reason for upload in every if upload.state != "registered")
    assert world.unfinished() == []
    for n in range(4):  # and no upload is two versions, nor is one a version that its state does not know
        registered = {u.version: u.upload_id for u in world.uploads(f"m{n}") if u.state == "registered"}
        assert {number: v.upload for number, v in world.log.read(f"m{n}").versions.items()} == registered


@pytest.mark.parametrize("broken", ["no marker", "no count", "no patience for others"])
def test_negative_control_each_part_is_needed(world: World, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.faults["bad"] = FAULTS["killed"]
    if broken == "no marker":
        monkeypatch.setattr(unfinished, "listed", lambda store: [])
    elif broken == "no count":
        monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 10**9)
    else:
        monkeypatch.setattr(pipeline.unfinished, "judge", lambda *_: (_ for _ in ()).throw(Killed()))
    world.deliver(world.send("bad"))
    world.pass_time(ENDED_WITHIN)
    assert world.upload("bad").state == "checking"
