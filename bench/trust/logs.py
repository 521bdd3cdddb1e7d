"""Proofs of the registry: many writers, linearizability, any sequence of calls, tampering, the collector."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.trust.proof import LIMIT, Outcome, red, replaced
from shared.registry import blobs, collect, verify
from shared.registry.log import Log
from shared.registry.state import Head
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from tests import servers
from tests.failing import WRITES, randomly
from tests.proofs import interleavings, model, test_collection, test_concurrent, test_stateful
from tests.proofs.linearizability import Operation, search
from tests.proofs.test_without_witness import Callers, as_a_lost_race
from tests.proofs.world import NAME, carry_out

WRITERS, TURNS = 64, 20
STEPS = 50  # of a sequence of calls


# ---- many writers on one model


def contention(count: int, seed: int) -> Outcome:
    """count: calls on each store; of 64 writers with 20 turns each, again and again."""
    total, figures, failures = 0, dict[str, object](), list[str]()
    for kind in ("seaweedfs", "ministack"):
        with _server(kind) as endpoint:
            for number in range(max(1, count // 2 // (WRITERS * TURNS))):
                store = servers.bucket(endpoint)
                history = test_concurrent.contend(store, WRITERS, TURNS, seed + number)
                found = _judged(store, history)
                total += len(history)
                failures += [f"{kind}: {what}" for what in found]
                figures |= {f"p99 {kind} (s)": _p99(history)}
    return Outcome(total, {"lost": 0, "twice": 0, "out of order": 0} | _counted(failures) | figures, failures)


def _judged(store: Store, history: list[Operation]) -> list[str]:
    found = [f"{one.what}: {one}" for one in test_concurrent.judged(store, history)]
    return found + [f"verification: {problem}" for problem in verify.verify(Log(store), NAME).problems]


def _counted(failures: list[str]) -> dict[str, int]:
    names = {"lost": "lost", "duplicate": "twice", "real time": "out of order"}
    counts = Counter(failure.split(": ")[1] for failure in failures)
    return {names.get(what, what): number for what, number in counts.items()}


def _p99(history: list[Operation]) -> float:
    return statistics.quantiles([one.returned - one.invoked for one in history], n=100)[98]


@contextmanager
def _server(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="amaas-trust-") as folder:
        start = servers.seaweedfs if kind == "seaweedfs" else servers.ministack
        with start(Path(folder)) as endpoint:
            servers.credentials(endpoint)
            yield endpoint


def _naive() -> list[tuple[object, str, object]]:
    """A client that takes an unclear answer for a lost race, and does it again."""
    return [(Log, "_commit", as_a_lost_race), (Head, "revision_of", lambda head, change: None)]


def naive_contention(seed: int) -> Outcome:
    store = MemoryStore()
    with replaced(*_naive()):
        history = test_concurrent.contend(store, 16, 10, seed)
    return Outcome(len(history), failures=[found for found in _judged(store, history) if "duplicate" in found])


# ---- linearizability, without a witness

PROMOTERS, ROLLBACKS, READERS, ROUNDS = 8, 4, 8, 10
NAMES = ("production", "canary", "blue", "green")


def _by_role(rng: random.Random, caller: int, turn: int) -> tuple:
    alias = rng.choice(NAMES)
    if caller < PROMOTERS:
        return ("move", alias, str(rng.randint(1, 6))), f"promoter-{caller}", True
    if caller < PROMOTERS + ROLLBACKS:
        return ("rollback", alias), f"operator-{caller}", True
    return ("read",), f"reader-{caller}", True


def linearizability(count: int, seed: int) -> Outcome:
    """count: operations, in histories of 206, each by 8 promoters, 4 who roll back, and 8 readers of 4 aliases.

    Callers repeat what was not answered; who gives up, and never learns, is in tests/proofs/test_without_witness.py.
    """
    outcome = Outcome(0)
    while outcome.n < count and not LIMIT.over():
        number = seed * 1000 + outcome.n
        history = _history(number)
        outcome.n += len(history)
        if search(history, model.State(), _apply) is None:
            outcome.failures.append(f"no order explains the history of seed {number}")
    outcome.figures = {"histories": outcome.n // len(history)}
    return outcome


def _history(seed: int) -> list[Operation]:
    """Six registrations, one after the other; then all at once, from the 7th call on."""
    store, history = MemoryStore(), list[Operation]()
    log = Log(store)
    for number in range(6):
        name, asked, began = f"first-{number}", (("register", f"upload-{number}"), "ann", True), time.monotonic()
        answer, seen = carry_out(log, asked, name)
        history.append(Operation(name, asked, began, time.monotonic(), answer=answer, seen=seen))
    plan = randomly(seed, before=0.05, after=0.25, latency=0.002, only=WRITES)
    callers = Callers(store, plan, patience=1, seed=seed, draw=_by_role)
    history += callers.run(PROMOTERS + ROLLBACKS + READERS, ROUNDS)
    return [replace(one, answer=(one.answer, one.seen)) for one in history]


def _apply(state: model.State, asked: tuple) -> tuple[model.State, tuple]:
    """A call's answer with the revision in it, as the API gives both; a refusal has none."""
    after, answer = model.apply(state, asked)
    refused = isinstance(answer, tuple) and answer[:1] == ("refused",)
    named = asked[0][0] == "register"  # is answered with the version's number
    return after, (answer, None if refused or named else after.revision)


