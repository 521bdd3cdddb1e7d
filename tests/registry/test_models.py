"""Models as wholes: edited, deleted, restored, made anew; the catalog; history; differences; blobs."""

from __future__ import annotations

import msgspec
import pytest

from shared import keys
from shared.errors import BadInput, NotFound, Unavailable
from shared.package.manifest import Manifest, Tensor
from shared.package.processing import Image
from shared.registry import blobs, catalog, collect, contents, diff, models, versions
from shared.registry.log import Log
from shared.registry.state import PRODUCTION
from shared.storage.base import list_all
from tests.registry.conftest import ANN, a_version, push

YEARS = 4e9  # seconds after the epoch, when everything is old


def test_cards_and_tags_are_edited_without_a_new_version(log: Log) -> None:
    push(log, "m", card="of the package", tags=["package"])
    head = models.get(log, "m")
    assert models.card(log, head, models.manifest(log, models.representative_version(head))) == "of the package"
    head = models.edit(log, "m", ANN, card="# mine", tags=["b", "a", "b"])
    assert (head.tags, head.latest) == (["a", "b"], 1)
    assert models.card(log, head, models.manifest(log, models.representative_version(head))) == "# mine"
    assert models.edit(log, "m", ANN, tags=["a", "b"]).revision == head.revision
    with pytest.raises(BadInput):
        models.edit(log, "m", ANN)


def test_a_deleted_model_is_gone_can_come_back_and_keeps_its_history(log: Log) -> None:
    push(log, "m", 2)
    head = models.delete(log, "m", ANN)
    assert models.delete(log, "m", ANN).revision == head.revision
    with pytest.raises(NotFound, match="was deleted on 20"):
        models.get(log, "m")
    assert models.history(log, "m", 3)[0][0].kind == "delete"
    assert models.restore(log, "m", ANN).number(None) == 1
    assert models.restore(log, "m", ANN).revision == 4


def test_a_name_used_again_starts_a_new_life_and_numbers_go_on(log: Log) -> None:
    push(log, "m", 2)
    models.edit(log, "m", ANN, tags=["old"])
    models.delete(log, "m", ANN)
    assert versions.register(log, "m", a_version("upload-new"), ANN).version == 3
    head = models.get(log, "m")
    assert (head.number(PRODUCTION), sorted(head.versions), head.tags) == (3, [3], None)
    with pytest.raises(NotFound, match=r"no version 2: it has \[3\]"):
        head.number("2")
    # an event that is delivered late does not bring a version of the earlier life back
    assert versions.register(log, "m", a_version("upload-000001"), ANN).version == 1
    assert models.get(log, "m").latest == 3
    assert len(models.history(log, "m", head.revision)[0]) == 5


def test_history_pages(log: Log) -> None:
    push(log, "m", 5)
    first, before = models.history(log, "m", 5, limit=2)
    second, before = models.history(log, "m", 5, limit=2, before=before)
    third, end = models.history(log, "m", 5, limit=2, before=before)
    assert [r.revision for r in first + second + third] == [5, 4, 3, 2, 1]
    assert end is None
    log.store.put(keys.log_record("m", 3), b"{]")
    log.store.delete(keys.log_record("m", 4))
    assert [r.revision for r in models.history(log, "m", 5)[0]] == [5, 2, 1]


@pytest.fixture(params=["marks", "index", "lost index", "damaged index", "stale index"])
def indexed(request: pytest.FixtureRequest, log: Log) -> Log:
    """The same models, however much of them the index knows."""
    push(log, "alpha", tags=["shop"])
    push(log, "gone")
    push(log, "alpha-2", 2, task="image-classification")
    if request.param == "stale index":
        catalog.compact(log)
    push(log, "beta")
    models.edit(log, "beta", ANN, tags=["shop", "new"])
    push(log, "gamma")
    models.delete(log, "gone", ANN)
    log.store.put(keys.upload_state("only-rejected", "upload-123"), b"{}")
    if request.param != "marks":
        catalog.compact(log)
    if request.param == "lost index":
        log.store.delete(keys.CATALOG)
    if request.param == "damaged index":
        log.store.put(keys.CATALOG, b"{]")
    return log


def test_the_catalog_pages_searches_and_respects_scopes(indexed: Log) -> None:
    first, following = catalog.page(indexed, limit=3)
    assert [one.name for one in first] == ["alpha", "alpha-2", "beta"]
    rest, end = catalog.page(indexed, limit=3, after=following)
    assert ([one.name for one in rest], end) == (["gamma"], None)

    def names(**wanted: object) -> list[str]:
        return [one.name for one in catalog.page(indexed, **wanted)[0]]

    assert names(search="ALPHA") == ["alpha", "alpha-2"]
    assert names(task="image-classification") == ["alpha-2"]
    assert names(tag="shop") == ["alpha", "beta"]
    assert names(tag="shop", search="b") == ["beta"]
    assert names(permitted=lambda model: model.startswith("b")) == ["beta"]
    assert catalog.list_models(indexed)["alpha-2"].ready == [(1, 2)]


def test_marks_go_when_the_index_covers_them(log: Log) -> None:
    for name in ("a", "b", "c"):
        push(log, name, 3)
    log.store.put(keys.changed("a", 4), b"")  # a writer who is about to commit, or never will
    catalog.compact(log)
    assert [info.key for info in list_all(log.store, keys.CHANGED)] == [keys.changed("a", 4)]
    push(log, "a")
    assert catalog.list_models(log)["a"].latest == 4
    catalog.compact(log)
    assert not list(list_all(log.store, keys.CHANGED))


