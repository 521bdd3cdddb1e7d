"""A log with records of every kind, and the ways to change its objects: for test_forgery.py."""

from __future__ import annotations

from collections.abc import Iterator

from shared import keys
from shared.errors import Unavailable
from shared.registry import aliases, approvals, models, verify, versions
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from shared.storage.base import ObjectNotFound
from tests.registry.conftest import push

ANN, BOB = Change(by="ann", name="Ann", reason="because"), Change(by="bob", request_id="r-1")
LAST = 24
BITS = [0x01, 0x20, 0x80]  # another digit or letter, the other case, no ASCII


def filled(log: Log) -> Log:
    """The log with LAST records of 13 kinds in model m, and as many in another one."""
    push(log, "m", 6)
    for number in (2, 3, 4):
        aliases.move(log, "m", "production", Target(version=number), ANN)
    aliases.move(log, "m", "canary", Target.of({4: 90, 5: 10}, 6), ANN)
    aliases.rollback(log, "m", "production", ANN)
    versions.retire(log, "m", 1, ANN)
    aliases.set_policy(log, "m", "production", Policy(protected=True, two_person=True), ANN)
    number = approvals.request(log, "m", "production", Target(version=5), ANN)
    approvals.approve(log, "m", number, BOB)
    approvals.reject(log, "m", approvals.request(log, "m", "production", Target(version=6), ANN), ANN)
    models.edit(log, "m", ANN, card="# Card", tags=["a"])
    models.delete(log, "m", ANN)
    models.restore(log, "m", ANN)
    aliases.delete(log, "m", "canary", ANN)
    versions.restore(log, "m", 1, ANN)
    push(log, "m", 2)
    push(log, "m", LAST - log.read("m").revision)
    push(log, "other", LAST)
    return log


def at(revision: int) -> str:
    return keys.log_record("m", revision)


def body(log: Log, revision: int) -> bytes:
    return log.store.get(at(revision)).body


def blamed(log: Log) -> list[int]:
    return [problem.revision for problem in verify.verify(log, "m").problems]


def flips(log: Log, name: str, bits: list[int] = BITS) -> Iterator[str]:
    """Change every byte of an object, one after the other and in several ways; and put it back."""
    original = log.store.get(name).body
    for position in range(len(original)):
        for bit in bits:
            changed = bytearray(original)
            changed[position] ^= bit
            log.store.put(name, bytes(changed))
            yield f"byte {position} of {name} by {bit:#x}: {bytes(changed[max(position - 20, 0) : position + 20])!r}"
    log.store.put(name, original)


def refused(log: Log) -> bool:
    try:
        log.read("m")
    except Unavailable:
        return True
    return False


def anchored(log: Log, earlier: verify.Report) -> bool:
    """Whether the log still has the record whose revision and digest an earlier verification reported."""
    try:
        return logs.digest(body(log, earlier.revision)) == earlier.digest
    except ObjectNotFound:
        return False
