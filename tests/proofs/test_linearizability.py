"""The checkers themselves: histories that are linearizable, and histories that only look so."""

from __future__ import annotations

import random

import pytest

from tests.proofs.linearizability import Operation, disagreements, search


def register(state: int, call: tuple) -> tuple[int, object]:
    """A register of one number: read, write, and swap, which says whether it did."""
    kind, *args = call
    if kind == "read":
        return state, state
    if kind == "write":
        return args[0], None
    return (args[1], True) if state == args[0] else (state, False)


def op(name: str, call: tuple, start: float, end: float = float("inf"), answer: object = None, **more) -> Operation:
    return Operation(name, call, start, end, answer=answer, **more)


FINE = {
    "one after the other": [op("a", ("write", 1), 0, 1), op("b", ("read",), 2, 3, 1)],
    "a read during a write sees the old value": [op("a", ("write", 1), 0, 3), op("b", ("read",), 1, 2, 0)],
    "a read during a write sees the new value": [op("a", ("write", 1), 0, 3), op("b", ("read",), 1, 2, 1)],
    "of two swaps one wins": [op("a", ("swap", 0, 1), 0, 3, True), op("b", ("swap", 0, 2), 1, 2, False)],
    "an unknown write that took effect late": [
        op("a", ("write", 1), 0, outcome="unknown"),
        op("b", ("read",), 1, 2, 0),
        op("c", ("read",), 3, 4, 1),
    ],
    "an unknown write that never took effect": [
        op("a", ("write", 1), 0, outcome="unknown"),
        op("b", ("read",), 1, 2, 0),
    ],
    "a failed write": [op("a", ("write", 1), 0, 1, outcome="failed"), op("b", ("read",), 2, 3, 0)],
}
WRONG = {
    "a stale read": [op("a", ("write", 1), 0, 1), op("b", ("read",), 2, 3, 0)],
    "a lost update": [op("a", ("swap", 0, 1), 0, 1, True), op("b", ("swap", 0, 2), 2, 3, True)],
    "two reads that go back in time": [
        op("a", ("write", 1), 0, 9),
        op("b", ("read",), 1, 2, 1),
        op("c", ("read",), 3, 4, 0),
    ],
    "an unknown write that took effect twice": [
        op("a", ("write", 1), 0, outcome="unknown"),
        op("b", ("read",), 1, 2, 1),
        op("c", ("write", 2), 3, 4),
        op("d", ("read",), 5, 6, 1),
    ],
    "a failed write that took effect": [op("a", ("write", 1), 0, 1, outcome="failed"), op("b", ("read",), 2, 3, 1)],
}


@pytest.mark.parametrize("name", FINE)
def test_histories_that_have_an_order(name: str) -> None:
    order = search(FINE[name], 0, register)
    assert order is not None
    assert set(order) <= {operation.name for operation in FINE[name]}


@pytest.mark.parametrize("name", WRONG)
def test_histories_that_have_none(name: str) -> None:
    assert search(WRONG[name], 0, register) is None


def test_the_search_agrees_with_the_witness_on_random_histories() -> None:
    """Histories made from a real order are linearizable to both; with one answer changed, the search finds none."""
    rng = random.Random(1)
    for _ in range(60):
        state, operations, entries = 0, [], []
        for n in range(10):
            call = rng.choice([("read",), ("write", n + 1), ("swap", state, n + 1), ("swap", -1, n + 1)])
            after, answer = register(state, call)
            point = n + 0.5
            operations.append(op(f"o{n}", call, point - rng.random() * 3, point + rng.random() * 3, answer))
            if after != state:
                entries.append(f"o{n}")
            state = after
        assert search(operations, 0, register) is not None
        reads = [n for n, o in enumerate(operations) if o.call == ("read",)]
        if reads:
            spoiled = list(operations)
            was = spoiled[reads[0]]
            spoiled[reads[0]] = op(was.name, was.call, was.invoked, was.returned, 999)
            assert search(spoiled, 0, register) is None
            assert disagreements(entries, spoiled, 0, register)


def told(entries: list[str], operations: list[Operation]) -> set[str]:
    return {found.what for found in disagreements(entries, operations, 0, register)}


def test_what_the_witness_tells_apart() -> None:
    a, b = op("a", ("swap", 0, 1), 0, 1, True), op("b", ("swap", 1, 2), 2, 3, True)
    assert told(["a", "b"], [a, b]) == set()
    assert "lost" in told(["a"], [a, b])
    assert "duplicate" in told(["a", "b", "a"], [a, b])
    assert "foreign" in told(["a", "x", "b"], [a, b])
    assert "failed" in told(["a"], [op("a", ("swap", 0, 1), 0, 1, outcome="failed")])
    assert "impossible" in told(["a"], [op("a", ("swap", 5, 1), 0, 1, False)])
    late, early = op("a", ("write", 1), 2, 3), op("b", ("write", 2), 0, 1)
    assert told(["a", "b"], [late, early]) == {"real time"}
    assert told(["b", "a"], [late, early]) == set()
    assert told([], [op("r", ("read",), 0, 1, 5)]) == {"lost"}
