"""Is a history of concurrent operations linearizable? One answer without a witness, one with.

A history is linearizable if every operation can be given one moment between its call and its return at which it takes
effect, such that these moments, in order, are a run of the sequential object (Herlihy and Wing, "Linearizability: a
correctness condition for concurrent objects", TOPLAS 12(3), 1990). An operation whose outcome nobody learned may have
taken effect at any later time, or never; one that surely failed is no part of the run.

`search` believes nobody: it knows the calls and the answers, and looks for such a run (Wing and Gong, "Testing and
verifying concurrent objects", JPDC 17, 1993). A configuration, that is which operations are done and what state they
led to, is never entered twice (Lowe, "Testing for linearizability", CCPE 29(4), 2017), and events are taken out of a
linked list and put back as in Porcupine. The problem is NP-complete (Gibbons and Korach, "Testing shared memories",
SIAM J. Comput. 26(4), 1997), so this one is for histories of some hundreds of operations. It is used where the log
itself is in doubt.

`disagreements` is given the order in which the object says that it carried operations out: here, the registry's log.
With a witness there is nothing to search: the run is folded once, and each operation's place is compared with those
that ended before it began, which takes one pass after sorting. So it is used for the large histories. It is the
stricter of the two: it also names what was lost, and what is in the log twice or uncalled for.

Both take the sequential object as a function: apply(state, call) -> (state, answer), over hashable states, in which
what changes nothing gives an equal state back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, NamedTuple

Apply = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Operation:
    """One call. invoked, returned: readings of one clock; returned is never for an unknown outcome.

    outcome: `failed` says that it surely had no effect. answer: what an `ok` one returned, a refusal included.
    seen: the position in the witness whose state the answer shows, where it says so.
    """

    name: str
    call: Any
    invoked: float
    returned: float = inf
    outcome: Literal["ok", "failed", "unknown"] = "ok"
    answer: Hashable = None
    seen: int | None = None


class Undecided(Exception):
    """The search was given up."""


# ---- without a witness


class _Events:
    """Calls and returns by time, in a doubly linked list from which operations are lifted and put back."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        # at one moment calls come first: operations that touch are concurrent
        times = [(o.invoked, 0, n) for n, o in enumerate(operations)]
        times += [(o.returned, 1, n) for n, o in enumerate(operations) if o.outcome == "ok"]
        self.at = {place: (kind == 1, n) for place, (_, kind, n) in enumerate(sorted(times), start=1)}
        self.places: dict[int, list[int]] = {}
        for place, (_, n) in self.at.items():
            self.places.setdefault(n, []).append(place)
        self.end = len(times) + 1
        self.next = [*range(1, self.end + 1), self.end]
        self.before = [0, *range(self.end)]

    def lift(self, n: int) -> None:
        for place in self.places[n]:
            self.next[self.before[place]] = self.next[place]
            self.before[self.next[place]] = self.before[place]

    def put_back(self, n: int) -> None:
        for place in reversed(self.places[n]):
            self.next[self.before[place]] = place
            self.before[self.next[place]] = place


def search(operations: Sequence[Operation], initial: Any, apply: Apply, *, limit: int = 2_000_000) -> list[str] | None:
    """A run that explains the history, as names in order; None when there is none.

    Raises Undecided after `limit` configurations.
    """
    taking_part = [o for o in operations if o.outcome != "failed"]
    events, state, done = _Events(taking_part), initial, 0
    run: list[tuple[int, Any]] = []
    entered = set()
    unanswered = sum(o.outcome == "ok" for o in taking_part)
    place = events.next[0]
    while unanswered:  # what has no known outcome may be left out
        returns, n = events.at[place]
        if not returns:
            operation = taking_part[n]
            after, answer = apply(state, operation.call)
            configuration = (done | 1 << n, after)
            fits = operation.outcome == "unknown" or answer == operation.answer
            if fits and configuration not in entered:
                entered.add(configuration)
                if len(entered) > limit:
                    raise Undecided(f"no answer after {limit:,} configurations")
                run.append((n, state))
                state, done = after, done | 1 << n
                unanswered -= operation.outcome == "ok"
                events.lift(n)
                place = events.next[0]
            else:
                place = events.next[place]
        elif not run:
            return None
        else:  # an operation ends that has no place before here: the last choice was wrong
            n, state = run.pop()
            done ^= 1 << n
            unanswered += taking_part[n].outcome == "ok"
            events.put_back(n)
            place = events.next[events.places[n][0]]
    return [taking_part[n].name for n, _ in run]


