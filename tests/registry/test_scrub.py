"""The scrubber: all is read again in rounds, over as many runs as it takes, and what is damaged or gone is named."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from functions.scrub import app as scrub_app
from shared import keys
from shared.errors import Conflict
from shared.registry import aliases, blobs, catalog, scrub, verify, witness
from shared.registry.heads import SNAPSHOT
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from tests.failing import Call, FailingStore, Fault
from tests.registry.conftest import push

ANN = Change(by="ann")


class Ticks:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def world() -> Log:
    log = Log(FailingStore(MemoryStore()), on_commit=lambda log, head: None)
    for number in range(5):
        push(log, f"m{number}", number + 1)
        blobs.write(log.store, b"weights of %d" % number)
    log.store.calls.clear()  # type: ignore[attr-defined]
    return log


def whole_round(log: Log, seconds: float = 1e9) -> list[scrub.Report]:
    reports = []
    clock = Ticks()
    while not reports or not reports[-1].complete:
        reports.append(scrub.scrub(log, seconds, clock))
    return reports


def damages(log: Log) -> list[tuple[str | None, int | None, str | None]]:
    return [(d.model, d.revision, d.digest) for report in whole_round(log) for d in report.damages]


def read(log: Log, prefix: str) -> list[str]:
    assert isinstance(log.store, FailingStore)
    return [call.key for call in log.store.calls if call.operation == "get" and call.key.startswith(prefix)]


def test_a_round_reads_every_record_and_every_blob(world: Log) -> None:
    everything = {info.key for prefix in ("models/", "blobs/") for info in world.store.list_page(prefix).objects}
    [report] = whole_round(world)
    assert report.damages == []
    assert (report.records, report.blobs) == (15, len([key for key in everything if key.startswith("blobs/")]))
    assert {key for key in everything if "/log/" in key or key.startswith("blobs/")} <= {*read(world, "")}


def test_a_round_goes_on_where_the_last_run_stopped(world: Log) -> None:
    """Each run has time for one thing: no record is left out, and none read twice."""
    reports = whole_round(world, seconds=1.5)
    assert len(reports) > 5
    assert sum(report.records for report in reports) == 15
    assert len(read(world, keys.log("m4"))) == 5
    assert sum(report.blobs for report in reports) == len(world.store.list_page(keys.BLOBS).objects)
    assert [report.complete for report in reports] == [False] * (len(reports) - 1) + [True]
    first, second = reports[-1].read_since, whole_round(world)[-1].read_since
    assert first > 1000
    assert second > 1000


def test_a_blob_that_rots_is_found(world: Log) -> None:
    digest = blobs.write(world.store, b"to rot")
    whole_round(world)
    assert damages(world) == []
    world.store.put(keys.blob(digest), b"to Rot")
    assert damages(world) == [(None, None, digest)]
    world.store.put(keys.blob(digest), b"")
    assert damages(world) == [(None, None, digest)]


@pytest.mark.parametrize("revision", [1, 3, 5])
def test_a_record_that_is_removed_or_changed_is_found(world: Log, revision: int) -> None:
    whole_round(world)
    key = keys.log_record("m4", revision)
    body = world.store.get(key).body
    world.store.put(key, body.replace(b'"ann"', b'"bob"', 1))
    assert ("m4", revision) in {(model, number) for model, number, _ in damages(world)} or (
        "m4", revision + 1) in {(model, number) for model, number, _ in damages(world)}  # fmt: skip
    world.store.delete(key)
    assert ("m4", revision) in {(model, number) for model, number, _ in damages(world)}
    world.store.put(key, body)
    assert damages(world) == []


def cut_off(log: Log, model: str) -> None:
    """What an attacker does who can write the bucket: the newest record goes, and the head before it comes back."""
    aliases.move(log, model, "canary", Target(version=1), ANN)
    head = log.store.get(keys.head(model)).body
    whole_round(log)
    before = log.read(model).revision
    aliases.move(log, model, "canary", Target(version=2), ANN)
    whole_round(log)
    log.store.put(keys.head(model), head)
    log.store.delete(keys.log_record(model, before + 1))
    assert log.read(model).revision == before  # the log is a valid one


def test_a_log_whose_end_was_cut_off_is_found(world: Log) -> None:
    cut_off(world, "m4")
    assert ("m4", 7, None) in damages(world)
    report = verify.verify(world, "m4")
    assert (report.verified, [p.revision for p in report.problems]) == (False, [7])
    assert "has seen that revision" in report.problems[0].what


def test_the_catalog_is_a_witness_too(world: Log) -> None:
    catalog.compact(world)
    world.store.delete(keys.log_record("m4", 5))
    world.store.delete(keys.head("m4"))
    assert verify.verify(world, "m4").verified is False


def test_a_log_that_is_gone_as_a_whole_is_found(world: Log) -> None:
    whole_round(world)
    for info in world.store.list_page("models/m2/").objects:
        world.store.delete(info.key)
    assert {model for model, _, _ in damages(world)} == {"m2"}
    assert verify.verify(world, "m2").verified is False


def test_a_log_that_was_written_anew_is_found() -> None:
    """Without a signing key, a whole log can be replaced by another one; not by one with the digest that was seen."""
    log = Log(MemoryStore())
    push(log, "m", 2)
    whole_round(log)
    other = Log(MemoryStore())
    push(other, "m", 3)
    for store in (log.store, other.store):
        for info in store.list_page("models/").objects:
            body = other.store.get(info.key).body if store is other.store else b""
            log.store.put(info.key, body) if body else log.store.delete(info.key)
    assert damages(log) == [("m", 2, None)]


def test_transitions_meanwhile_are_no_damage(world: Log) -> None:
    store = world.store
    assert isinstance(store, FailingStore)

    def plan(call: Call) -> Fault | None:
        if call.key.endswith("000000000002.json") and call.operation == "get":
            store.plan = lambda call: None
            push(Log(store.store), "m1")
            push(Log(store.store), "new")
            store.plan = plan
        return None

    store.plan = plan
    assert damages(world) == []


def test_what_the_store_does_not_give_is_no_damage(world: Log) -> None:
    store = world.store
    assert isinstance(store, FailingStore)
    store.plan = lambda call: Fault(before=Unavailable("away")) if call.key.startswith(keys.log("m3")) else None
    with pytest.raises(Unavailable):
        whole_round(world)
    state, _ = witness.read_state(store)
    assert (state.model, set(state.seen)) == ("m2", {"m0", "m1", "m2"})
    store.plan = lambda call: None
    assert damages(world) == []


def test_two_runs_at_once_do_not_count_twice(world: Log) -> None:
    store = world.store
    assert isinstance(store, FailingStore)

    def plan(call: Call) -> Fault | None:
        if call.operation == "get" and call.key == keys.log_record("m0", 1):
            store.plan = lambda call: None
            scrub.scrub(world, 0.5, Ticks())
        return None

    store.plan = plan
    with pytest.raises(Conflict, match="at the same time"):
        whole_round(world)


def test_the_function_says_what_it_saw(
    world: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    digest = blobs.write(world.store, b"to rot")
    world.store.put(keys.blob(digest), b"rotten")
    monkeypatch.setattr(scrub_app, "log", lambda: world)
    answer = scrub_app.handler({}, None)
    assert (answer["complete"], answer["damaged"], answer["records"]) == (True, 1, 15)
    out = capsys.readouterr().out
    assert '"ScrubFailed":1' in out
    assert '"ScrubAge":' in out
    [line] = [record for record in caplog.records if record.getMessage() == "damaged"]
    assert line.digest == digest


# ---- verification in parts


def parts(log: Log, model: str, most: int) -> Iterator[verify.Report]:
    until = None
    while True:
        report = verify.verify(log, model, most, until)
        yield report
        until = report.before
        if until is None:
            return


@pytest.fixture(scope="module")
def long_log() -> Log:
    log = Log(MemoryStore())
    push(log, "m", 3 * SNAPSHOT + 20)
    return log


@pytest.fixture
def long(long_log: Log) -> Log:
    from tests.proofs.stores import copy_of

    return Log(copy_of(long_log.store))


def test_a_long_log_is_not_verified_before_its_first_record_is(long: Log) -> None:
    reports = list(parts(long, "m", 300))
    assert [report.verified for report in reports] == [None, None, True]
    assert [report.revision for report in reports] == [788, 512, 256]
    assert [report.since for report in reports] == [512, 256, 0]


@pytest.mark.parametrize("revision", [1, 200, 256, 257, 500, 512, 700, 768, 769, 780])
def test_what_is_wrong_anywhere_is_found_in_some_part(long: Log, revision: int) -> None:
    key = keys.log_record("m", revision)
    long.store.put(key, long.store.get(key).body.replace(b'"by":"ann"', b'"by":"eve"'))
    reports = list(parts(long, "m", 300))
    assert False in [report.verified for report in reports]
    assert True not in [report.verified for report in reports][:-1]
    assert {p.revision for report in reports for p in report.problems} & {revision, revision + 1}


def test_a_snapshot_of_another_history_does_not_join_the_parts(long: Log) -> None:
    other = Log(MemoryStore())
    push(other, "m", SNAPSHOT)
    long.store.put(keys.snapshot("m", SNAPSHOT), other.store.get(keys.snapshot("m", SNAPSHOT)).body)
    assert False in [report.verified for report in parts(long, "m", 300)]


@pytest.mark.parametrize("revision", [1, SNAPSHOT, 300, 10**9])
def test_a_part_that_ends_elsewhere_than_it_should_is_not_verified(long: Log, revision: int) -> None:
    """What a caller gives as the position of the part before is held against the record."""
    assert verify.verify(long, "m", 300, verify.Position(revision, "0" * 64)).verified is False
