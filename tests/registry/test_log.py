"""The log itself: chained records, a head that is only a cache, races, repeated requests, archived segments."""

from __future__ import annotations

import threading

import msgspec
import pytest

from shared import keys
from shared.errors import BadInput, Conflict, NotFound, Unavailable
from shared.registry import aliases, heads, models, verify, versions
from shared.registry import log as logs
from shared.registry.fold import SEGMENT, Broken
from shared.registry.heads import SNAPSHOT
from shared.registry.log import Log
from shared.registry.state import Change, Record, Target
from shared.storage.base import list_all
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, a_version, push


def test_records_are_chained_and_say_who_when_and_why(log: Log) -> None:
    push(log, "m", 2)
    aliases.move(log, "m", "production", Target(version=2), Change(by="bob", name="bob's laptop", reason="better"))
    bodies = [log.store.get(keys.log_record("m", n)).body for n in (1, 2, 3)]
    records = [logs.decode(body) for body in bodies]
    assert [r.previous for r in records] == ["", logs.digest(bodies[0]), logs.digest(bodies[1])]
    assert (records[2].by, records[2].name, records[2].reason) == ("bob", "bob's laptop", "better")
    assert records[2].at.endswith("Z")
    assert len({record.write_id for record in records}) == 3


@pytest.mark.parametrize("damage", ["missing", "stale", "garbage", "other model's"])
def test_the_head_is_only_a_cache(log: Log, damage: str) -> None:
    push(log, "m")
    early = log.store.get(keys.head("m")).body
    push(log, "m", 14)
    push(log, "other", 3)
    other = log.store.get(keys.head("other")).body
    log.store.delete(keys.head("m"))
    if damage != "missing":
        log.store.put(keys.head("m"), {"stale": early, "garbage": b"{]", "other model's": other}[damage])
    assert models.get(log, "m").latest == 15
    push(log, "m")
    assert models.get(log, "m").latest == 16
    assert log.store.get(keys.head("m")).body != early


def test_a_head_that_is_behind_does_not_overwrite_a_newer_one(log: Log) -> None:
    """A writer that was paused between its record and the head: the newer head spares readers the walk."""
    push(log, "m")
    stored = log.store.get(keys.head("m"))
    early = models.get(log, "m")
    push(log, "m", 3)
    newer = log.store.get(keys.head("m")).body
    record = log.store.get(keys.log_record("m", early.revision)).body
    heads.save(log.store, early, record, stored.etag, log.trusted)
    assert log.store.get(keys.head("m")).body == newer


def test_a_head_that_contradicts_the_log_is_not_believed(log: Log) -> None:
    push(log, "m", 3)
    forged = msgspec.json.decode(log.store.get(keys.head("m")).body)
    forged["record"]["by"] = "eve"
    push(log, "m")
    log.store.put(keys.head("m"), msgspec.json.encode(forged))
    assert models.get(log, "m").latest == 4


def test_a_damaged_record_stops_everything_and_says_so(log: Log) -> None:
    push(log, "m", 3)
    log.store.put(keys.log_record("m", 2), b"{]")
    log.store.delete(keys.head("m"))
    with pytest.raises(Broken, match="record 2 of model 'm' is damaged"):
        models.get(log, "m")
    log.store.put(keys.log_record("m", 2), log.store.get(keys.log_record("m", 1)).body)
    with pytest.raises(Broken, match="amaas verify m"):
        models.get(log, "m")