# ---- with one


class Disagreement(NamedTuple):
    """what: lost, duplicate, foreign, failed, impossible, answer, real time."""

    what: str
    operation: str
    why: str


def disagreements(
    entries: Sequence[str], operations: Sequence[Operation], initial: Any, apply: Apply
) -> list[Disagreement]:
    """Where a history and the order that its witness gives contradict each other; none if it is linearizable.

    entries: the names of the operations that took effect, in order. Position k is behind the k-th of them.
    """
    by_name = {o.name: o for o in operations}
    found, states, placed = _fold(entries, by_name, initial, apply)
    running: list[tuple[float, int]] = []  # (returned, position) of operations that are not known to have ended
    earliest = 0
    for operation in sorted(operations, key=lambda o: o.invoked):
        if operation.outcome != "ok" and operation.name not in placed:
            continue
        while running and running[0][0] < operation.invoked:
            earliest = max(earliest, heapq.heappop(running)[1])
        before, after = placed.get(operation.name) or _effectless(operation, states, earliest, apply)
        if before is None:
            found.append(Disagreement("lost", operation.name, f"{operation.call} is answered, and not in the log"))
            continue
        if before < earliest:
            why = f"it is at {before}, and began after something at {earliest} had ended"
            found.append(Disagreement("real time", operation.name, why))
        if operation.seen is not None and operation.seen < after:
            found.append(Disagreement("answer", operation.name, f"it is at {after} and was shown {operation.seen}"))
        heapq.heappush(running, (operation.returned, max(after, operation.seen or 0)))
    return found


def _fold(
    entries: Sequence[str], by_name: dict[str, Operation], initial: Any, apply: Apply
) -> tuple[list[Disagreement], list[Any], dict[str, tuple[int, int]]]:
    """Run the entries. Also: the state at each position, and the positions before and after each operation."""
    found: list[Disagreement] = []
    states, placed = [initial], {}
    for position, name in enumerate(entries):
        operation, state = by_name.get(name), states[-1]
        if operation is None:
            found.append(Disagreement("foreign", name, "nobody called for this entry"))
        elif name in placed:
            found.append(Disagreement("duplicate", name, f"{operation.call} took effect twice"))
        elif operation.outcome == "failed":
            found.append(Disagreement("failed", name, f"{operation.call} took effect, and was said to have failed"))
        if operation is not None:
            state, answer = apply(state, operation.call)
            if state == states[-1] and name not in placed:
                found.append(Disagreement("impossible", name, f"{operation.call} changes nothing here: {answer}"))
            elif operation.outcome == "ok" and answer != operation.answer and name not in placed:
                found.append(Disagreement("answer", name, f"{operation.answer} instead of {answer}"))
            placed.setdefault(name, (position, position + 1))
        states.append(state)
    return found, states, placed


def _effectless(operation: Operation, states: list[Any], earliest: int, apply: Apply) -> tuple[int | None, int]:
    """Where an operation that is not in the log was carried out: it changed nothing there, and got this answer.

    The earliest such place is the one that leaves most room to the others. What was seen and is not in the log any
    more is no place.
    """
    seen = operation.seen
    places = range(earliest, len(states)) if seen is None else range(seen, min(seen + 1, len(states)))
    for place in places:
        if apply(states[place], operation.call) == (states[place], operation.answer):
            return place, place
    return None, 0
