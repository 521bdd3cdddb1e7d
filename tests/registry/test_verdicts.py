"""Moves by the watcher: made once, from what was judged, and only where no person has done anything since."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shared.registry import aliases, approvals, models, record_views, verdicts, verify, versions
from shared.registry.log import Log
from shared.registry.releases import Evidence, Measured, ReleasePolicy
from shared.registry.state import Alias, Change, Head, Policy, Target
from shared.registry.verdicts import Outcome, Roles, roles
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, BOB, push

RULES = ReleasePolicy(promote=True)
TWO = Policy(protected=True, two_person=True)


def evidence(head: Head, verdict: str = "worse", **members: object) -> Evidence:
    judged = Evidence(
        verdict=verdict,
        since=head.aliases["production"].since,
        stable=1,
        canary=2,
        log_e_worse=9.0,
        carried=0.0,
        first="2026-11-28T10:00Z",
        last="2026-11-28T10:05Z",
        metrics={
            "server_errors": Measured(canary=40, canary_bad=9, stable=360, stable_bad=4, log_e=9.0, loss_bound=0.5)
        },
        policy=RULES,
    )
    return msgspec.structs.replace(judged, **members)


def split(log: Log, weights: dict[int, int], change: Change = ANN) -> Head:
    return aliases.move(log, "m", "production", Target.of(weights), change)


@pytest.fixture
def canary(log: Log) -> Log:
    push(log, "m", 3)
    aliases.set_policy(log, "m", "production", None, ANN, RULES)
    split(log, {1: 95, 2: 5})
    return log


def back(log: Log, judged: Evidence | None = None) -> Outcome:
    return verdicts.roll_back(log, "m", "production", judged or evidence(models.get(log, "m")), "worse")


def on(log: Log, step: int = 25, judged: Evidence | None = None) -> Outcome:
    judged = judged or evidence(models.get(log, "m"), "no-loss")
    return verdicts.go_on(log, "m", "production", step, judged, "no loss")


def target(log: Log) -> str:
    return str(models.get(log, "m").aliases["production"].target)


# ---- what they do


def test_a_worse_canary_is_rolled_back_and_the_record_says_why(canary: Log) -> None:
    assert back(canary).obstacle is None
    assert target(canary) == "1"
    record = models.history(canary, "m", models.get(canary, "m").revision)[0][0]
    shown = record_views.record(record)
    assert (shown.kind, shown.by, shown.reason) == ("rollback", "watcher", "worse")
    assert shown.evidence.metrics["server_errors"].canary_bad == 9
    assert shown.evidence.policy.steps == [5, 25, 50, 100]


def test_from_every_step_the_way_back_is_to_what_has_no_canary(canary: Log) -> None:
    for step, expected in ((25, "1: 75, 2: 25"), (50, "1: 50, 2: 50")):
        assert on(canary, step).obstacle is None
        assert target(canary) == expected
    assert back(canary).obstacle is None
    assert target(canary) == "1"


def test_the_last_step_leaves_the_canary_alone(canary: Log) -> None:
    assert on(canary, 100).obstacle is None
    assert target(canary) == "2"
    assert roles(models.get(canary, "m").aliases["production"]) is None


def test_a_shadow_stays_on_the_way_up_unless_it_is_the_canary(canary: Log) -> None:
    for shadow, after in ((3, "1: 75, 2: 25 with 3 as shadow"), (2, "1: 75, 2: 25")):
        aliases.move(canary, "m", "production", Target.of({1: 95, 2: 5}, shadow), ANN)
        on(canary)
        assert target(canary) == after


def test_an_alias_that_began_as_a_split_goes_back_to_its_stable_version(log: Log) -> None:
    push(log, "m", 2)
    aliases.set_policy(log, "m", "new", None, ANN, RULES)
    head = aliases.move(log, "m", "new", Target.of({1: 90, 2: 10}), ANN)
    judged = evidence(head, since=head.aliases["new"].since)
    assert verdicts.roll_back(log, "m", "new", judged, "worse").head.aliases["new"].target == Target(version=1)


@pytest.mark.parametrize(
    ("weights", "trail", "expected"),
    [
        ({1: 95, 2: 5}, [Target(version=1)], Roles(1, 2, 5)),
        ({1: 25, 2: 75}, [Target(version=1), Target.of({1: 50, 2: 50})], Roles(1, 2, 75)),
        ({1: 95, 2: 5}, [Target(version=2)], Roles(2, 1, 95)),
        ({1: 90, 2: 10}, [], Roles(1, 2, 10)),
        ({1: 10, 2: 90}, [], Roles(2, 1, 10)),
        ({1: 1, 2: 1}, [], Roles(1, 2, 50)),
        ({1: 90, 2: 10}, [Target(version=7)], Roles(1, 2, 10)),
        ({1: 90, 2: 5, 3: 5}, [Target(version=1)], None),
        ({1: 1}, [], None),
    ],
)
def test_roles(weights: dict[int, int], trail: list[Target], expected: Roles | None) -> None:
    to = Target.of(weights)
    assert roles(Alias(version=to.version, split=to.split, trail=trail)) == expected


# ---- what comes first


def retire_stable(log: Log) -> None:
    split(log, {2: 1})
    versions.retire(log, "m", 1, ANN)


MOVES: dict[str, Callable[[Log], object]] = {
    "another split": lambda log: split(log, {1: 50, 2: 50}),
    "the same split again": lambda log: (split(log, {1: 1}), split(log, {1: 95, 2: 5})),
    "promoted by a person": lambda log: split(log, {2: 1}),
    "rolled back by a person": lambda log: aliases.rollback(log, "m", "production", ANN),
    "the policy is gone": lambda log: aliases.set_policy(log, "m", "production", None, ANN, None),
    "the model is deleted": lambda log: models.delete(log, "m", ANN),
    "the stable version is retired": retire_stable,
    "nothing but by persons": lambda log: aliases.set_policy(
        log, "m", "production", None, ANN, ReleasePolicy(abort=False, promote=False)
    ),
}


@pytest.mark.parametrize("verdict", ["worse", "no-loss"])
@pytest.mark.parametrize("meanwhile", MOVES)
def test_what_a_person_did_meanwhile_stands(canary: Log, meanwhile: str, verdict: str) -> None:
    judged = evidence(models.get(canary, "m"), verdict)
    MOVES[meanwhile](canary)
    before = canary.read("m")
    outcome = back(canary, judged) if verdict == "worse" else on(canary, judged=judged)
    assert outcome.obstacle
    assert canary.read("m") == before


def test_going_on_waits_for_persons_and_going_back_does_not(canary: Log) -> None:
    approvals.request(canary, "m", "production", Target(version=3), ANN)
    assert on(canary).obstacle == "a move request of this alias is open"
    assert back(canary).obstacle is None


def test_going_on_is_by_the_rules_that_it_was_judged_by(canary: Log) -> None:
    judged = evidence(models.get(canary, "m"), "no-loss")
    aliases.set_policy(canary, "m", "production", None, ANN, ReleasePolicy(promote=True, tolerated_loss=0.001))
    assert on(canary, judged=judged).obstacle == "the release policy was changed"


def test_a_person_may_put_back_what_was_rolled_back(canary: Log) -> None:
    """The old evidence moves nothing again."""
    judged = evidence(models.get(canary, "m"))
    back(canary, judged)
    split(canary, {1: 95, 2: 5})
    back(canary, judged)
    assert target(canary) == "1: 95, 2: 5"


def test_two_watchers_make_one_record(canary: Log) -> None:
    judged = evidence(models.get(canary, "m"))
    revision = models.get(canary, "m").revision
    outcomes: list[Outcome] = []
    watchers = [threading.Thread(target=lambda: outcomes.append(back(canary, judged))) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert [outcome.obstacle for outcome in outcomes] == [None] * 4
    assert models.get(canary, "m").revision == revision + 1


def test_back_and_on_at_once_make_one_move(canary: Log) -> None:
    head = models.get(canary, "m")
    assert on(canary, judged=evidence(head, "no-loss")).obstacle is None
    back(canary, evidence(head))
    assert target(canary) == "1: 75, 2: 25"
    assert models.get(canary, "m").revision == head.revision + 1


# ---- two persons


def approved(log: Log, to: Target) -> None:
    approvals.approve(log, "m", approvals.request(log, "m", "production", to, ANN), BOB)


@pytest.fixture
def guarded(log: Log) -> Log:
    push(log, "m", 3)
    aliases.set_policy(log, "m", "production", TWO, ANN)
    number = approvals.request_policy(log, "m", "production", None, ANN, RULES)
    approvals.approve(log, "m", number, BOB)
    return log


def test_a_release_that_two_persons_approved_goes_on_by_itself(guarded: Log) -> None:
    approved(guarded, Target.of({1: 95, 2: 5}))
    for step in (25, 50, 100):
        assert on(guarded, step).obstacle is None
    assert target(guarded) == "2"


def test_from_any_step_it_goes_back_to_what_two_persons_have_let_be(guarded: Log) -> None:
    approved(guarded, Target.of({1: 95, 2: 5}))
    on(guarded, 25)
    assert back(guarded).obstacle is None
    assert target(guarded) == "1"


def test_the_next_release_goes_back_to_where_the_last_one_ended(guarded: Log) -> None:
    """Not to the split that it began with: its steps were approved with it."""
    approved(guarded, Target.of({1: 95, 2: 5}))
    on(guarded, 100)
    approved(guarded, Target.of({2: 95, 3: 5}))
    judged = evidence(models.get(guarded, "m"), stable=2, canary=3)
    assert back(guarded, judged).obstacle is None
    assert target(guarded) == "2"


def test_a_split_that_one_person_made_does_not_go_on(log: Log) -> None:
    push(log, "m", 2)
    split(log, {1: 95, 2: 5})
    aliases.set_policy(log, "m", "production", TWO, ANN)
    approvals.approve(log, "m", approvals.request_policy(log, "m", "production", None, ANN, RULES), BOB)
    assert "two persons have not approved this release" in str(on(log).obstacle)
    assert "have approved nothing" in str(back(log).obstacle)  # what it was before, one person chose alone
    assert target(log) == "1: 95, 2: 5"


def test_signed_and_verified(tmp_path: Path) -> None:
    key = LocalKey.create(tmp_path / "key.pem")
    log = Log(MemoryStore(), signer=key, trusted=[key.public])
    push(log, "m", 2)
    aliases.set_policy(log, "m", "production", None, ANN, RULES)
    split(log, {1: 95, 2: 5})
    on(log)
    back(log)
    assert verify.verify(log, "m").verified
