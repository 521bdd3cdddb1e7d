"""The registry's sequential specification: one model's life in plain values, without storage, records or caches.

It is written from what the product promises rather than from its code. States are immutable and hashable, so that the
checkers of linearizability.py can keep and compare them. A call is a tuple of a name and its arguments:

    register upload · move alias target · rollback alias version? · unalias alias · policy alias protected two_person ·
    free alias protected · request alias target · approve number · reject number · retire version · restore version ·
    edit tags · delete · undelete · read

with the acting token's id behind it, and whether it may promote: (call, by, may_promote). A target is what str() of the
registry's Target gives: "3", or "1: 90, 2: 10 with 3 as shadow".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

TRAIL = 10
MAX_OPEN = 20


class Refused(Exception):
    """The name of the registry's error is the only argument."""


class Map(dict):
    """A dictionary that nobody changes."""

    def __hash__(self) -> int:  # type: ignore[override]  # what is hashed here is never changed
        return hash(frozenset(self.items()))

    def having(self, key: Any, value: Any) -> Map:
        return Map({**self, key: value})

    def without(self, *keys: Any) -> Map:
        return Map({key: value for key, value in self.items() if key not in keys})


NOTHING = Map()


@dataclass(frozen=True)
class State:
    """uploads: of every version ever registered, number 1 first. requests: (alias, target, by, policy) by number.

    policy: (protected, two_person) that a request asks for, None where it is for a move. approved: of each alias that
    two persons move, what one may go back to; no part of what the registry stores of a state.
    """

    revision: int = 0
    uploads: tuple[str, ...] = ()
    first: int = 1
    deleted: bool = False
    retired: frozenset[int] = frozenset()
    aliases: Map = NOTHING
    trails: Map = NOTHING
    policies: Map = NOTHING
    requests: Map = NOTHING
    tags: tuple[str, ...] | None = None
    approved: Map = field(default=NOTHING, compare=False)

    @property
    def latest(self) -> int:
        return len(self.uploads)


def apply(state: State, asked: tuple) -> tuple[State, Any]:
    """The state after a call and its answer; ("refused", error) for one that is refused."""
    (name, *args), by, may_promote = asked
    try:
        if name == "register":
            return _register(state, *args)
        if name == "undelete":
            return _undelete(state)
        if name == "read":
            return state, state
        if name == "delete" and state.deleted:
            return state, None
        if state.deleted or not state.uploads:
            raise Refused("NotFound")
        after, answer = CALLS[name](state, by, may_promote, *args)
    except Refused as refused:
        return state, ("refused", *refused.args)
    return (after if after is state else replace(after, revision=state.revision + 1)), answer


def _register(state: State, upload: str) -> tuple[State, int]:
    if upload in state.uploads:  # in an earlier life of the name, too
        return state, state.uploads.index(upload) + 1
    number = state.latest + 1
    if state.deleted or not state.uploads:  # the name is used for the first time, or again
        state = State(state.revision, state.uploads, first=number, policies=state.policies, approved=state.approved)
    if "production" not in state.aliases and not state.policies.get("production", (True, False))[1]:
        state = replace(state, aliases=Map(production=str(number)), trails=Map(production=()))
    return replace(state, revision=state.revision + 1, uploads=(*state.uploads, upload)), number


def _undelete(state: State) -> tuple[State, Any]:
    if not state.uploads:
        raise Refused("NotFound")
    return (replace(state, deleted=False, revision=state.revision + 1) if state.deleted else state), None


def numbers(target: str) -> set[int]:
    """All versions that a target names."""
    split, _, shadow = target.partition(" with ")
    found = re.findall(r"(\d+):", split) or [split]
    return {int(number) for number in [*found, *re.findall(r"\d+", shadow)]}


def _serving(target: str) -> str:
    return target.partition(" with ")[0]


def _usable(state: State, target: str) -> None:
    for number in numbers(target):
        if not state.first <= number <= state.latest or number in state.retired:
            raise Refused("NotFound")


def _allow(state: State, alias: str, may_promote: bool, *, direct: bool = True) -> None:
    protected, two_person = state.policies.get(alias, (alias == "production", False))
    if (protected or two_person) and not may_promote:
        raise Refused("Forbidden")
    if two_person and direct:
        raise Refused("Conflict")


def _set(state: State, alias: str, target: str | None, trail: tuple[str, ...]) -> State:
    """Requests to move this alias are void."""
    requests = Map({number: asked for number, asked in state.requests.items() if asked[0] != alias})
    if target is None:
        return replace(
            state, aliases=state.aliases.without(alias), trails=state.trails.without(alias), requests=requests
        )
    aliases, trails = state.aliases.having(alias, target), state.trails.having(alias, trail[-TRAIL:])
    return replace(state, aliases=aliases, trails=trails, requests=requests)


def _forward(state: State, alias: str, target: str) -> State:
    trail = state.trails.get(alias, ())
    present = state.aliases.get(alias)
    if present is not None and _serving(present) != _serving(target):
        trail = (*trail, _serving(present))
    return _set(state, alias, target, trail)


def _move(state: State, by: str, may_promote: bool, alias: str, target: str) -> tuple[State, None]:
    _usable(state, target)
    _allow(state, alias, may_promote)
    return (state if state.aliases.get(alias) == target else _forward(state, alias, target)), None


