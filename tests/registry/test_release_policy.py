"""How an alias' canaries are watched: who may say so, and what is stored of it."""

from __future__ import annotations

import json

import pytest

from shared import formats, keys
from shared.errors import BadInput, Conflict, Forbidden
from shared.registry import aliases, approvals, approved, models, record_views, verify, views
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Change, Policy, Target
from tests.registry.conftest import ANN, BOB, push

WRITER = Change(by="ci", may_promote=False)
TWO = Policy(protected=True, two_person=True)
WATCHED, GOES_ON = ReleasePolicy(), ReleasePolicy(promote=True)


def watch(log: Log, release: ReleasePolicy | None, change: Change = ANN) -> None:
    aliases.set_policy(log, "m", "production", None, change, release)


def policy(log: Log) -> Policy:
    return models.get(log, "m").policy("production")


def test_it_is_set_beside_who_may_move_the_alias(log: Log) -> None:
    push(log, "m")
    watch(log, WATCHED)
    assert policy(log) == Policy(protected=True, release=WATCHED)  # the default of `production` stays
    aliases.set_policy(log, "m", "production", TWO, ANN)
    assert policy(log) == Policy(protected=True, two_person=True, release=WATCHED)
    watch(log, None)
    assert policy(log) == TWO
    revision = models.get(log, "m").revision
    watch(log, None)
    assert models.get(log, "m").revision == revision


def test_who_may_not_move_a_protected_alias_may_not_say_how_it_moves_by_itself(log: Log) -> None:
    push(log, "m")
    for release in (WATCHED, GOES_ON):
        with pytest.raises(Forbidden, match="protected"):
            watch(log, release, WRITER)
    aliases.set_policy(log, "m", "staging", None, WRITER, GOES_ON)  # which anybody moves


def test_two_persons_let_an_alias_go_on_by_itself(log: Log) -> None:
    push(log, "m", 2)
    aliases.set_policy(log, "m", "production", TWO, ANN)
    watch(log, WATCHED)  # rolling back leads to what two have let be
    with pytest.raises(Conflict, match="also to let its canaries go on"):
        watch(log, GOES_ON)
    with pytest.raises(BadInput, match="no request is needed"):
        approvals.request_policy(log, "m", "production", None, ANN, ReleasePolicy(alpha=0.001))
    number = approvals.request_policy(log, "m", "production", None, ANN, GOES_ON)
    assert approvals.wanted_policy(log, "m", number).release == GOES_ON
    with pytest.raises(Forbidden, match="your own"):
        approvals.approve(log, "m", number, ANN)
    assert approvals.approve(log, "m", number, BOB).policy("production") == Policy(
        protected=True, two_person=True, release=GOES_ON
    )
    with pytest.raises(Conflict, match="two persons"):
        watch(log, ReleasePolicy(promote=True, tolerated_loss=0.5))
    watch(log, WATCHED)  # one person stops it
    assert verify.verify(log, "m").verified


def test_two_persons_are_not_required_over_rules_that_one_has_made(log: Log) -> None:
    push(log, "m")
    watch(log, GOES_ON)
    with pytest.raises(Conflict, match="set two_person first"):
        aliases.set_policy(log, "m", "production", TWO, ANN)
    watch(log, WATCHED)
    aliases.set_policy(log, "m", "production", TWO, ANN)


def test_a_change_of_the_rules_leaves_the_way_back_open(log: Log) -> None:
    """What two persons approved before it can still be gone back to, and nothing else."""
    push(log, "m", 3)
    aliases.move(log, "m", "production", Target(version=2), ANN)
    aliases.set_policy(log, "m", "production", TWO, ANN)
    number = approvals.request(log, "m", "production", Target.of({2: 95, 3: 5}), ANN)
    approvals.approve(log, "m", number, BOB)
    watch(log, WATCHED)
    allowed = approved.targets(log, models.get(log, "m"), "production")
    assert [str(target) for target in allowed] == ["2: 95, 3: 5", "2"]
    assert aliases.rollback(log, "m", "production", ANN).aliases["production"].version == 2
    with pytest.raises(Conflict):
        aliases.rollback(log, "m", "production", ANN)  # to 1, which was before two persons were required


def test_its_stored_form_needs_a_writer_that_knows_it(log: Log) -> None:
    push(log, "m")
    watch(log, WATCHED)
    head = models.get(log, "m")
    assert (head.min_reader, head.min_writer) == (1, 3) and head.min_writer <= formats.WRITER
    stored = json.loads(log.store.get(keys.log_record("m", head.revision)).body)["policies"]["production"]
    assert stored["release"]["steps"] == [5, 25, 50, 100]  # defaults are written out: later ones change no old record
    assert set(stored["release"]) == set(ReleasePolicy.__struct_fields__)


def test_how_it_is_shown(log: Log) -> None:
    push(log, "m")
    watch(log, WATCHED)
    shown = views.policy(policy(log))
    assert shown.release.steps == [5, 25, 50, 100]
    records, _ = models.history(log, "m", models.get(log, "m").revision)
    assert record_views.record(records[0]).policies["production"].release.alpha == 0.01