def stale_reads(seed: int) -> Outcome:
    """Readers that are answered with a state of thirty reads before, as by a cache that is refreshed too seldom."""
    heads: list[Head] = []

    def read(log: Log, model: str) -> Head:
        heads.append(log._read(model)[0])
        return heads[max(len(heads) - 30, 0)]

    with replaced((Log, "read", read)):
        history = _history(seed)
    explained = search(history, model.State(), _apply) is not None
    return Outcome(len(history), failures=[] if explained else [f"no order explains the history of seed {seed}"])


# ---- any sequence of calls


def sequences(count: int, seed: int) -> Outcome:
    with replaced((time, "sleep", lambda _: None)):
        return red(lambda: _sequences(count, seed))


def _sequences(count: int, seed: int) -> Outcome:
    test_stateful.run(count, STEPS, seed)
    return Outcome(count, {"steps": count * STEPS})


def broken_registries(seed: int) -> Outcome:
    """Red if each of six broken registries is found out."""
    found = []
    for name, changes in test_stateful.BROKEN.items():
        with replaced((time, "sleep", lambda _: None), *(_place(what, value) for what, value in changes.items())):
            outcome = red(lambda: _sequences(100, seed))
        found += [name] if outcome.failures else []
    return Outcome(len(test_stateful.BROKEN), failures=found if len(found) == len(test_stateful.BROKEN) else [])


def _place(path: str, value: object) -> tuple[object, str, object]:
    """Of a dotted path: the module or class that has the name, the name, and what it is to be."""
    import pkgutil

    owner, _, name = path.rpartition(".")
    return pkgutil.resolve_name(owner), name, value


# ---- the collector beside writers


def collection(count: int, seed: int) -> Outcome:
    """All interleavings of small worlds, then as many of a larger one as are left of `count`."""
    with replaced((time, "sleep", lambda _: None)):
        return red(lambda: _collection(count, seed))


def _collection(count: int, seed: int) -> Outcome:
    every = {name: interleavings.every(test_collection.world(name)) for name in test_collection.WORLDS}
    small = sum(every.values())
    interleavings.some(test_collection.larger_world(), seed, max(count - small, 0))
    return Outcome(max(count, small), {"of small worlds, all": small})


def careless_collection(seed: int) -> Outcome:
    """Red if each of three careless ones is found out."""
    changes = [
        (collect, "_remove", test_collection.whatever_is_there),
        (collect, "_remove", test_collection.without_a_second_look),
        (blobs, "write", test_collection.if_there_good),
    ]
    begin, found = test_collection.world("a registration that finds an old blob"), []
    for change in changes:
        with replaced((time, "sleep", lambda _: None), change):
            found += red(lambda: Outcome(interleavings.every(begin))).failures
    return Outcome(len(changes), failures=found if len(found) == len(changes) else [])
