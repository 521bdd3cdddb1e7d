"""Versions and aliases: what each transition does, and what it refuses."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.errors import BadInput, Conflict, Forbidden, NotFound
from shared.registry import aliases, models, versions
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from tests.registry.conftest import ANN, BOB, a_version, push

WRITER = Change(by="ci", may_promote=False)


def move(log: Log, *to: int, **changes: object) -> Target:
    target = Target(version=to[0]) if len(to) == 1 else Target.of(dict(zip(to[::2], to[1::2], strict=True)))
    return aliases.move(log, "m", "production", target, ANN).aliases["production"].target


def test_versions_count_from_one_and_the_first_becomes_production(log: Log) -> None:
    assert versions.register(log, "m", a_version("upload-1"), ANN).version == 1
    assert versions.register(log, "m", a_version("upload-2"), BOB).version == 2
    head = models.get(log, "m")
    assert head.revision == 2
    assert versions.resolve(log, head, None).version == 1
    assert versions.resolve(log, head, "2").by == "bob"
    assert head.versions[1].created_at.endswith("Z")


def test_registration_is_idempotent_by_upload(log: Log) -> None:
    for _ in range(3):
        assert versions.register(log, "m", a_version("upload-1"), ANN).version == 1
    assert models.get(log, "m").revision == 1


@pytest.mark.parametrize("reference", ["9", "staging", "../x", "0", "١", "9" * 30])
def test_unknown_references_name_what_there_is(log: Log, reference: str) -> None:
    push(log, "m")
    with pytest.raises(NotFound, match=r"\[1\]"):
        models.get(log, "m").number(reference)


def test_moves_keep_where_the_alias_was(log: Log) -> None:
    push(log, "m", 3)
    head = aliases.move(log, "m", "production", Target(version=2), BOB)
    assert head.aliases["production"].previous == 1
    assert aliases.move(log, "m", "production", Target(version=2), BOB).revision == head.revision
    with pytest.raises(NotFound, match="no version 7"):
        move(log, 7)


def test_a_split_draws_by_weight_and_sticks_to_keys(log: Log) -> None:
    push(log, "m", 3)
    target = move(log, 1, 90, 2, 10, 3, 0)
    assert (target.version, target.split) == (1, {1: 90, 2: 10})
    head = models.get(log, "m")
    drawn = {key: head.number(None, key) for key in map(str, range(5000))}
    share = Counter(drawn.values())[2] / 5000
    assert 0.08 < share < 0.12  # 4.7 standard deviations
    move(log, 1, 50, 2, 50)
    ramped = models.get(log, "m")
    assert all(ramped.number(None, key) == 2 for key, version in drawn.items() if version == 2)


@pytest.mark.parametrize("split", [{}, {1: 0}, {1: -1, 2: 2}, dict.fromkeys(range(1, 13), 1)])
def test_bad_splits(split: dict[int, int]) -> None:
    with pytest.raises(BadInput, match="split"):
        Target.of(split)


def test_rollbacks_go_back_in_time_and_never_return(log: Log) -> None:
    push(log, "m", 4)
    for to in ((2,), (2, 90, 3, 10), (3,), (4,)):
        move(log, *to)
    back = [str(aliases.rollback(log, "m", "production", ANN).aliases["production"].target) for _ in range(4)]
    assert back == ["3", "2: 90, 3: 10", "2", "1"]
    with pytest.raises(Conflict, match="no previous target to roll back to"):
        aliases.rollback(log, "m", "production", ANN)
    assert models.history(log, "m", models.get(log, "m").revision)[0][0].kind == "rollback"


def test_rollback_to_a_named_version(log: Log) -> None:
    push(log, "m", 4)
    for number in (2, 3, 4):
        move(log, number)
    head = aliases.rollback(log, "m", "production", BOB, version=2)
    assert (head.aliases["production"].version, head.aliases["production"].previous) == (2, 1)
    assert aliases.rollback(log, "m", "production", BOB, version=2).revision == head.revision
    with pytest.raises(NotFound):
        aliases.rollback(log, "m", "production", BOB, version=9)


def test_rollback_skips_what_was_retired(log: Log) -> None:
    push(log, "m", 3)
    for number in (2, 3):
        move(log, number)
    versions.retire(log, "m", 2, ANN)
    assert aliases.rollback(log, "m", "production", ANN).aliases["production"].version == 1


def test_a_shadow_is_no_step_to_roll_back_to(log: Log) -> None:
    push(log, "m", 3)
    move(log, 2)
    aliases.move(log, "m", "production", Target(version=2, shadow=3), ANN)
    with pytest.raises(Conflict, match="in use by production"):
        versions.retire(log, "m", 3, ANN)
    assert aliases.rollback(log, "m", "production", ANN).aliases["production"].target == Target(version=1)


def test_aliases_can_go_but_not_production(log: Log) -> None:
    push(log, "m")
    aliases.move(log, "m", "canary", Target(version=1), ANN)
    assert "canary" not in aliases.delete(log, "m", "canary", ANN).aliases
    with pytest.raises(BadInput):
        aliases.delete(log, "m", "production", ANN)
    with pytest.raises(NotFound):
        aliases.delete(log, "m", "canary", ANN)


def test_production_is_protected_and_others_can_be(log: Log) -> None:
    push(log, "m", 2)
    for refused in (
        lambda: aliases.move(log, "m", "production", Target(version=2), WRITER),
        lambda: aliases.rollback(log, "m", "production", WRITER, version=2),
    ):
        with pytest.raises(Forbidden, match="scope 'promote'"):
            refused()
    assert aliases.move(log, "m", "staging", Target(version=2), WRITER).aliases["staging"].version == 2
    aliases.set_policy(log, "m", "staging", Policy(protected=True), ANN)
    with pytest.raises(Forbidden):
        aliases.delete(log, "m", "staging", WRITER)
    aliases.set_policy(log, "m", "production", Policy(), ANN)
    assert aliases.move(log, "m", "production", Target(version=2), WRITER).aliases["production"].version == 2


def test_retired_versions_answer_nobody_and_can_be_restored(log: Log) -> None:
    push(log, "m", 2)
    with pytest.raises(Conflict, match="in use by production"):
        versions.retire(log, "m", 1, ANN)
    head = versions.retire(log, "m", 2, ANN)
    assert versions.retire(log, "m", 2, ANN).revision == head.revision
    for refused in (lambda: head.number("2"), lambda: move(log, 2), lambda: move(log, 1, 90, 2, 10)):
        with pytest.raises(NotFound, match="retired"):
            refused()
    assert versions.get(log, head, 2).version == 2  # still to be looked at
    assert versions.restore(log, "m", 2, ANN).number("2") == 2
    with pytest.raises(NotFound):
        versions.restore(log, "m", 5, ANN)
