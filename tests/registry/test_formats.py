"""This release beside a later one: what it does with members, kinds and formats that it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ops.resign import re_sign
from shared import formats, keys
from shared.errors import Conflict, Unavailable
from shared.formats import TooNew
from shared.package import manifest
from shared.registry import aliases, blobs, catalog, collect, fold, models, record_views, verify, versions
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Change, Record, Segment, Target
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.proofs.stores import age, keys_of
from tests.registry.conftest import push
from tests.registry.later import commit

ANN = Change(by="ann")
NEXT = formats.READER + 1


@pytest.fixture
def key(tmp_path: Path) -> LocalKey:
    return LocalKey.create(tmp_path / "key.pem")


@pytest.fixture(params=["signed", "unsigned"])
def log(request: pytest.FixtureRequest, key: LocalKey) -> Log:
    signed = request.param == "signed"
    log = Log(MemoryStore(), signer=key if signed else None, trusted=[key.public] if signed else [])
    push(log, "m", 3)
    push(log, "other", 2)
    return log


def record(kind: str = "alias", to: int = 2, **members: Any) -> Record:
    return Record(kind=kind, by="later", aliases={"production": to}, **members)


def kinds(log: Log, model: str = "m") -> list[str]:
    records, _ = models.history(log, model, log.read(model).revision)
    return [record_views.record(one).kind for one in records]


def works_beside(log: Log) -> None:
    """The other model, the catalog and the collector do as ever."""
    aliases.move(log, "other", "production", Target(version=2), ANN)
    aliases.rollback(log, "other", "production", ANN)
    assert verify.verify(log, "other").verified
    assert "other" in catalog.list_models(log)
    orphan = blobs.write(log.store, b"nobody names this")
    age(log.store, keys.BLOBS, 30 * 86400.0)
    assert collect.collect(log).deleted == [orphan]


# ---- what may be ignored


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("alias", {"ticket": "OPS-1"}),
        ("alias", {"ticket": {"id": 1, "links": ["x"]}}),
        ("release", {}),
        ("release", {"ticket": None}),
    ],
)
def test_notes_and_kinds_are_read_past(log: Log, kind: str, members: dict[str, Any], head: bool) -> None:
    commit(log, "m", record(kind), members, head=head)
    assert models.get(log, "m").number(None) == 2
    assert kinds(log)[0] == kind
    assert verify.verify(log, "m").verified
    aliases.move(log, "m", "production", Target(version=3), ANN)
    assert aliases.rollback(log, "m", "production", ANN).number(None) == 2
    log.store.delete(keys.head("m"))
    assert models.get(log, "m").number(None) == 2
    assert verify.verify(log, "m").verified
    assert sorted(catalog.list_models(log)) == ["m", "other"]
    works_beside(log)


# ---- what this release must not write


def test_what_it_would_lose_is_served_and_not_changed(log: Log) -> None:
    evidence = blobs.write(log.store, b"named by a member that only later releases know")
    members = {"attachment": {"sha256": evidence}}
    commit(log, "m", record(min_writer=NEXT), members, {"attachment": {"2": evidence}})
    assert models.get(log, "m").number(None) == 2
    assert verify.verify(log, "m").verified
    assert catalog.list_models(log)["m"].aliases["production"].version == 2
    with pytest.raises(Conflict, match=rf"model 'm' was changed by a later release, in format {NEXT}.*deploy"):
        aliases.move(log, "m", "production", Target(version=3), ANN)
    works_beside(log)
    assert keys.blob(evidence) in keys_of(log.store)
    assert models.get(log, "m").number(None) == 2


def test_a_transition_carried_out_already_is_still_answered(log: Log) -> None:
    change = Change(by="ann", request_id="once")
    revision = aliases.move(log, "m", "production", Target(version=3), change).revision
    commit(log, "m", record(min_writer=NEXT))
    assert aliases.move(log, "m", "production", Target(version=3), change).revision == revision


# ---- what this release cannot read


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("members", [{}, {"kind": 7}, {"aliases": [["production", 2]]}])
def test_what_must_be_understood_stops_this_model_only(log: Log, members: dict[str, Any], head: bool) -> None:
    known = catalog.list_models(log)["m"]
    catalog.compact(log)
    named = blobs.write(log.store, b"named by the later record")
    commit(log, "m", record(min_reader=NEXT), {"adapter": named, **members}, head=head)
    with pytest.raises(TooNew, match=rf"model 'm' was written by a later release, in format {NEXT}.*deploy") as refused:
        models.get(log, "m")
    assert refused.value.status == 503
    with pytest.raises(TooNew):
        aliases.move(log, "m", "production", Target(version=3), ANN)
    assert catalog.list_models(log)["m"] == known
    [problem] = verify.verify(log, "m").problems
    assert problem.revision == 4
    assert "later release" in problem.what
    works_beside(log)
    assert keys.blob(named) in keys_of(log.store)
    assert all(keys.blob(version.model) in keys_of(log.store) for version in log.read("other").versions.values())


def test_a_forged_record_behind_one_that_cannot_be_read_is_still_named(log: Log) -> None:
    after = commit(log, "m", record(min_reader=NEXT))
    body = msgspec.json.encode(Record(kind="alias", by="mallory", revision=after.revision + 1, previous="0" * 64))
    log.store.put(keys.log_record("m", after.revision + 1), body)
    problems = verify.verify(log, "m").problems
    assert [problem.revision for problem in problems][:2] == [4, 5]
    assert any("does not follow" in problem.what for problem in problems)


def test_a_process_that_knew_the_model_takes_a_state_that_it_understands(log: Log) -> None:
    """A later release may write records that are hard to fold, and a state that is not."""
    before = log.read("m")
    commit(log, "m", record(min_reader=NEXT), state={"min_reader": 1})
    assert log.refresh(before).number(None) == 2
    assert log.read("m").number(None) == 2
    commit(log, "m", record(to=3, min_reader=NEXT), head=False)
    with pytest.raises(TooNew):
        log.refresh(before)


def test_only_what_is_signed_is_believed_of_a_later_release(key: LocalKey) -> None:
    log = Log(MemoryStore(), signer=key, trusted=[key.public])
    push(log, "m", 2)
    stored = msgspec.json.decode(log.store.get(keys.head("m")).body)
    stored["state"]["min_reader"] = NEXT
    log.store.put(keys.head("m"), msgspec.json.encode(stored))
    assert log.read("m").latest == 2  # from the log
    commit(Log(log.store), "m", record(), {"ticket": 1})
    with pytest.raises(Unavailable, match="not signed"):
        log.read("m")


def test_resigning_leaves_models_of_later_releases_alone(log: Log, key: LocalKey, tmp_path: Path) -> None:
    commit(log, "m", record(min_reader=NEXT))
    commit(log, "other", record(min_writer=NEXT))
    push(log, "third", 1)
    new = LocalKey.create(tmp_path / "new.pem")
    assert re_sign(log.store, new, "rotation") == [("third", 2)]


# ---- versions and their manifests


def test_a_version_of_a_later_form_is_refused_and_its_neighbors_are_served(log: Log) -> None:
    version = msgspec.structs.replace(log.read("m").versions[3], version=4, upload="upload-later", format=2)
    commit(log, "m", Record(kind="register", by="later", version=version))
    head = models.get(log, "m")
    assert versions.resolve(log, head, "3").version == 3
    with pytest.raises(TooNew, match="version 4 of model 'm'"):
        versions.resolve(log, head, "4")
    assert aliases.move(log, "m", "production", Target(version=2), ANN).versions[4].format == 2
    works_beside(log)


@pytest.mark.parametrize("body", [b'{"format":2}', b'{"format":1,"labels":7}', b'{"format":2,"task":7}'])
def test_a_manifest_of_a_later_form_stops_its_version_only(log: Log, body: bytes) -> None:
    described = blobs.write(log.store, body)
    version = msgspec.structs.replace(log.read("m").versions[3], version=0, manifest=described, upload="upload-later")
    versions.register(log, "m", version, ANN)
    aliases.move(log, "m", "production", Target(version=4), ANN)
    with pytest.raises(TooNew, match="version 4 of this model"):
        models.manifest(log, models.representative_version(log.read("m")))
    assert models.manifest(log, log.read("m").versions[3]).name == "m"
    assert "other" in catalog.list_models(log)


def test_a_manifest_is_stored_with_its_format() -> None:
    body = manifest.encode(manifest.Manifest(name="m"))
    assert msgspec.json.decode(body) == {"format": 1, "name": "m"}
    assert manifest.decode(body) == manifest.decode(b'{"name":"m"}')


# ---- segments


def test_an_archived_segment_is_the_one_that_its_writer_says(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its versions may have members that this release would leave out."""
    monkeypatch.setattr(fold, "SEGMENT", 2)
    head = log.read("m")
    later = [msgspec.to_builtins(head.versions[number]) | {"licence": "MIT"} for number in (1, 2)]
    digest = blobs.write(log.store, msgspec.json.encode(later))
    version = msgspec.structs.replace(head.versions[3], version=4, upload="upload-later")
    segment = Segment(first=1, last=2, digest=digest, until=head.versions[2].created_at)
    commit(log, "m", Record(kind="register", by="later", version=version, archived=segment, min_reader=2, min_writer=2))
    for lost in ([], [keys.head("m")]):
        for name in lost:
            log.store.delete(name)
        head = log.read("m")
        assert head.archived == [segment]
        assert log.version(head, 1).model == later[0]["model"]
    assert verify.verify(log, "m").verified
    age(log.store, keys.BLOBS, 30 * 86400.0)
    assert collect.collect(log).deleted == []


