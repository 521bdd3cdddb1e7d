"""Worlds in which everything goes wrong break no rule; and the rules do find what is wrong."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from tests.simulation.__main__ import run
from tests.simulation.bugs import BUGS, find_all, in_proof, in_worlds, named
from tests.simulation.engine import Engine, Process, virtual
from tests.simulation.seeded import Bug, function_of

# found in one of the first worlds: enough of them to see that rules are checked, in seconds
SOON = (
    "an upload is registered again",
    "the digest is not compared",
    "no marker for the catalog",
    "an end state is left again",
    "no marker of an open upload",
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("first", "count"), [(0, 6), pytest.param(1000, 2000, marks=pytest.mark.soak)])
def test_worlds_break_no_rule(first: int, count: int) -> None:
    for seed in range(first, first + count):
        run(seed)


def test_a_thread_of_another_test_takes_no_turn_in_a_world() -> None:
    engine, begun, slept = Engine(0), threading.Event(), threading.Event()
    engine.now = 5.0
    times: list[float] = []

    def other() -> None:
        begun.wait(5)
        time.sleep(0.01)
        times.append(time.time())
        slept.set()

    def of_world() -> float:
        begun.set()
        assert slept.wait(5), "it was stopped"
        return time.time()

    thread = threading.Thread(target=other)
    thread.start()
    with virtual(engine):
        process = Process(engine, of_world)
        process.resume()
    thread.join()
    assert (process.ended, process.result) == (True, 5.0), process.error
    assert times[0] > 1e9


def test_a_seed_determines_the_run() -> None:
    assert run(7) == run(7)


@pytest.mark.parametrize("name", SOON)
def test_a_seeded_bug_is_found(name: str) -> None:
    assert in_worlds(named(name), 10) is not None


def test_a_test_finds_a_seeded_bug_and_passes_without_one() -> None:
    """The change that is no bug shows that a session with a seeded bug does not fail by itself."""
    proof = "tests/serving/test_models.py::test_the_least_recently_used_goes_first"
    assert in_proof(named("the newest goes first")._replace(proof=proof)) is not None
    assert in_proof(named("memory is not given back")._replace(proof=proof)) is None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_seeded_bug_changes_text_that_is_there(bug: Bug) -> None:
    import inspect

    assert inspect.getsource(function_of(bug)).count(bug.text) >= 1 or "\n" in bug.text
    assert [one.name for one in BUGS].count(bug.name) == 1


@pytest.mark.soak
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_seeded_bug_is_found(bug: Bug) -> None:
    assert [found for _, found in find_all([bug], 200)] != [None]