def test_what_somebody_else_left_in_the_bucket_stops_nothing(log: Log) -> None:
    push(log, "m")
    for key in ("models/a b/note.txt", "catalogue/changed/oops", "catalogue/changed/m/x", "catalogue/changed/../1"):
        log.store.put(key, b"hello")
    log.store.put(keys.head("deep"), b'{"a":' + b"[" * 100_000)
    log.store.put(keys.log_record("deep", 1), b'{"a":' + b"[" * 100_000)
    assert list(catalog.list_models(log)) == ["m"]
    catalog.compact(log)
    assert list(catalog.list_models(log)) == ["m"]
    with pytest.raises(Unavailable, match="damaged"):
        models.get(log, "deep")


def test_one_damaged_model_does_not_take_the_catalog_away(log: Log) -> None:
    push(log, "bad")
    push(log, "good")
    log.store.put(keys.log_record("bad", 1), b"{]")
    log.store.delete(keys.head("bad"))
    assert list(catalog.list_models(log)) == ["good"]


def test_blobs_are_verified_on_read_and_mended_on_write(log: Log) -> None:
    digest = blobs.write(log.store, b"weights")
    assert blobs.write(log.store, b"weights") == digest
    assert blobs.read(log.store, digest) == b"weights"
    log.store.put(keys.blob(digest), b"weightz")
    with pytest.raises(Unavailable, match="corrupt"):
        blobs.read(log.store, digest)
    log.store.put(keys.blob(digest), b"cut")
    assert blobs.write(log.store, b"weights") == digest
    assert blobs.read(log.store, digest) == b"weights"
    with pytest.raises(Unavailable, match="missing"):
        blobs.read(log.store, "0" * 64)


def test_only_what_is_old_and_unnamed_is_collected(log: Log) -> None:
    push(log, "m", licence="MIT")
    push(log, "doomed", licence="GPL")
    orphan = blobs.write(log.store, b"never registered")
    assert collect.collect(log).deleted == []
    assert collect.collect(log, now=YEARS).deleted == [orphan]
    models.delete(log, "doomed", ANN)
    doomed = log.read("doomed").versions[1].manifest
    assert collect.collect(log, grace_seconds=1e12, now=YEARS).deleted == []
    report = collect.collect(log, now=YEARS)
    assert (report.deleted, report.kept) == ([doomed], 2)
    assert models.manifest(log, models.get(log, "m").versions[1]).licence == "MIT"
    with pytest.raises(Exception, match="blobs were removed"):
        models.restore(log, "doomed", ANN)


def test_an_old_blob_that_is_written_again_is_not_collected(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = blobs.write(log.store, b"left by a crash, long ago")
    head = log.store.head

    def written_in_between(key: str):
        found = head(key)
        log.store.put(key, b"left by a crash, long ago")
        return found

    monkeypatch.setattr(log.store, "head", written_in_between)
    collect.collect(log, now=YEARS)
    monkeypatch.undo()
    assert blobs.read(log.store, digest)


def test_without_versions_nothing_is_collected(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = blobs.write(log.store, b"orphan")
    head = log.store.head
    monkeypatch.setattr(log.store, "head", lambda key: msgspec.structs.replace(head(key), version=None))
    assert collect.collect(log, now=YEARS).deleted == []
    assert blobs.read(log.store, digest)


def test_blobs_that_lie_there_for_long_are_written_anew(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = blobs.write(log.store, b"x")
    before = log.store.head(keys.blob(digest)).version
    blobs.write(log.store, b"x")
    assert log.store.head(keys.blob(digest)).version == before
    monkeypatch.setattr("shared.registry.blobs.time.time", lambda: YEARS)
    blobs.write(log.store, b"x")
    assert log.store.head(keys.blob(digest)).version != before


def test_differences_between_two_versions() -> None:
    old = Manifest(
        inputs=[Tensor("x", "FP32", [-1, 4])], metrics={"accuracy": 0.9, "note": "a"}, gate={"nodes": 10}, labels=["a"]
    )
    new = msgspec.structs.replace(
        old,
        inputs=[Tensor("x", "FP32", [-1, 8])],
        metrics={"accuracy": 0.92, "f1": 0.8},
        gate={"nodes": 12},
        preprocess=Image(size=[28, 28]),
    )
    two = msgspec.structs.replace(a_version("u2"), version=2, model="3" * 64, size=20)
    found = diff.diff(msgspec.structs.replace(a_version("u1"), version=1), old, two, new)
    assert (found["from"], found["to"]) == (1, 2)
    assert found["metrics"] == [
        {"path": "accuracy", "from": 0.9, "to": 0.92, "change": 0.02},
        {"path": "f1", "from": None, "to": 0.8},
        {"path": "note", "from": "a", "to": None},
    ]
    assert {row["path"] for row in found["graph"]} == {"gate.nodes", "graph.bytes", "graph.digest", "inputs.x"}
    assert {"path": "preprocess.size", "from": None, "to": [28, 28]} in found["manifest"]


def test_versions_with_the_same_graph_and_other_weights_differ() -> None:
    manifest = Manifest(inputs=[Tensor("x", "FP32", [-1, 4])])
    old = msgspec.structs.replace(a_version("u1"), version=1, files={"weights": "1" * 64, "tokenizer.json": "2" * 64})
    new = msgspec.structs.replace(old, version=2, files={**old.files, "weights": "3" * 64})
    assert diff.diff(old, manifest, new, manifest)["graph"] == [
        {"path": "files.weights", "from": "1" * 64, "to": "3" * 64}
    ]
    assert contents.digest(old) != contents.digest(new) != new.model
    alone = msgspec.structs.replace(old, files={})
    assert contents.digest(alone) == alone.model
