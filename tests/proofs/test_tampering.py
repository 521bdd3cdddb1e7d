"""Whatever is changed in a log is noticed, and named by its revision; what cannot be noticed from inside is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry import aliases, verify
from shared.registry.log import Log
from shared.registry.state import Target
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push


@pytest.fixture(params=["signed", "unsigned"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    key = LocalKey.create(tmp_path / "key.pem")
    signed = {"signer": key, "trusted": [key.public]} if request.param == "signed" else {}
    log = Log(MemoryStore(), **signed)
    push(log, "m", 3)
    aliases.move(log, "m", "production", Target.of({2: 90, 3: 10}), ANN)
    aliases.rollback(log, "m", "production", ANN)
    push(log, "other", 5)
    return log


def at(log: Log, revision: int) -> str:
    return keys.log_record("m", revision)


def blamed(log: Log) -> list[int]:
    return [problem.revision for problem in verify.verify(log, "m").problems]


def test_an_untouched_log_is_not_blamed(log: Log) -> None:
    report = verify.verify(log, "m")
    assert (report.verified, report.revision, report.problems) == (True, 5, [])


def test_every_byte_of_every_record(log: Log) -> None:
    for revision in range(1, 6):
        body = log.store.get(at(log, revision)).body
        for place in range(len(body)):
            changed = bytearray(body)
            changed[place] ^= 1 << place % 8
            log.store.put(at(log, revision), bytes(changed))
            found = blamed(log)
            assert found, f"byte {place} of record {revision}"
            assert found[0] in (revision, revision + 1)
        log.store.put(at(log, revision), body)
    assert blamed(log) == []


@pytest.mark.parametrize("revision", range(1, 6))
def test_a_dropped_record(log: Log, revision: int) -> None:
    log.store.delete(at(log, revision))
    assert blamed(log)[0] == revision


@pytest.mark.parametrize("revision", range(1, 5))
def test_two_swapped_records(log: Log, revision: int) -> None:
    one, two = (log.store.get(at(log, n)).body for n in (revision, revision + 1))
    log.store.put(at(log, revision), two)
    log.store.put(at(log, revision + 1), one)
    assert blamed(log)[0] == revision


@pytest.mark.parametrize("revision", range(1, 7))
def test_a_record_of_another_model(log: Log, revision: int) -> None:
    log.store.put(at(log, revision), log.store.get(keys.log_record("other", min(revision, 5))).body)
    assert blamed(log)[0] in (revision, revision + 1)


def test_an_object_that_is_no_record(log: Log) -> None:
    log.store.put(keys.log("m") + "note.txt", b"hello")
    assert "is not a record" in verify.verify(log, "m").problems[0].what


def test_a_tail_that_was_cut_off(log: Log) -> None:
    log.store.delete(at(log, 5))
    log.store.delete(at(log, 4))
    assert blamed(log) == [4, 5]


def test_a_tail_cut_off_with_its_head_takes_an_anchor(log: Log) -> None:
    """From inside, such a log is as good as one that never went further; what was kept of it says otherwise."""
    kept = verify.verify(log, "m")
    log.store.delete(at(log, 5))
    log.store.delete(keys.head("m"))
    now = verify.verify(log, "m")
    assert now.verified
    assert (now.revision, now.digest) != (kept.revision, kept.digest)


def test_a_forged_end_is_not_served_where_keys_are_trusted(log: Log) -> None:
    intruder = Log(log.store)
    aliases.move(intruder, "m", "production", Target(version=3), ANN)
    if log.trusted:
        with pytest.raises(Unavailable, match="not to be trusted"):
            log.read("m")
        assert blamed(log) == [6]
    else:
        assert log.read("m").number(None) == 3, "without keys, whoever may write may move"
