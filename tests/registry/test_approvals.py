"""Moves that one person asks for and another one approves."""

from __future__ import annotations

import pytest

from shared.errors import BadInput, Conflict, Forbidden, NotFound
from shared.registry import aliases, approvals, models, verify
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from tests.registry.conftest import ANN, BOB, push

WRITER = Change(by="ci", may_promote=False)


@pytest.fixture
def guarded(log: Log) -> Log:
    push(log, "m", 3)
    aliases.set_policy(log, "m", "production", Policy(protected=True, two_person=True), ANN)
    return log


def ask(log: Log, version: int, change: Change = WRITER) -> int:
    return approvals.request(log, "m", "production", Target(version=version), change)


def test_two_persons_move_an_alias(guarded: Log) -> None:
    with pytest.raises(Conflict, match="two persons"):
        aliases.move(guarded, "m", "production", Target(version=2), ANN)
    number = ask(guarded, 2, Change(by="ann", reason="better"))
    assert models.get(guarded, "m").requests[number].reason == "better"
    assert models.get(guarded, "m").aliases["production"].version == 1
    with pytest.raises(Forbidden, match="your own"):
        approvals.approve(guarded, "m", number, ANN)
    with pytest.raises(Forbidden, match="protected"):
        approvals.approve(guarded, "m", number, Change(by="dan", may_promote=False))
    head = approvals.approve(guarded, "m", number, BOB)
    assert (head.aliases["production"].version, head.requests) == (2, {})
    with pytest.raises(NotFound, match="no open move request"):
        approvals.approve(guarded, "m", number, BOB)


def test_one_person_may_take_back_what_two_approved(guarded: Log) -> None:
    approvals.approve(guarded, "m", ask(guarded, 2), BOB)
    with pytest.raises(Conflict, match="two persons"):
        aliases.rollback(guarded, "m", "production", BOB, version=3)
    assert aliases.rollback(guarded, "m", "production", BOB).aliases["production"].version == 1


def test_a_request_is_void_once_its_alias_moved(guarded: Log) -> None:
    second, third = ask(guarded, 2), ask(guarded, 3)
    approvals.approve(guarded, "m", second, BOB)
    with pytest.raises(NotFound, match="when its alias moves"):
        approvals.approve(guarded, "m", third, BOB)


def test_rejecting_and_withdrawing(guarded: Log) -> None:
    first, second = ask(guarded, 2), ask(guarded, 3)
    with pytest.raises(Forbidden):
        approvals.reject(guarded, "m", first, Change(by="dan", may_promote=False))
    assert first not in approvals.reject(guarded, "m", first, BOB).requests
    assert approvals.reject(guarded, "m", second, WRITER).requests == {}
    assert models.get(guarded, "m").aliases["production"].version == 1


def test_asking_twice_is_one_request(guarded: Log) -> None:
    assert ask(guarded, 2) == ask(guarded, 2)
    keyed = Change(by="ci", may_promote=False, request_id="once")
    assert ask(guarded, 3, keyed) == ask(guarded, 3, keyed)
    with pytest.raises(BadInput, match="already"):
        ask(guarded, 1)
    with pytest.raises(NotFound):
        ask(guarded, 9)


def test_open_requests_are_bounded(log: Log) -> None:
    push(log, "m", 3)
    for n in range(approvals.MAX_OPEN):
        approvals.request(log, "m", f"stage-{n}", Target(version=2), WRITER)
    with pytest.raises(Conflict, match="open requests"):
        ask(log, 2)


# ---- what two persons move, two persons set free

ONE, FREE = Policy(protected=True), Policy()


@pytest.mark.parametrize("policy", [ONE, FREE])
@pytest.mark.parametrize("waiting", [False, True], ids=["nothing waits", "a request waits"])
def test_one_person_cannot_take_the_rule_back(guarded: Log, policy: Policy, waiting: bool) -> None:
    if waiting:
        ask(guarded, 2, ANN)
    with pytest.raises(Conflict, match="another person approves"):
        aliases.set_policy(guarded, "m", "production", policy, ANN)
    with pytest.raises(Forbidden, match="protected"):
        aliases.set_policy(guarded, "m", "production", policy, WRITER)
    assert models.get(guarded, "m").policy("production").two_person


