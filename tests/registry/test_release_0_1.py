"""Upgrade and downgrade on real buckets: release 0.1 wrote one, this code goes on with it, and the other way round."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared import keys
from shared.access import tokens
from shared.access.authenticate import authenticate
from shared.jobs.batch import job as batch_jobs
from shared.jobs.batch import plan as batch_plans
from shared.jobs.batch import progress as batch_progress
from shared.jobs.training import job as training_jobs
from shared.jobs.training import progress as training_progress
from shared.registry import aliases, approvals, catalog, collect, models, verify, versions
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from shared.signing import p256
from shared.storage.memory import MemoryStore
from shared.uploads import listing, states
from tests.proofs.stores import age
from tests.registry import release
from tests.registry.conftest import push

ANN, BOB = Change(by="ann"), Change(by="bob")
NAMES = ["gone", "governed", "many", "reborn", "served"]
ALIVE = ["governed", "many", "reborn", "served"]
CONTENTS = release.contents()


VERIFIED = functools.cache(p256.verify)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the thousand signatures is worked out once."""
    monkeypatch.setattr(p256, "verify", VERIFIED)


@pytest.fixture
def store() -> MemoryStore:
    return release.bucket()


@pytest.fixture
def log(store: MemoryStore) -> Log:
    return release.log(store)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release.unpack_code(tmp_path_factory.mktemp("release-0.1"))


# ---- upgrade


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lost", ["nothing", "the head", "head and snapshots"])
def test_a_model_of_release_0_1_is_read_and_verified(log: Log, name: str, lost: str) -> None:
    places = [] if lost == "nothing" else [keys.head(name)]
    if lost == "head and snapshots":
        places += [key for key in log.store._objects if key.startswith(keys.snapshots(name))]
    for place in places:
        log.store.delete(place)
    head, known = log.read(name), CONTENTS["models"][name]
    assert (head.revision, head.digest, head.latest) == (known["revision"], known["digest"], known["latest"])
    assert {alias: state.version for alias, state in head.aliases.items()} == {
        alias: state["version"] for alias, state in known["aliases"].items()
    }
    report = verify.verify(log, name)
    assert (report.verified, report.revision, report.problems) == (True, head.revision, [])


def test_the_fixture_has_what_it_is_for(log: Log) -> None:
    kinds = {record.kind for name in NAMES for record in log.records(name, log.read(name).revision, 1)}
    assert kinds == {
        *("register", "alias", "rollback", "unalias", "policy", "request", "approve", "reject"),
        *("retire", "restore", "edit", "delete", "undelete", "attest"),
    }
    many = log.read("many")
    assert [(segment.first, segment.last) for segment in many.archived] == [(1, 256), (257, 512)]
    assert log.version(many, 300).version == 300


def test_each_model_is_moved_and_rolled_back(log: Log) -> None:
    number = approvals.request_policy(log, "governed", "production", Policy(protected=True), ANN)
    approvals.approve(log, "governed", number, BOB)
    for name in ALIVE:
        before = log.read(name)
        place = next(number for number in range(before.latest, 0, -1) if number not in before.retired)
        place = place if place != before.number(None) else place - 1
        assert aliases.move(log, name, "production", Target(version=place), ANN).number(None) == place
        assert aliases.rollback(log, name, "production", BOB).number(None) == before.number(None)
        assert verify.verify(log, name).verified
        assert release.log(log.store).read(name) == log.read(name)


def test_what_waits_goes_on(log: Log) -> None:
    [number] = log.read("governed").requests
    assert approvals.approve(log, "governed", number, ANN).aliases["production"].split == {2: 1, 3: 1}
    assert models.restore(log, "gone", ANN).alive
    push(log, "many", 260)  # across the next archived segment
    assert [segment.last for segment in log.read("many").archived] == [256, 512, 768]
    log.store.delete(keys.head("many"))
    assert verify.verify(log, "many").verified


