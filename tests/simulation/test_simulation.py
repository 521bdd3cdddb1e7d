"""Worlds in which everything goes wrong break no rule; and the rules do find what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.__main__ import run
from tests.simulation.bugs import BUGS, Bug, breaks

# found in one of the first worlds: enough of them to see that rules are checked, in seconds
SOON = [
    bug
    for bug in BUGS
    if bug.name in ("an upload is registered again", "the digest is not compared", "no marker for the catalog")
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("first", "count"), [(0, 12), pytest.param(1000, 2000, marks=pytest.mark.soak)])
def test_worlds_break_no_rule(first: int, count: int) -> None:
    for seed in range(first, first + count):
        run(seed)


def test_a_seed_determines_the_run() -> None:
    assert run(7) == run(7)


@pytest.mark.parametrize("bug", SOON, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_found(bug: Bug) -> None:
    assert breaks(bug, 10) is not None


@pytest.mark.soak
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_seeded_bug_is_found(bug: Bug) -> None:
    assert breaks(bug, 500) is not None
