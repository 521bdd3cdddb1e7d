"""Concurrent histories judged by what callers were told alone: the log is not asked in which order things happened.

Some callers give up when they get no answer, and never learn whether their call took effect. Every read answers with
the whole state. Then the control: a client that takes an unclear answer for a lost race, as one does that has the SDK
send a conditional write again (see decision 1). Both checkers find it out.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry.log import Log
from shared.registry.state import Head
from shared.storage.base import AlreadyExists, Store
from shared.storage.memory import MemoryStore
from tests.failing import WRITES, Call, FailingStore, Fault, Plan, randomly
from tests.proofs import model
from tests.proofs.linearizability import Operation, search
from tests.proofs.test_concurrent import a_call, judged
from tests.proofs.world import carry_out

SIZES = [("memory", 8, 8), ("moto", 5, 5), ("ministack", 6, 6), ("seaweedfs", 6, 6)]


class Callers:
    """Threads that call, and write down what they were told. patience: the share that repeats an unanswered call.

    draw: the call of a caller's turn.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        *,
        patience: float,
        seed: int,
        draw: Callable[[random.Random, int, int], tuple] | None = None,
    ) -> None:
        self.log = Log(FailingStore(store, plan))
        self.draw = draw or a_call_or_a_read
        self.patience, self.seed = patience, seed
        self.history: list[Operation] = []
        self.troubles: list[BaseException] = []

    def run(self, callers: int, turns: int) -> list[Operation]:
        threads = [threading.Thread(target=self._call, args=(caller, turns)) for caller in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.troubles == []
        return self.history

    def _call(self, caller: int, turns: int) -> None:
        rng = random.Random(self.seed * 1000 + caller)
        try:
            for turn in range(turns):
                self.history.append(self._one(rng, caller, turn))
        except BaseException as trouble:
            self.troubles.append(trouble)

    def _one(self, rng: random.Random, caller: int, turn: int) -> Operation:
        asked, name, invoked = self.draw(rng, caller, turn), f"{caller}-{turn}", time.monotonic()
        while True:
            try:
                answer, seen = carry_out(self.log, asked, name)
            except Unavailable:
                if rng.random() > self.patience:
                    return Operation(name, asked, invoked, outcome="unknown")
            else:
                return Operation(name, asked, invoked, time.monotonic(), answer=answer, seen=seen)


def a_call_or_a_read(rng: random.Random, caller: int, turn: int) -> tuple:
    asked = a_call(rng, caller, turn)
    return (("read",), *asked[1:]) if rng.random() < 0.25 else asked


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
@pytest.mark.parametrize(("kind", "callers", "turns"), SIZES)
def test_an_order_explains_all_answers(
    new_store: Callable[[str], Store], kind: str, callers: int, turns: int, seed: int
) -> None:
    plan = randomly(seed, before=0.05, after=0.25, latency=0.002 if kind == "memory" else 0, only=WRITES)
    history = Callers(new_store(kind), plan, patience=0.8, seed=seed).run(callers, turns)
    order = search(history, model.State(), model.apply)
    assert order is not None
    answered = {operation.name for operation in history if operation.outcome == "ok"}
    assert answered <= set(order)


def as_a_lost_race(log: Log, model: str, revision: int, body: bytes) -> None:
    log.store.put(keys.changed(model, revision), b"")
    try:
        log.store.put(keys.log_record(model, revision), body, if_absent=True)
    except Unavailable as unclear:
        raise AlreadyExists(str(unclear)) from unclear


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "_commit", as_a_lost_race)
    monkeypatch.setattr(Head, "revision_of", lambda head, change: None)


def a_rollback() -> tuple[Store, list[Operation]]:
    """One caller, who rolls back once; the first answer to it is lost. Then a read."""
    calls: list[tuple] = [("register", f"upload-{n}") for n in range(3)]
    calls += [("move", "production", "2"), ("move", "production", "3"), ("rollback", "production"), ("read",)]
    store, history = MemoryStore(), []
    lost: list[Call] = []

    def once(call: Call) -> Fault | None:
        if lost or (call.operation, call.key) != ("put", keys.log_record("m", 6)):
            return None
        lost.append(call)
        return Fault(after=Unavailable("the reply was lost"))

    log = Log(FailingStore(store, once))
    for turn, call in enumerate(calls):
        answer, seen = carry_out(log, (call, "ann", True), f"{turn}")
        history.append(Operation(f"{turn}", (call, "ann", True), turn, turn + 0.5, answer=answer, seen=seen))
    assert lost
    return store, history


def test_a_lost_reply_leaves_no_trace_in_the_answers() -> None:
    store, history = a_rollback()
    assert search(history, model.State(), model.apply) == [operation.name for operation in history]
    assert judged(store, history) == []


@pytest.mark.usefixtures("hasty")
def test_negative_control_an_unclear_answer_taken_for_a_lost_race() -> None:
    store, history = a_rollback()
    assert search(history, model.State(), model.apply) is None
    assert "duplicate" in {found.what for found in judged(store, history)}