def test_many_writers_lose_nothing(log: Log) -> None:
    def work(writer: int) -> None:
        for n in range(5):
            versions.register(log, "m", a_version(f"upload-{writer}-{n}"), Change(by=str(writer)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    head = models.get(log, "m")
    assert sorted(head.versions) == list(range(1, 31))
    assert head.revision == 30
    assert len({v.upload for v in head.versions.values()}) == 30


def test_a_writer_that_loses_every_race_is_told_to_try_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.registry.log.time.sleep", lambda _: None)

    def overtaken(head):
        number = head.revision + 1
        faster = Record(kind="edit", by="fast", revision=number, previous=head.digest, tags=["x"])
        log.store.put(keys.log_record("m", number), msgspec.json.encode(faster))
        return Record(kind="edit", by="slow", tags=["y"])

    with pytest.raises(Unavailable, match="try again"):
        log.append("m", overtaken, ANN)


def test_expected_revision(log: Log) -> None:
    push(log, "m", 2)
    with pytest.raises(Conflict, match=r"at revision 2, not 7: its aliases are now \{'production': '1'\}"):
        aliases.move(log, "m", "canary", Target(version=1), Change(by="ann", expect_revision=7))
    assert aliases.move(log, "m", "canary", Target(version=1), Change(by="ann", expect_revision=2)).revision == 3


def test_a_repeated_request_is_carried_out_once(log: Log) -> None:
    push(log, "m", 2)
    change = Change(by="ann", request_id="r-1", expect_revision=2)
    first = aliases.move(log, "m", "production", Target(version=2), change)
    aliases.move(log, "m", "production", Target(version=1), ANN)
    again = aliases.move(log, "m", "production", Target(version=2), change)
    assert again == first  # the state that the first call made, not the present one
    assert log.read("m").aliases["production"].version == 1


def test_a_repeated_request_finds_the_state_after_its_record_from_the_snapshot_before(log: Log) -> None:
    states = {}
    for number in range(1, 2 * SNAPSHOT + 10):
        change = Change(by="ann", request_id=f"r-{number}")
        push(log, "m") if number == 1 else models.edit(log, "m", change, tags=[str(number)])
        states[number] = log.read("m")
    for number in (2, SNAPSHOT - 1, SNAPSHOT, SNAPSHOT + 1, 2 * SNAPSHOT, 2 * SNAPSHOT + 9):
        again = models.edit(log, "m", Change(by="ann", request_id=f"r-{number}"), tags=["other"])
        assert again == states[number]
    assert log.read("m").revision == 2 * SNAPSHOT + 9


def test_of_a_long_log_the_newest_records_are_walked(log: Log) -> None:
    push(log, "m", SNAPSHOT + 20)
    report = verify.verify(log, "m", most=100)
    assert (report.verified, report.revision, report.since) == (None, SNAPSHOT + 20, SNAPSHOT)
    log.store.delete(keys.log_record("m", SNAPSHOT + 2))
    assert [p.revision for p in verify.verify(log, "m", most=100).problems][:1] == [SNAPSHOT + 2]
    assert verify.verify(log, "m").since == 0


def test_a_lost_reply_is_settled_by_sending_the_same_record_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.registry.log.time.sleep", lambda _: None)
    push(log, "m")
    put, lost = log.store.put, []

    def losing(key: str, body: bytes, **args: object) -> str:
        etag = put(key, body, **args)
        if "/log/" in key and len(lost) < 2:
            lost.append(key)
            raise Unavailable("the reply was lost")
        return etag

    monkeypatch.setattr(log.store, "put", losing)
    push(log, "m")
    assert len(lost) == 2
    assert models.get(log, "m").revision == 2
    lost.clear()
    monkeypatch.setattr("shared.registry.log.SEND_ATTEMPTS", 2)
    with pytest.raises(Unavailable, match="did not confirm whether revision 3"):
        versions.register(log, "m", a_version("upload-3"), ANN)
    assert versions.register(log, "m", a_version("upload-3"), ANN).version == 3
    assert models.get(log, "m").revision == 3


def test_a_reference_is_told_how_to_be_asked_for(log: Log) -> None:
    with pytest.raises(BadInput, match=r"over HTTP that is /models/m/versions/production$"):
        keys.model_name("m@production")


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a..b", ".hidden", "x" * 101, "a b", "é"])
def test_bad_model_names(log: Log, name: str) -> None:
    with pytest.raises(BadInput):
        versions.register(log, name, a_version("upload-1"), ANN)
    assert not log.store.list_page("").objects


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    def get(self, key: str, **args):
        self.asked.append(("GET", key))
        return super().get(key, **args)

    def put(self, key: str, body: bytes, **args):
        self.asked.append(("PUT", key))
        return super().put(key, body, **args)

    def list_page(self, prefix: str, **args):
        self.asked.append(("LIST", prefix))
        return super().list_page(prefix, **args)


def test_requests_do_not_grow_with_the_log() -> None:
    log = Log(Counting())
    push(log, "m", 600)
    log.store.asked.clear()
    head = log.read("m")
    assert log.store.asked == [("GET", keys.head("m")), ("GET", keys.log_record("m", 601))]
    assert log.refresh(head) is head
    assert log.store.asked[2:] == [("GET", keys.log_record("m", 601))]
    log.store.asked.clear()
    aliases.move(log, "m", "production", Target(version=600), ANN)
    assert [how for how, _ in log.store.asked] == ["GET", "GET", "PUT", "PUT", "PUT"]


def test_old_versions_are_archived_and_found_again() -> None:
    log = Log(Counting())
    push(log, "m", 3 * SEGMENT + 7)
    head = log.read("m")
    assert [(s.first, s.last) for s in head.archived] == [(1, SEGMENT), (SEGMENT + 1, 2 * SEGMENT)]
    assert sorted(head.versions) == [1, *range(2 * SEGMENT + 1, 3 * SEGMENT + 8)]  # production still names version 1
    assert versions.get(log, head, 2).upload == "upload-000002"
    assert versions.get(log, head, SEGMENT + 1).version == SEGMENT + 1
    log.store.asked.clear()
    assert versions.get(log, head, 3).version == 3
    assert log.store.asked == []  # a segment that was read is kept
    page, before = versions.page(log, head, limit=SEGMENT)
    assert [v.version for v in page] == list(range(3 * SEGMENT + 7, 2 * SEGMENT + 7, -1))
    assert versions.page(log, head, before=before, limit=1)[0][0].version == 2 * SEGMENT + 7
    moved = aliases.move(log, "m", "production", Target(version=SEGMENT), ANN)
    assert moved.versions[SEGMENT].upload == f"upload-{SEGMENT:06d}"
    assert 1 not in moved.versions
    back = aliases.rollback(log, "m", "production", ANN)
    assert back.versions[1].upload == "upload-000001"
    log.store.delete(keys.head("m"))
    assert log.read("m") == back


def test_an_upload_whose_version_is_archived_is_still_known() -> None:
    log = Log(Counting())
    push(log, "m", 2 * SEGMENT)
    assert log.read("m").archived
    assert versions.register(log, "m", a_version("upload-000003"), ANN).version == 3
    assert log.read("m").latest == 2 * SEGMENT


def test_a_fresh_upload_asks_for_no_segment() -> None:
    log = Log(Counting())
    push(log, "m", 2 * SEGMENT)
    fresh = Log(log.store)
    log.store.asked.clear()
    opened = int((logs.time.time() + 2 * versions.SKEW) * 1000)
    assert versions.of_upload(fresh, fresh.read("m"), f"{opened:011x}-0011") is None
    with_old = [key for how, key in log.store.asked if key.startswith(keys.BLOBS)]
    assert with_old == [keys.blob(fresh.read("m").archived[0].digest)]  # within an hour: looked at, to be sure
    segment = msgspec.structs.replace(fresh.read("m").archived[0], until="2020-01-01T00:00:00.000Z")
    old = msgspec.structs.replace(fresh.read("m"), archived=[segment])
    fresh = Log(log.store)
    log.store.asked.clear()
    assert versions.of_upload(fresh, old, f"{opened:011x}-0011") is None
    assert log.store.asked == []


@pytest.mark.parametrize("damage", ["no snapshot", "good", "damaged", "damaged, and an older one"])
def test_a_lost_head_is_folded_from_the_last_good_snapshot(damage: str) -> None:
    log = Log(Counting())
    push(log, "m", 2 * SNAPSHOT + 5)
    head = log.read("m")
    assert [info.key for info in list_all(log.store, keys.snapshots("m"))] == [
        keys.snapshot("m", SNAPSHOT),
        keys.snapshot("m", 2 * SNAPSHOT),
    ]
    log.store.delete(keys.head("m"))
    if damage.startswith("damaged"):
        log.store.put(keys.snapshot("m", 2 * SNAPSHOT), b"{]")
    if damage in ("no snapshot", "damaged"):
        log.store.delete(keys.snapshot("m", SNAPSHOT))
    if damage == "no snapshot":
        log.store.delete(keys.snapshot("m", 2 * SNAPSHOT))
    log.store.asked.clear()
    assert log.read("m") == head
    records = sum(key.startswith(keys.log("m")) and how == "GET" for how, key in log.store.asked)
    folded = {"good": 5, "damaged, and an older one": SNAPSHOT + 5}.get(damage, 2 * SNAPSHOT + 5)
    assert folded <= records <= folded + 1


def test_nothing_of_the_log_is_ever_written_twice(log: Log) -> None:
    push(log, "m", 2)
    versions_before = {info.key: info.etag for info in list_all(log.store, keys.log("m"))}
    aliases.move(log, "m", "production", Target(version=2), ANN)
    after = {info.key: info.etag for info in list_all(log.store, keys.log("m"))}
    assert versions_before.items() < after.items()


def test_unknown_models_are_not_found(log: Log) -> None:
    with pytest.raises(NotFound, match="GET /models"):
        models.get(log, "nobody")