def test_no_segment_is_collected_while_a_state_cannot_be_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "SEGMENT", 2)
    push(log, "m", 1)
    [segment] = log.read("m").archived
    log.store.put(keys.log_record("m", 4), b"{]")
    log.store.put(keys.head("m"), b"{]")
    works_beside(log)
    assert keys.blob(segment.digest) in keys_of(log.store)


# ---- numbers


def test_records_carry_the_lowest_numbers(log: Log) -> None:
    aliases.move(log, "m", "production", Target(version=2), ANN)
    assert b"min_" not in log.store.get(keys.log_record("m", 4)).body
    assert b"min_" not in log.store.get(keys.head("m")).body
    present = log.read("m").versions[2]
    versions.recheck(log, "m", msgspec.structs.replace(present, model="3" * 64), ANN)
    checked = logs.decode(log.store.get(keys.log_record("m", 5)).body)
    assert (checked.min_reader, checked.min_writer) == (2, 2)
    models.delete(log, "m", ANN)
    push(log, "m", 1)
    assert (log.read("m").min_reader, log.read("m").min_writer) == (2, 2)


def test_every_number_is_one_that_this_release_reads_and_writes() -> None:
    assert formats.NEEDS.keys() <= set(Record.__struct_fields__)
    for reader, writer in formats.NEEDS.values():
        assert 1 <= reader <= formats.READER
        assert 1 <= writer <= formats.WRITER
