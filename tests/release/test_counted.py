"""From counts to what the judge is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.counts.counts import Counts, Row
from shared.registry.verdicts import Roles
from shared.release.counted import Group, Minute, blocks, minutes
from shared.release.evidence import Block

ROLES = Roles(1, 2, 10)


def row(version: int, at: int, requests: int, server_errors: int = 0, since: int = 7, **others: dict) -> Row:
    counts = Counts(requests=requests, server_errors=server_errors, **others)
    return Row(model="m", version=version, alias="production", since=since, at=at, counts=counts)


def test_rows_of_both_versions_make_a_minute() -> None:
    rows = [
        row(2, 60, 5, 1, latency={"run": {30: 5}, "load": {60: 1}}),
        row(1, 60, 45, 2, latency={"run": {30: 44, 31: 1}}, shadow={"compared": 6, "different": 3, "failed": 2}),
        row(1, 59, 50),
        row(3, 59, 1, 1),  # neither of them: of a person's call by number, say
        row(2, 60, 9, 9, since=6),  # another stage, which a slow process still counts for
    ]
    first, second = minutes(rows, ROLES, 7)
    assert (first.minute, first.canary, first.stable.calls) == (59, Group(), 50)
    assert second == Minute(
        60,
        Group(5, {"server_errors": (5, 1), "shadow_differs": (0, 0), "out_of_range": (0, 0)}, {30: 5}),
        Group(45, {"server_errors": (45, 2), "shadow_differs": (9, 3), "out_of_range": (0, 0)}, {30: 44, 31: 1}),
    )
    assert blocks([first, second], "server_errors") == [Block(5, 1, 95, 2)]
    assert blocks([first, second], "shadow_differs") == []


def test_no_rows() -> None:
    assert minutes([], ROLES, 7) == []


CALLS = st.integers(0, 3)
PARTS = st.lists(st.tuples(CALLS, CALLS, st.integers(0, 3), st.integers(0, 3)), max_size=30)


def as_minutes(parts: list[tuple[int, int, int, int]]) -> list[Minute]:
    """Calls of both versions, and how many of them were bad, at most."""
    return [
        Minute(at, Group(n, {"e": (n, min(bad, n))}), Group(m, {"e": (m, min(stable_bad, m))}))
        for at, (n, m, bad, stable_bad) in enumerate(parts)
    ]


@given(PARTS)
def test_blocks_hold_every_call_once_but_for_those_that_wait(parts: list[tuple[int, int, int, int]]) -> None:
    whole = as_minutes(parts)
    found = blocks(whole, "e")
    assert all(block.canary and block.stable for block in found)
    calls = [sum(block.canary for block in found), sum(block.stable for block in found)]
    waiting = [sum(one.canary.calls for one in whole) - calls[0], sum(one.stable.calls for one in whole) - calls[1]]
    assert min(waiting) == 0 <= max(waiting)


@given(PARTS)
def test_which_minutes_are_a_block_does_not_depend_on_what_was_bad(parts: list[tuple[int, int, int, int]]) -> None:
    """Else the sizes of blocks would say something, and the evidence would be none."""
    good = [(n, m, 0, 0) for n, m, _, _ in parts]
    sizes = [[(block.canary, block.stable) for block in blocks(as_minutes(some), "e")] for some in (parts, good)]
    assert sizes[0] == sizes[1]


@given(PARTS, st.integers(0, 30))
def test_blocks_that_are_there_stay_when_more_minutes_come(parts: list[tuple[int, int, int, int]], until: int) -> None:
    whole = as_minutes(parts)
    early = blocks(whole[:until], "e")
    assert blocks(whole, "e")[: len(early)] == early
