"""Readers and the verification, if somebody who can write to the bucket changes its objects.

Beyond test_tampering.py: a log of 24 records of every kind, readers that trust keys, cached heads and snapshots changed
in each of their bytes, records inserted, exchanged and replayed everywhere. What cannot be detected from inside is a
test, too, and so is what detects it.
"""

from __future__ import annotations

import functools
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry import aliases, catalog, heads, models, verify, versions
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Head, Record
from shared.signing import p256
from shared.signing.local import LocalKey
from shared.storage.base import Object, Store
from shared.storage.memory import MemoryStore
from tests.proofs.forgery import ANN, BITS, LAST, anchored, at, blamed, body, filled, flips, refused
from tests.proofs.stores import copy_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each signature is worked out once, and records are read one after the other: thousands of logs are looked at."""
    monkeypatch.setattr(p256, "verify", functools.cache(p256.verify))

    def one_by_one(store: Store, names: list[str], *, missing: bytes | None = None) -> list[Object]:
        return [store.get(key) for key in names]

    for module in (logs, verify):
        monkeypatch.setattr(module, "get_many", one_by_one)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    return LocalKey.create(tmp_path_factory.mktemp("key") / "key.pem")


@pytest.fixture(scope="module")
def stores(key: LocalKey) -> dict[str, MemoryStore]:
    signed, unsigned = MemoryStore(), MemoryStore()
    filled(Log(signed, signer=key, trusted=[key.public]))
    filled(Log(unsigned))
    return {"signed": signed, "unsigned": unsigned}


@pytest.fixture(params=["signed", "unsigned"])
def log(request: pytest.FixtureRequest, stores: dict[str, MemoryStore], key: LocalKey) -> Log:
    return Log(copy_of(stores[request.param]), trusted=[key.public] if request.param == "signed" else [])


@pytest.fixture
def signed(stores: dict[str, MemoryStore], key: LocalKey) -> Log:
    return Log(copy_of(stores["signed"]), trusted=[key.public])


# ---- nothing was changed


def test_an_untouched_log_is_believed(log: Log) -> None:
    report = verify.verify(log, "m")
    assert (report.verified, report.revision, report.problems) == (True, LAST, [])
    records = log.records("m", LAST, 1)
    assert len({record.kind for record in records}) == 13
    assert anchored(log, report)


# ---- one byte


# with signatures each look takes eight times as long
@pytest.mark.parametrize(
    ("log", "every"),
    [("unsigned", 1), ("signed", 4), pytest.param("signed", 1, marks=pytest.mark.soak)],
    indirect=["log"],
)
def test_every_byte_of_a_record_is_watched(log: Log, every: int) -> None:
    for revision in range(LAST, 0, -every):
        for flip in flips(log, at(revision), BITS[:1]):
            assert blamed(log)[:1] in ([revision], [revision + 1]), flip
    assert blamed(log) == []


def test_no_byte_of_a_record_can_be_changed_for_a_reader_who_trusts_a_key(signed: Log) -> None:
    signed.store.delete(keys.head("m"))
    for revision in (1, 10, 14, LAST):
        for flip in flips(signed, at(revision)):
            assert refused(signed), flip
    assert not refused(signed)


def test_no_byte_of_a_cached_head_changes_what_is_read(signed: Log) -> None:
    """Digest included: the next record that is written would not follow the log."""
    expected = signed.read("m")
    for flip in flips(signed, keys.head("m")):
        assert signed.read("m") == expected, flip


def test_no_byte_of_a_snapshot_changes_what_is_read(
    signed: Log, key: LocalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "SNAPSHOT", LAST + 1)
    models.edit(Log(signed.store, signer=key, trusted=signed.trusted), "m", ANN, tags=["b"])
    expected = signed.read("m")
    signed.store.delete(keys.head("m"))
    for flip in flips(signed, keys.snapshot("m", LAST + 1), BITS[:1]):
        assert signed.read("m") == expected, flip


def test_where_no_key_is_trusted_the_verification_watches_the_cached_head(log: Log) -> None:
    unsigned = Log(log.store)
    expected = unsigned.read("m")
    for flip in flips(unsigned, keys.head("m"), BITS[:1]):
        assert unsigned.read("m") == expected or not verify.verify(unsigned, "m").verified, flip


# ---- whole records


@pytest.mark.parametrize("revision", range(1, LAST + 1))
def test_a_dropped_record_is_named(log: Log, revision: int) -> None:
    log.store.delete(at(revision))
    assert blamed(log)[0] == revision
    log.store.delete(keys.head("m"))
    if log.trusted and revision < LAST:
        # what is left up to the gap is a true state of the past: see the tests on rolling back below
        assert refused(log) or log.read("m").revision == revision - 1


def test_any_two_swapped_records_are_named(log: Log) -> None:
    for one, two in combinations(range(1, LAST + 1), 2):
        first, second = body(log, one), body(log, two)
        log.store.put(at(one), second)
        log.store.put(at(two), first)
        assert {one, two} <= set(blamed(log)), (one, two)
        if log.trusted:
            head = log.store.get(keys.head("m")).body
            log.store.delete(keys.head("m"))
            assert refused(log), (one, two)
            log.store.put(keys.head("m"), head)
        log.store.put(at(one), first)
        log.store.put(at(two), second)
    assert blamed(log) == []


def test_a_record_put_in_anywhere_is_named(log: Log) -> None:
    bodies = [body(log, revision) for revision in range(1, LAST + 1)]
    for place in range(1, LAST + 1):
        previous = logs.digest(bodies[place - 2]) if place > 1 else ""
        forged = Record(kind="edit", by="mallory", revision=place, previous=previous, tags=["forged"])
        for revision, content in enumerate(
            [*bodies[: place - 1], msgspec.json.encode(forged), *bodies[place - 1 :]], 1
        ):
            log.store.put(at(revision), content)
        assert blamed(log)[0] in (place, place + 1), place
        if log.trusted:
            assert refused(log) or log.read("m").tags != ["forged"]


@pytest.mark.parametrize(
    "where", ["another model's, in its place", "another model's, as the next", "an earlier one again"]
)
def test_replayed_records_are_named_and_not_believed(log: Log, where: str) -> None:
    for revision in range(1, LAST + 1):
        place = revision if where.endswith("place") else LAST + 1
        theirs = body(log, revision) if where.startswith("an earlier") else None
        theirs = theirs or log.store.get(keys.log_record("other", revision)).body
        twin = Log(copy_of(log.store), trusted=log.trusted)
        twin.store.put(at(place), theirs)
        assert blamed(twin)[0] in (place, place + 1), revision
        if place > LAST:
            assert refused(twin), revision


def test_what_another_key_signs_is_not_believed(signed: Log, tmp_path: Path) -> None:
    mallory = LocalKey.create(tmp_path / "mallory.pem")
    intruder = Log(signed.store, signer=mallory, trusted=[*signed.trusted, mallory.public])
    for number in range(3):
        models.edit(intruder, "m", ANN, tags=[f"t{number}"])
    assert refused(signed)
    assert blamed(signed) == [LAST + 1, LAST + 2, LAST + 3]
    signed.store.delete(keys.head("m"))
    assert refused(signed)


def test_an_honest_record_does_not_launder_a_forged_one(signed: Log, key: LocalKey) -> None:
    """The deployment refuses to write on top of what it does not believe, and so never vouches for it."""
    aliases.rollback(Log(signed.store), "m", "production", ANN)
    honest = Log(signed.store, signer=key, trusted=signed.trusted)
    with pytest.raises(Unavailable, match="not to be trusted"):
        aliases.rollback(honest, "m", "production", ANN)
    assert verify.verify(signed, "m").revision == LAST + 1


# ---- the end


@pytest.mark.parametrize("cut", [1, 2, 10, LAST])
def test_a_tail_cut_off_with_its_head_left_is_named_and_the_state_is_kept(log: Log, cut: int) -> None:
    expected = log.read("m")
    for revision in range(LAST - cut + 1, LAST + 1):
        log.store.delete(at(revision))
    assert blamed(log) == list(range(LAST - cut + 1, LAST + 1))
    assert log.read("m") == expected


@pytest.mark.parametrize("left", ["no head", "the head of then"])
def test_what_cannot_be_found_from_inside_and_what_finds_it(log: Log, left: str, key: LocalKey) -> None:
    """Log and head both rolled back are a log that never went further: signed, chained, and out of date.

    Only what was kept outside tells them apart: the revision and the digest of an earlier verification (`amaas verify`
    prints them, each transition leaves them in the function's log), or the bucket's own versions of deleted objects.
    """
    past = copy_of(log.store)
    writer = Log(log.store, signer=key if log.trusted else None, trusted=log.trusted)
    for number in (6, 7):
        versions.retire(writer, "m", number, ANN)
    earlier = verify.verify(log, "m")
    log.store._objects = past._objects
    if left == "no head":
        log.store.delete(keys.head("m"))
    rolled_back = verify.verify(log, "m")
    assert (rolled_back.verified, rolled_back.revision) == (True, LAST)
    assert log.read("m").retired == {}
    assert not anchored(log, earlier)
    assert anchored(log, rolled_back)


def test_an_anchor_finds_another_history_of_the_same_length(log: Log) -> None:
    """Where no key is trusted, a log can be written anew as a whole; it does not have the digest that was kept."""
    earlier = verify.verify(log, "m")
    anew = Log(MemoryStore())
    filled(anew)
    assert verify.verify(anew, "m").verified
    assert (anew.read("m").revision, anchored(anew, earlier)) == (earlier.revision, False)


# ---- what a control must find


def unchained(head: Head, record: Record, digest: str, fold: Any = logs.fold) -> Head:
    return fold(msgspec.structs.replace(head, digest=record.previous), record, digest)


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("shared.registry.log.fold", unchained),
        ("shared.registry.signatures.record_problem", lambda record, model, trusted: None),
    ],
)
def test_negative_controls_a_gullible_reader_is_found_out(
    signed: Log, what: str, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what, instead)
    with pytest.raises(AssertionError):
        test_no_byte_of_a_record_can_be_changed_for_a_reader_who_trusts_a_key(signed)


def test_a_damaged_model_takes_no_other_one_away(log: Log) -> None:
    for broken in (b"{]", b"", b"\xff", b"[" * 100_000, b'{"kind":"edit","by":' + b"[" * 100_000):
        log.store.put(at(LAST), broken)
        log.store.put(keys.head("m"), broken)
        assert refused(log)
        assert "other" in catalog.list_models(log)
        assert blamed(log)[0] == LAST
