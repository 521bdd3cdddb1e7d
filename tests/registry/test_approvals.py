"""Moves that one person asks for and another one approves."""

from __future__ import annotations

import pytest

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from shared.registry import aliases, approvals, models, verify
from shared.registry import approved as going_back
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from tests.registry.conftest import ANN, BOB, push

WRITER = Change(by="ci", may_promote=False)


@pytest.fixture
def guarded(log: Log) -> Log:
    push(log, "m", 3)
    guard(log)
    return log


def guard(log: Log) -> None:
    aliases.set_policy(log, "m", "production", Policy(protected=True, two_person=True), ANN)


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


def approved(log: Log, version: int) -> None:
    approvals.approve(log, "m", ask(log, version), BOB)


def test_one_person_goes_back_no_further_than_two_have_let_the_alias_be(log: Log) -> None:
    push(log, "m", 5)
    for version in (2, 3):
        aliases.move(log, "m", "production", Target(version=version), ANN)
    guard(log)
    before = log.read("m").revision
    for number in (None, 1, 2):
        with pytest.raises(Conflict, match="two persons"):
            aliases.rollback(log, "m", "production", ANN, version=number)
    approved(log, 4)
    approved(log, 5)
    for number in (1, 2):
        with pytest.raises(Conflict, match="two persons"):
            aliases.rollback(log, "m", "production", ANN, version=number)
    back = [aliases.rollback(log, "m", "production", ANN).aliases["production"].version for _ in range(2)]
    assert back == [4, 3]  # 3 is what the rule was set over
    with pytest.raises(Conflict, match="two persons"):
        aliases.rollback(log, "m", "production", ANN)
    assert log.read("m").revision == before + 6


def test_what_was_approved_before_one_person_moved_the_alias_is_no_way_back(log: Log) -> None:
    """Set free by two, moved by one, and guarded again: the target in between was nobody else's wish."""
    push(log, "m", 4)
    guard(log)
    approved(log, 2)
    number = approvals.request_policy(log, "m", "production", Policy(protected=True), ANN)
    approvals.approve(log, "m", number, BOB)
    for version in (3, 4):
        aliases.move(log, "m", "production", Target(version=version), ANN)
    guard(log)
    for number in (None, 2, 3):  # type: ignore[assignment]
        with pytest.raises(Conflict, match="two persons"):
            aliases.rollback(log, "m", "production", ANN, version=number)


def test_a_split_and_a_shadow_are_approved_as_a_whole(guarded: Log) -> None:
    split = Target.of({1: 50, 2: 50}, shadow=3)
    approvals.approve(guarded, "m", approvals.request(guarded, "m", "production", split, ANN), BOB)
    approved(guarded, 3)
    with pytest.raises(Conflict, match="two persons"):
        aliases.rollback(guarded, "m", "production", ANN, version=2)
    assert aliases.rollback(guarded, "m", "production", ANN).aliases["production"].target == split.serving


def test_the_way_back_is_looked_up_in_a_log_that_holds(guarded: Log) -> None:
    approved(guarded, 2)
    for tag in range(40):
        models.edit(guarded, "m", ANN, tags=[str(tag)])
    revision = guarded.read("m").revision - 10
    body = guarded.store.get(keys.log_record("m", revision)).body
    guarded.store.put(keys.log_record("m", revision), body.replace(b'"edit"', b'"edot"'))
    with pytest.raises(Unavailable, match="amaas verify"):
        aliases.rollback(guarded, "m", "production", ANN)
    guarded.store.put(keys.log_record("m", revision), body)
    assert aliases.rollback(guarded, "m", "production", ANN).aliases["production"].version == 1


def test_a_log_is_not_searched_for_ever(guarded: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going_back, "MOST", 3)
    approved(guarded, 2)
    approved(guarded, 3)
    for tag in "ab":
        models.edit(guarded, "m", ANN, tags=[tag])
    with pytest.raises(Conflict, match="two persons"):  # the approval of 2 is further back
        aliases.rollback(guarded, "m", "production", ANN)


def test_one_person_takes_no_alias_by_deleting_the_model(guarded: Log) -> None:
    """Once the name is free, it is used again: production still needs two persons."""
    models.delete(guarded, "m", ANN)
    push(guarded, "m")
    head = models.get(guarded, "m")
    assert head.aliases == {} and head.policy("production").two_person
    with pytest.raises(NotFound, match="no version or alias 'production'"):
        head.number(None)
    for move in (
        lambda: aliases.move(guarded, "m", "production", Target(version=4), ANN),
        lambda: aliases.set_policy(guarded, "m", "production", Policy(), ANN),
    ):
        with pytest.raises(Conflict, match="two persons"):
            move()
    push(guarded, "m")
    assert models.get(guarded, "m").aliases == {} and models.representative_version(head).version == 4
    approved(guarded, 5)
    assert models.get(guarded, "m").number(None) == 5
    assert verify.verify(guarded, "m").problems == []


def test_a_deleted_model_without_such_a_rule_begins_anew(log: Log) -> None:
    push(log, "m")
    aliases.set_policy(log, "m", "staging", Policy(two_person=True), ANN)
    models.delete(log, "m", ANN)
    push(log, "m")
    assert models.get(log, "m").aliases["production"].version == 2


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