def test_the_catalog_lists_and_the_collector_keeps(log: Log) -> None:
    assert sorted(catalog.list_models(log)) == ALIVE
    log.store.delete(keys.CATALOG)
    assert sorted(catalog.list_models(log)) == ALIVE
    age(log.store, keys.BLOBS, 30 * 86400.0)
    assert collect.collect(log).deleted == []
    for name in ALIVE:
        assert models.manifest(log, models.representative_version(log.read(name))).task == "tensor"


def test_uploads_tokens_and_jobs_of_release_0_1(store: MemoryStore) -> None:
    uploads, _ = listing.of_model(store, "served")
    assert [upload.state for upload in uploads] == ["waiting", "rejected", *["registered"] * 3]
    assert states.read_session(store, uploads[-1].upload_id).model == "served"
    assert authenticate(store, f"Bearer {CONTENTS['token']}").scopes == ["admin"]
    assert tokens.revoke(store, CONTENTS["token"].split("_")[1]).revoked
    batch = batch_jobs.read(store, CONTENTS["batch"])
    assert batch_plans.create(store, batch).inputs == 2
    assert batch_progress.status(store, batch)["state"] == "cancelled"
    training = training_jobs.read(store, CONTENTS["training"])
    assert training_progress.status(store, training)["state"] == "cancelled"


def test_nothing_of_the_bucket_has_to_be_written_again(log: Log) -> None:
    """No migration: reading, verifying and listing leave every byte as it was."""
    before = release.objects()
    for name in NAMES:
        verify.verify(log, name)
    catalog.list_models(log)
    assert {key: stored.body for key, stored in log.store._objects.items()} == before


# ---- downgrade


def test_release_0_1_goes_on_with_what_this_code_wrote(log: Log, code: Path) -> None:
    number = approvals.request_policy(log, "governed", "production", Policy(), ANN)
    approvals.approve(log, "governed", number, BOB)
    for name in ALIVE:
        aliases.move(log, name, "staging", Target(version=log.read(name).latest - 1), ANN)
    for name in ("served", "many"):
        aliases.move(log, name, "production", Target(version=3), ANN)
    push(log, "fresh", 2)
    aliases.move(log, "fresh", "production", Target(version=2), ANN)
    versions.retire(log, "many", 9, ANN)
    after, report = release.operate(log.store, ["served", "many", "fresh"], code)
    assert set(report[""]["listed"]) == {*ALIVE, "fresh"}
    for name in ("served", "many", "fresh"):
        steps = report[name]
        assert (steps["moved"], steps["back"]) == (1, steps["before"]), steps
        assert steps["verified"]
        assert "staging" in steps["aliases"] or name == "fresh"
        upgraded = release.log(after)
        assert verify.verify(upgraded, name).verified
        assert upgraded.read(name).number(None) == steps["before"]
        assert aliases.move(upgraded, name, "production", Target(version=1), ANN).number(None) == 1
    assert report["fresh"]["history"] == ["rollback", "alias", "alias", "register", "register"]


def test_release_0_1_is_told_of_what_it_does_not_know_by_one_model_only(log: Log, code: Path) -> None:
    """A version that was checked again is beyond release 0.1, until the model moves on: then its state is enough."""
    present = log.read("served").versions[2]
    versions.recheck(log, "served", replace(present, files={"tokenizer.json": "1" * 64}), ANN)
    assert (log.read("served").min_reader, log.read("served").min_writer) == (2, 2)
    aliases.move(log, "many", "production", Target(version=3), ANN)
    _, report = release.operate(log.store, ["served", "many"], code)
    assert report["served"]["status"] == 503
    assert report["many"]["verified"]
    aliases.move(log, "served", "production", Target(version=3), ANN)
    after, report = release.operate(log.store, ["served"], code)
    assert (report["served"]["moved"], report["served"]["back"]) == (1, 3)
    upgraded = release.log(after)
    assert upgraded.read("served").versions[2].files == {"tokenizer.json": "1" * 64}
    assert verify.verify(upgraded, "served").verified
