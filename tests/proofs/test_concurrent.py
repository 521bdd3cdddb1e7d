"""Many writers on one model, with lost replies and errors: nothing lost, nothing twice, and an order that explains it.

The log is the witness: its records, by request id, are the order in which the registry says that it carried calls out.
Each writer has a Log of its own, as each function has, and repeats what it was not answered with the same request id,
as the client does.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry import verify
from shared.registry.fold import Broken
from shared.registry.log import Log
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from tests.failing import WRITES, FailingStore, randomly
from tests.proofs import model
from tests.proofs.linearizability import Disagreement, Operation, disagreements
from tests.proofs.world import NAME, carry_out, state

LOST, REFUSED = 0.10, 0.02
PATIENCE = 600.0

SIZES = [("memory", 64, 20), ("moto", 12, 6), ("ministack", 16, 6), ("seaweedfs", 16, 6)]
FULL = [pytest.param(kind, 64, 20, marks=pytest.mark.soak) for kind in ("moto", "ministack", "seaweedfs")]


def a_call(rng: random.Random, writer: int, turn: int) -> tuple:
    versions = [str(rng.randint(1, 6)) for _ in range(2)]
    kind = rng.choices(["register", "move", "split", "rollback", "retire", "restore", "read"], [5, 5, 3, 3, 1, 1, 3])[0]
    alias = rng.choice(["production", "canary", f"of-{writer}"])
    low, high = sorted(versions)
    calls = {
        "register": ("register", f"upload-{writer}-{turn}"),
        "move": ("move", alias, versions[0]),
        "split": ("move", alias, f"{low}: 90, {high}: 10" if low != high else low),
        "rollback": ("rollback", alias),
        "retire": ("retire", rng.randint(1, 6)),
        "restore": ("restore", rng.randint(1, 6)),
        "read": ("read",),
    }
    return calls[kind], f"writer-{writer}", True


def work(
    log: Log, writer: int, turns: int, history: list[Operation], troubles: list[BaseException], seed: int = 0
) -> None:
    rng = random.Random(seed * 1000 + writer)
    try:
        for turn in range(turns):
            asked, name, invoked = a_call(rng, writer, turn), f"{writer}-{turn}", time.monotonic()
            while True:
                try:
                    answer, seen = carry_out(log, asked, name)
                    break
                except Broken:
                    raise
                except Unavailable:
                    assert time.monotonic() - invoked < PATIENCE
                    time.sleep(rng.uniform(0, 0.2))
            history.append(Operation(name, asked, invoked, time.monotonic(), answer=answer, seen=seen))
    except BaseException as trouble:
        troubles.append(trouble)


def contend(store: Store, writers: int, turns: int, seed: int = 7) -> list[Operation]:
    """What each writer asked and was answered."""
    history: list[Operation] = []
    troubles: list[BaseException] = []
    failing = FailingStore(store, randomly(seed, before=REFUSED, after=LOST, only=WRITES))
    threads = [
        threading.Thread(target=work, args=(Log(failing), writer, turns, history, troubles, seed))
        for writer in range(writers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles, repr(troubles[0])
    assert len(history) == writers * turns
    return history


def judged(store: Store, history: list[Operation]) -> list[Disagreement]:
    log = Log(store)
    records = log.records(NAME, log.read(NAME).revision, 1)[::-1]
    entries = [record.request_id or "?" for record in records]
    return disagreements(entries, history, model.State(), model.apply)


@pytest.mark.parametrize(("kind", "writers", "turns"), [*SIZES, *FULL])
def test_writers_with_lost_replies(new_store: Callable[[str], Store], kind: str, writers: int, turns: int) -> None:
    store = new_store(kind)
    history = contend(store, writers, turns)
    assert judged(store, history) == []
    log = Log(store)
    head = log.read(NAME)
    assert verify.verify(log, NAME).problems == []
    # replayed without the cache, the log says the same
    store.delete(keys.head(NAME))
    assert state(log, Log(store).read(NAME)) == state(log, head)
    registered = [o for o in history if o.call[0][0] == "register"]
    assert sorted(o.answer for o in registered) == list(range(1, len(registered) + 1))
    assert head.latest == len(registered)


class Overwriting(Log):
    """The negative control: a registry that computes the next revision and writes it, as its peers do."""

    def _commit(self, model: str, revision: int, body: bytes) -> None:
        self.store.put(keys.log_record(model, revision), body)


def test_negative_control_writers_that_overwrite_are_found_out() -> None:
    store = MemoryStore()
    history: list[Operation] = []
    noticed: list[BaseException] = []
    failing = FailingStore(store, randomly(7, latency=0.003, only=WRITES))
    threads = [
        threading.Thread(target=work, args=(Overwriting(failing), writer, 10, history, noticed)) for writer in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # either the chain breaks under a writer, or the log and the answers contradict each other
    assert any(isinstance(trouble, Broken) for trouble in noticed) or judged(store, history)
