"""A check that something interrupted: its event is delivered again, and the log says whose fault it was."""

from __future__ import annotations

import logging

import pytest

from shared.uploads import attempts, states, unfinished
from tests.proofs.lifecycle import FAULTS, MINUTE, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("fault", ["unavailable", "killed"])
def test_an_interrupted_check_has_its_event_delivered_again(world: World, fault: str) -> None:
    """Lambda does so for an invocation that raises. One that returned would leave the upload to the next look."""
    world.faults["m"] = FAULTS[fault]
    world.deliver(world.send("m"))
    assert world.upload("m").attempts == len(world.checked) == 3


def test_the_last_attempt_is_left_to_whoever_makes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that comes while the last check runs elsewhere must not say that it was killed."""
    session = states.read_session(world.store, world.send("m"))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(attempts, "_process", lambda: "another")
        for _ in range(attempts.MAX_ATTEMPTS):
            attempts.begin(world.store, session)
    world.clock.now += MINUTE
    assert attempts.begin(world.store, session).state == "checking"
    assert states.advance(world.store, session, "registered", version=1).state == "registered"


def test_an_outage_is_no_fault_of_ours_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The check has logged it, with its trace; a look of hundreds would repeat that for each."""
    caplog.set_level(logging.INFO)
    world.faults["m"] = FAULTS["unavailable"]
    world.send("m")
    world.clock.now += unfinished.PATIENCE + 1
    world.look()
    [line] = [line for line in caplog.records if line.message == "still without a verdict"]
    assert line.levelno == logging.WARNING
