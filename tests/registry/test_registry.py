"""Transitions and questions of the registry, on the shipped in-memory store."""

from __future__ import annotations

import threading

import msgspec
import pytest

from shared.errors import BadInput, Conflict, NotFound, Unavailable
from shared.registry import blobs, keys, log, registry
from shared.registry.state import Record, Version
from shared.storage.memory import MemoryStore


def version(upload: str, task: str = "tensor") -> Version:
    return Version(version=0, task=task, manifest="0" * 64, source="1" * 64, model="2" * 64, size=10, upload=upload)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_versions_count_from_one_and_the_first_becomes_production(store: MemoryStore) -> None:
    assert registry.register(store, "m", version("upload-1"), by="ann").version == 1
    assert registry.register(store, "m", version("upload-2"), by="bob").version == 2
    head = registry.get(store, "m")
    assert head.revision == 2
    assert head.resolve(None).version == 1
    assert head.resolve("2").by == "bob"
    assert head.versions[1].created_at.endswith("Z")


def test_registration_is_idempotent_by_upload(store: MemoryStore) -> None:
    for _ in range(3):
        assert registry.register(store, "m", version("upload-1"), by="ann").version == 1
    assert registry.get(store, "m").revision == 1


def test_alias_moves_and_keeps_its_history(store: MemoryStore) -> None:
    for n in (1, 2):
        registry.register(store, "m", version(f"upload-{n}"), by="ann")
    head = registry.set_alias(store, "m", "production", 2, by="bob", reason="better")
    assert head.aliases["production"].previous == 1
    records, following = registry.history(store, "m")
    assert [r.revision for r in records] == [3, 2, 1]
    assert (records[0].by, records[0].reason, following) == ("bob", "better", None)


def test_setting_an_alias_to_where_it_is_writes_nothing(store: MemoryStore) -> None:
    registry.register(store, "m", version("upload-1"), by="ann")
    assert registry.set_alias(store, "m", "production", 1, by="ann").revision == 1


def test_expected_revision(store: MemoryStore) -> None:
    registry.register(store, "m", version("upload-1"), by="ann")
    with pytest.raises(Conflict, match="at revision 1, not 7"):
        registry.set_alias(store, "m", "canary", 1, by="ann", expect_revision=7)
    assert registry.set_alias(store, "m", "canary", 1, by="ann", expect_revision=1).revision == 2


def test_aliases_can_go_but_not_production(store: MemoryStore) -> None:
    registry.register(store, "m", version("upload-1"), by="ann")
    registry.set_alias(store, "m", "canary", 1, by="ann")
    assert "canary" not in registry.delete_alias(store, "m", "canary", by="ann").aliases
    with pytest.raises(BadInput):
        registry.delete_alias(store, "m", "production", by="ann")
    with pytest.raises(NotFound):
        registry.delete_alias(store, "m", "canary", by="ann")


@pytest.mark.parametrize("reference", ["9", "staging", "../x", "0", "١"])
def test_unknown_references_name_what_there_is(store: MemoryStore, reference: str) -> None:
    registry.register(store, "m", version("upload-1"), by="ann")
    with pytest.raises(NotFound, match=r"\[1\]"):
        registry.get(store, "m").resolve(reference)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a..b", ".hidden", "x" * 101, "a b", "é"])
def test_bad_model_names(store: MemoryStore, name: str) -> None:
    with pytest.raises(BadInput):
        registry.register(store, name, version("upload-1"), by="ann")
    assert not store.list_page("").objects


def test_records_are_chained(store: MemoryStore) -> None:
    for n in range(3):
        registry.register(store, "m", version(f"upload-{n}"), by="ann")
    bodies = [store.get(keys.log_record("m", n)).body for n in (1, 2, 3)]
    records = [log.decode(body) for body in bodies]
    assert records[0].previous == ""
    assert [r.previous for r in records[1:]] == [log.digest(body) for body in bodies[:2]]


@pytest.mark.parametrize("damage", ["missing", "stale", "garbage"])
def test_the_head_is_only_a_cache(store: MemoryStore, damage: str) -> None:
    registry.register(store, "m", version("upload-0"), by="ann")
    early = store.get(keys.head("m")).body
    for n in range(1, 15):
        registry.register(store, "m", version(f"upload-{n}"), by="ann")
    store.delete(keys.head("m"))
    if damage != "missing":
        store.put(keys.head("m"), early if damage == "stale" else b"{]")
    assert registry.get(store, "m").latest == 15
    registry.register(store, "m", version("upload-15"), by="ann")
    assert registry.get(store, "m").latest == 16


def test_many_writers_lose_nothing(store: MemoryStore) -> None:
    failures: list[Exception] = []

    def work(writer: int) -> None:
        try:
            for n in range(5):
                registry.register(store, "m", version(f"upload-{writer}-{n}"), by=str(writer))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    head = registry.get(store, "m")
    assert not failures
    assert sorted(head.versions) == list(range(1, 31))
    assert head.revision == 30
    assert len({v.upload for v in head.versions.values()}) == 30


def test_a_writer_that_loses_every_race_is_told_to_try_again(store: MemoryStore, monkeypatch) -> None:
    monkeypatch.setattr("shared.registry.log.time.sleep", lambda _: None)

    def overtaken(head):
        store.put(
            keys.log_record("m", head.revision + 1),
            msgspec.json.encode(
                Record(
                    kind="register", by="fast", revision=head.revision + 1, previous=head.digest, version=version("u")
                )
            ),
        )
        return Record(kind="register", by="slow")

    with pytest.raises(Unavailable, match="try again"):
        log.append(store, "m", overtaken)


def test_catalogue_pages_searches_and_respects_scopes(store: MemoryStore) -> None:
    for name in ("alpha", "alpha-2", "beta", "gamma"):
        registry.register(store, name, version("upload-1"), by="ann")
    store.put(keys.upload_state("only-rejected", "upload-123"), b"{}")
    first, following = registry.catalogue(store, limit=3)
    assert [h.model for h in first] == ["alpha-2", "alpha", "beta"]  # the order of keys: "-" comes before "/"
    rest, end = registry.catalogue(store, limit=3, after=following)
    assert ([h.model for h in rest], end) == (["gamma"], None)
    assert [h.model for h in registry.catalogue(store, search="ALPHA")[0]] == ["alpha-2", "alpha"]
    assert [h.model for h in registry.catalogue(store, permitted=lambda m: m.startswith("b"))[0]] == ["beta"]


def test_history_pages(store: MemoryStore) -> None:
    for n in range(5):
        registry.register(store, "m", version(f"upload-{n}"), by="ann")
    first, before = registry.history(store, "m", limit=2)
    second, before2 = registry.history(store, "m", limit=2, before=before)
    third, end = registry.history(store, "m", limit=2, before=before2)
    assert [r.revision for r in first + second + third] == [5, 4, 3, 2, 1]
    assert end is None


def test_blobs_are_verified_on_read(store: MemoryStore) -> None:
    digest = blobs.write(store, b"weights")
    assert blobs.write(store, b"weights") == digest
    assert blobs.read(store, digest) == b"weights"
    store.put(keys.blob(digest), b"weightz")
    with pytest.raises(Unavailable, match="corrupt"):
        blobs.read(store, digest)
    with pytest.raises(Unavailable, match="missing"):
        blobs.read(store, "0" * 64)