def test_two_persons_take_the_rule_back(guarded: Log) -> None:
    number = approvals.request_policy(guarded, "m", "production", ONE, ANN)
    assert approvals.request_policy(guarded, "m", "production", ONE, ANN) == number
    assert approvals.open_policies(guarded, models.get(guarded, "m")) == {number: ONE}
    with pytest.raises(Forbidden, match="your own"):
        approvals.approve(guarded, "m", number, ANN)
    with pytest.raises(Forbidden, match="protected"):
        approvals.approve(guarded, "m", number, WRITER)
    before = models.get(guarded, "m").aliases
    head = approvals.approve(guarded, "m", number, BOB)
    assert (head.policy("production"), head.requests, head.aliases) == (ONE, {}, before)
    assert verify.verify(guarded, "m").verified


def test_a_wish_for_a_policy_is_void_once_its_alias_moved(guarded: Log) -> None:
    number = approvals.request_policy(guarded, "m", "production", ONE, ANN)
    approvals.approve(guarded, "m", ask(guarded, 2), BOB)
    with pytest.raises(NotFound):
        approvals.approve(guarded, "m", number, BOB)
    assert models.get(guarded, "m").policy("production").two_person


def test_requests_for_policies_that_need_none(guarded: Log) -> None:
    with pytest.raises(BadInput, match="no request is needed"):
        approvals.request_policy(guarded, "m", "production", Policy(two_person=True), ANN)
    with pytest.raises(NotFound):
        approvals.request_policy(guarded, "m", "nowhere", ONE, ANN)
    with pytest.raises(Forbidden):
        approvals.request_policy(guarded, "m", "production", ONE, WRITER)
    aliases.move(guarded, "m", "staging", Target(version=1), ANN)
    with pytest.raises(BadInput, match="no request is needed"):
        approvals.request_policy(guarded, "m", "staging", FREE, ANN)


def test_an_alias_that_only_promote_moves_is_freed_with_promote_only(log: Log) -> None:
    push(log, "m", 1)
    with pytest.raises(Forbidden):
        aliases.set_policy(log, "m", "production", FREE, WRITER)
    assert not aliases.set_policy(log, "m", "production", FREE, ANN).policy("production").protected


# ---- whose tokens are one person's


@pytest.mark.parametrize(
    ("requester", "approver", "allowed"),
    [
        (Change(by="ann"), Change(by="bob"), True),
        (Change(by="ann"), Change(by="minted", ancestors=("ann",)), False),
        (Change(by="minted", ancestors=("ann",)), Change(by="ann"), False),
        (Change(by="ann"), Change(by="grandchild", ancestors=("child", "ann", "operator")), False),
        (Change(by="grandchild", ancestors=("child", "ann")), Change(by="ann"), False),
        # both by one administrator, who has seen the secrets of both
        (Change(by="x", ancestors=("admin",)), Change(by="y", ancestors=("admin",)), False),
        (Change(by="x", ancestors=("x1", "admin")), Change(by="y", ancestors=("admin", "operator")), False),
        # by an operator: two persons, if they are not named as one
        (Change(by="x", ancestors=("operator",)), Change(by="y", ancestors=("operator",)), True),
        (Change(by="x", ancestors=("", "operator")), Change(by="y", ancestors=("", "operator")), True),
        (Change(by="x", ancestors=("operator", "person:ann")), Change(by="y", ancestors=("z", "person:ann")), False),
        (Change(by="x", ancestors=("operator", "person:ann")), Change(by="y", ancestors=("z", "person:bob")), True),
    ],
)
def test_a_token_and_those_that_it_created_are_one_person(
    guarded: Log, requester: Change, approver: Change, allowed: bool
) -> None:
    move, policy = ask(guarded, 2, requester), approvals.request_policy(guarded, "m", "production", ONE, requester)
    for number in (policy, move):
        if allowed:
            approvals.approve(guarded, "m", number, approver)
        else:
            with pytest.raises(Forbidden, match=r"your own|which is the same person's as yours"):
                approvals.approve(guarded, "m", number, approver)
