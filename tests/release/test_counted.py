"""From counts to what the judge is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.registry.verdicts import Roles
from shared.release.counted import Group, Minute, blocks, minutes
from shared.release.evidence import Block


@dataclass
class Counts:
    requests: int = 0
    server_errors: int = 0
    latency: dict[str, dict[int, int]] = field(default_factory=dict)
    shadow: dict[str, int] = field(default_factory=dict)


@dataclass
class Row:
    version: int
    at: int
    counts: Counts
    since: int = 7


ROLES = Roles(1, 2, 10)


def test_rows_of_both_versions_make_a_minute() -> None:
    rows = [
        Row(2, 60, Counts(5, 1, {"run": {30: 5}, "load": {60: 1}})),
        Row(1, 60, Counts(45, 2, {"run": {30: 44, 31: 1}}, {"compared": 9, "different": 3})),
        Row(1, 59, Counts(50)),
        Row(3, 59, Counts(1, 1)),  # neither of them: of a person's call by number, say
        Row(2, 60, Counts(9, 9), since=6),  # another stage, which a slow process still counts for
    ]
    first, second = minutes(rows, ROLES, 7)
    assert (first.minute, first.canary, first.stable.calls) == (59, Group(), 50)
    assert second == Minute(
        60,
        Group(5, {"server_errors": (5, 1), "shadow_differs": (0, 0)}, {30: 5}),
        Group(45, {"server_errors": (45, 2), "shadow_differs": (9, 3)}, {30: 44, 31: 1}),
    )
    assert blocks([first, second], "server_errors") == [Block(5, 1, 95, 2)]
    assert blocks([first, second], "shadow_differs") == []


def test_no_rows() -> None:
    assert minutes([], ROLES, 7) == []
