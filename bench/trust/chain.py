"""Proof of the log's chain: whatever is done to a record of a long log is noticed."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.trust.proof import LIMIT, Outcome, replaced
from shared import keys
from shared.registry import aliases, verify
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Target
from shared.signing import p256
from shared.signing.local import LocalKey
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from tests.proofs import forgery
from tests.proofs.world import NAME
from tests.registry.conftest import ANN, push


def tampering(count: int, seed: int) -> Outcome:
    """A log of `count` records, signed; each is changed, removed, exchanged, doubled, and the log cut off before it."""
    with tempfile.TemporaryDirectory() as folder:
        key = LocalKey.create(Path(folder) / "key.pem")
        log = Log(MemoryStore(), signer=key, trusted=[key.public])
        push(log, NAME, 3)
        for number in range(count - 3):
            aliases.move(log, NAME, "production", Target(version=2 + number % 2), ANN)
    outcome, rng, missed = Outcome(0), random.Random(seed), 0
    quick = [(p256, "verify", cache(p256.verify))]
    quick += [(module, "get_many", _one_by_one) for module in (logs, verify)]
    with replaced(*quick):
        for revision in range(1, count + 1):
            if LIMIT.over():
                break
            for name, damage in _DAMAGES.items():
                outcome.n += 1
                if not _noticed(log, revision, count, damage, rng):
                    missed += 1
                    outcome.failures.append(f"record {revision} of {count}: {name} was not noticed")
            if forgery.blamed(log):
                outcome.failures.append(f"a false alarm after record {revision}")
    alarms = len(outcome.failures) - missed
    outcome.figures = {"false alarms": alarms, "records": count, "noticed": outcome.n - missed}
    return outcome


Damage = Callable[[Log, int, random.Random], None]


def _flip(log: Log, revision: int, rng: random.Random) -> None:
    changed = bytearray(forgery.body(log, revision))
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    log.store.put(forgery.at(revision), bytes(changed))


def _drop(log: Log, revision: int, rng: random.Random) -> None:
    log.store.delete(forgery.at(revision))


def _swap(log: Log, revision: int, rng: random.Random) -> None:
    other = revision + 1 if revision < log.read(NAME).revision else revision - 1
    bodies = forgery.body(log, revision), forgery.body(log, other)
    log.store.put(forgery.at(revision), bodies[1])
    log.store.put(forgery.at(other), bodies[0])


def _insert(log: Log, revision: int, rng: random.Random) -> None:
    """The record once more, and all behind it one further."""
    newest = log.read(NAME).revision
    for later in range(newest, revision - 1, -1):
        log.store.put(forgery.at(later + 1), forgery.body(log, later))


def _cut(log: Log, revision: int, rng: random.Random) -> None:
    """The log ends before the record, and so does its cached head; what others have seen of it is what tells."""
    for later in range(revision, log.read(NAME).revision + 1):
        log.store.delete(forgery.at(later))
    log.store.delete(keys.head(NAME))


_DAMAGES: dict[str, Damage] = {
    "a bit": _flip,
    "a gap": _drop,
    "an exchange": _swap,
    "a record more": _insert,
    "a cut": _cut,
}


def _noticed(log: Log, revision: int, count: int, damage: Damage, rng: random.Random) -> bool:
    store = log.store
    before = dict(store._objects)  # type: ignore[attr-defined]
    anchor = (count, logs.digest(forgery.body(log, count)))
    damage(log, revision, rng)
    try:
        report = verify.verify(log, NAME)
        return bool(report.problems) or (report.revision, report.digest) != anchor
    except Exception:  # nothing is left that could be verified
        return True
    finally:
        store._objects = before  # type: ignore[attr-defined]


def _one_by_one(store: Store, names: list[str], *, missing: bytes | None = None) -> list[object]:
    return [store.get(key) for key in names]


def blind_verification(seed: int) -> Outcome:
    """A verification that reads every record, and compares none with the one before, nor its signature."""
    with replaced((verify, "_link_problems", lambda *_: [])):
        return tampering(40, seed)
