"""The garbage collector beside whoever names a blob: in no order of their storage calls is one removed that is named.

Small worlds, and all interleavings of them; a larger one with two writers, and interleavings by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from shared import keys
from shared.errors import Conflict
from shared.registry import aliases, blobs, collect, models, versions
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Change, Target, Version
from shared.storage.base import ObjectNotFound, Store
from shared.storage.memory import MemoryStore
from tests.proofs.interleavings import Actor, every, some
from tests.proofs.stores import age, copy_of, keys_of

pytestmark = pytest.mark.usefixtures("no_waiting")

ANN = Change(by="ann")
DAY = 86400.0
OLD = b"written long ago by somebody who died before naming it"


def collector(store: Store) -> None:
    collect.collect(Log(store))


def registers(body: bytes, upload: str) -> Actor:
    def run(store: Store) -> None:
        digest = blobs.write(store, body)
        made = Version(version=0, task="tensor", manifest=digest, source=digest, model=digest, size=1, upload=upload)
        versions.register(Log(store), "m", made, ANN)

    return run


def moves(store: Store) -> None:
    aliases.move(Log(store), "m", "production", Target(version=1), ANN)


def undeletes(store: Store) -> None:
    try:
        models.restore(Log(store), "m", ANN)
    except Conflict:
        pass  # too late, it says: then nothing is named


def nothing_named_is_missing(store: Store) -> None:
    head = Log(store).read("m")
    if head.alive:
        named = {digest for version in head.versions.values() for digest in (version.manifest, version.model)}
        missing = {digest for digest in named if keys.blob(digest) not in keys_of(store)}  # type: ignore[arg-type]
        assert not missing, f"revision {head.revision} names what is gone"


# ---- what there is when they begin


def an_orphan() -> MemoryStore:
    store = MemoryStore()
    registers(b"in use", "upload-1")(store)
    blobs.write(store, OLD)
    age(store, keys.BLOBS, 8 * DAY)
    return store


def two_versions() -> MemoryStore:
    store = an_orphan()
    registers(OLD, "upload-2")(store)
    aliases.move(Log(store), "m", "production", Target(version=2), ANN)
    age(store, keys.BLOBS, 8 * DAY)
    return store


def deleted(days: float) -> Callable[[], MemoryStore]:
    def make() -> MemoryStore:
        store = MemoryStore()
        registers(OLD, "upload-1")(store)
        with pytest.MonkeyPatch.context() as then:
            present = logs.now
            then.setattr(logs, "now", lambda: present(-days * DAY))
            models.delete(Log(store), "m", ANN)
        age(store, keys.BLOBS, 30 * DAY)
        return store

    return make


WORLDS: dict[str, tuple[Callable[[], MemoryStore], Actor]] = {
    "a registration that finds an old blob": (an_orphan, registers(OLD, "upload-2")),
    "a registration with a new blob": (an_orphan, registers(b"new", "upload-2")),
    "a promotion": (two_versions, moves),
    "an upload of what a deleted model had": (deleted(8), registers(OLD, "upload-2")),
    "a deletion undone in time": (deleted(6.9), undeletes),
    "a deletion undone at the last moment": (deleted(7 - 1.01 / 24), undeletes),
    "a deletion undone too late": (deleted(7 - 0.99 / 24), undeletes),
    "a deletion undone far too late": (deleted(8), undeletes),
}


def world(name: str) -> Callable[[], tuple[Store, Sequence[Actor], Callable[[Store], None]]]:
    make, actor = WORLDS[name]
    made = make()
    return lambda: (copy_of(made), [collector, actor], nothing_named_is_missing)


@pytest.mark.parametrize("name", WORLDS)
def test_in_no_order_is_a_named_blob_removed(name: str) -> None:
    assert every(world(name)) >= 15


@pytest.mark.parametrize("runs", [300, pytest.param(20_000, marks=pytest.mark.soak)])
def test_two_writers_a_mover_and_two_collectors(runs: int) -> None:
    some(larger_world(), seed=1, runs=runs)


def larger_world() -> Callable[[], tuple[Store, Sequence[Actor], Callable[[Store], None]]]:
    made = two_versions()
    blobs.write(made, b"another orphan")
    age(made, keys.BLOBS, 8 * DAY)
    actors = [collector, collector, registers(b"another orphan", "upload-3"), registers(b"another orphan", "upload-4")]
    return lambda: (copy_of(made), [*actors, moves], nothing_named_is_missing)


def test_what_nobody_names_does_go() -> None:
    store = an_orphan()
    collector(store)
    assert keys_of(store, keys.BLOBS) == {keys.blob(Log(store).read("m").versions[1].model)}


# ---- controls


def whatever_is_there(log: Log, digest: str, before: float) -> bool:
    log.store.head(keys.blob(digest))
    log.store.delete(keys.blob(digest))
    return True


def without_a_second_look(log: Log, digest: str, before: float) -> bool:
    log.store.delete(keys.blob(digest), version=log.store.head(keys.blob(digest)).version)
    return True


def if_there_good(store: Store, body: bytes) -> str:
    digest = blobs.hashlib.sha256(body).hexdigest()
    try:
        store.head(keys.blob(digest))
    except ObjectNotFound:
        store.put(keys.blob(digest), body)
    return digest


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("shared.registry.collect._remove", whatever_is_there),
        ("shared.registry.collect._remove", without_a_second_look),
        ("shared.registry.blobs.write", if_there_good),
    ],
)
def test_negative_controls_a_careless_one_is_found_out(
    what: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = world("a registration that finds an old blob")
    monkeypatch.setattr(what, instead)
    with pytest.raises(AssertionError, match="names what is gone"):
        every(begin)


def test_files_beside_a_model_are_named() -> None:
    """A tokenizer, the wide form, the package's signature and the model as uploaded: each alone keeps its blob."""
    store = MemoryStore()
    log = Log(store)
    digests = {name: blobs.write(store, name.encode()) for name in ("manifest", "source", "model", "package", "file")}
    made = Version(
        version=0,
        task="tensor",
        manifest=digests["manifest"],
        source=digests["source"],
        model=digests["model"],
        package=digests["package"],
        files={"tokenizer.json": digests["file"]},
        size=1,
        upload="upload-1",
    )
    versions.register(log, "m", made, ANN)
    orphan = blobs.write(store, OLD)
    age(store, keys.BLOBS, 8 * DAY)
    assert collect.collect(log).deleted == [orphan]
    assert {keys.blob(digest) for digest in digests.values()} <= keys_of(store)