def _rollback(state: State, by: str, may_promote: bool, alias: str, version: int | None = None) -> tuple[State, None]:
    if alias not in state.aliases:
        raise Refused("NotFound")
    _allow(state, alias, may_promote, direct=False)
    trail = state.trails[alias]
    if state.policies.get(alias, (False, False))[1]:
        reachable = tuple(target for target in trail if target in state.approved[alias])
    else:
        reachable = trail
    if version is None:
        target = next((t for t in reversed(reachable) if not numbers(t) & state.retired), None)
        if target is None:
            raise Refused("Conflict")
    else:
        target = str(version)
        _allow(state, alias, may_promote, direct=target not in reachable)
    if target == state.aliases[alias]:
        return state, None
    _usable(state, target)
    return _set(state, alias, target, _until_last(trail, target)), None


def _until_last(trail: tuple[str, ...], target: str) -> tuple[str, ...]:
    places = [place for place, earlier in enumerate(trail) if earlier == target]
    return trail[: places[-1]] if places else trail


def _unalias(state: State, by: str, may_promote: bool, alias: str) -> tuple[State, None]:
    if alias not in state.aliases:
        raise Refused("NotFound")
    _allow(state, alias, may_promote)
    return _set(state, alias, None, ()), None


def _policy(
    state: State, by: str, may_promote: bool, alias: str, protected: bool, two_person: bool
) -> tuple[State, None]:
    present = state.policies.get(alias, (alias == "production", False))
    if present == (protected, two_person):
        return state, None
    if _strength(protected, two_person) < _strength(*present):
        _allow(state, alias, may_promote)
    standing = frozenset({_serving(state.aliases[alias])} if alias in state.aliases else ())
    policies, approved = state.policies.having(alias, (protected, two_person)), state.approved.having(alias, standing)
    return replace(state, policies=policies, approved=approved), None


def _strength(protected: bool, two_person: bool) -> int:
    return 2 if two_person else int(protected)


def _free(state: State, by: str, may_promote: bool, alias: str, protected: bool) -> tuple[State, int]:
    """Request that an alias is moved by one person again."""
    if alias not in state.aliases:
        raise Refused("NotFound")
    _allow(state, alias, may_promote, direct=False)
    if not state.policies.get(alias, (False, False))[1]:
        raise Refused("BadInput")
    return _waiting(state, (alias, state.aliases[alias], by, (protected, False)))


def _request(state: State, by: str, may_promote: bool, alias: str, target: str) -> tuple[State, int]:
    _usable(state, target)
    if state.aliases.get(alias) == target:
        raise Refused("BadInput")
    return _waiting(state, (alias, target, by, None))


def _waiting(state: State, request: tuple[str, str, str, tuple[bool, bool] | None]) -> tuple[State, int]:
    for number, other in state.requests.items():
        if other == request:
            return state, number
    if len(state.requests) >= MAX_OPEN:
        raise Refused("Conflict")
    number = state.revision + 1
    return replace(state, requests=state.requests.having(number, request)), number


def _approve(state: State, by: str, may_promote: bool, number: int) -> tuple[State, None]:
    alias, target, asker, policy = _open(state, number)
    _allow(state, alias, may_promote, direct=False)
    if by == asker:
        raise Refused("Forbidden")
    if policy is not None:
        policies, requests = state.policies.having(alias, policy), state.requests.without(number)
        return replace(state, policies=policies, requests=requests), None
    _usable(state, target)
    approved = state.approved.having(alias, state.approved.get(alias, frozenset()) | {_serving(target)})
    return _forward(replace(state, approved=approved), alias, target), None


def _reject(state: State, by: str, may_promote: bool, number: int) -> tuple[State, None]:
    alias, _, asker, _ = _open(state, number)
    if by != asker:
        _allow(state, alias, may_promote, direct=False)
    return replace(state, requests=state.requests.without(number)), None


def _open(state: State, number: int) -> tuple[str, str, str, tuple[bool, bool] | None]:
    if number not in state.requests:
        raise Refused("NotFound")
    return state.requests[number]


def _retire(state: State, by: str, may_promote: bool, number: int) -> tuple[State, None]:
    if number in state.retired:
        return state, None
    _usable(state, str(number))
    if any(number in numbers(target) for target in state.aliases.values()):
        raise Refused("Conflict")
    return replace(state, retired=state.retired | {number}), None


def _restore(state: State, by: str, may_promote: bool, number: int) -> tuple[State, None]:
    if number in state.retired:
        return replace(state, retired=state.retired - {number}), None
    _usable(state, str(number))
    return state, None


def _edit(state: State, by: str, may_promote: bool, tags: tuple[str, ...]) -> tuple[State, None]:
    return (state if state.tags == tags else replace(state, tags=tags)), None


def _delete(state: State, by: str, may_promote: bool) -> tuple[State, None]:
    return replace(state, deleted=True, requests=Map()), None


CALLS = {
    "move": _move,
    "rollback": _rollback,
    "unalias": _unalias,
    "policy": _policy,
    "free": _free,
    "request": _request,
    "approve": _approve,
    "reject": _reject,
    "retire": _retire,
    "restore": _restore,
    "edit": _edit,
    "delete": _delete,
}
