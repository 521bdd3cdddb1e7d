"""The registry behind the specification's calls: carries them out, and says its states in the specification's words."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shared import errors
from shared.registry import aliases, approvals, blobs, models, versions
from shared.registry.log import Log
from shared.registry.state import Change, Head, Policy, Target
from tests.proofs.model import Map, State
from tests.registry.conftest import a_version

NAME = "m"
REFUSALS = (errors.NotFound, errors.Forbidden, errors.Conflict, errors.BadInput)


def target(text: str) -> Target:
    """The registry's target of what str() of it gives."""
    serving, _, shadow = text.partition(" with ")
    split = {int(version): int(weight) for version, weight in re.findall(r"(\d+): (\d+)", serving)}
    return Target.of(split or {int(serving): 1}, int(shadow.split()[0]) if shadow else None)


def carry_out(log: Log, asked: tuple, request_id: str | None = None) -> tuple[Any, int | None]:
    """A call's answer as the specification gives it, and the revision that it shows, where it shows one.

    Raises Unavailable, and whatever else is no answer.
    """
    (name, *args), by, may_promote = asked
    change = Change(by=by, request_id=request_id, may_promote=may_promote)
    try:
        if name == "register":
            made = msgspec.structs.replace(a_version(args[0]), manifest=blobs.write(log.store, b"{}"))
            made = msgspec.structs.replace(made, model=blobs.write(log.store, b"weights"))
            return versions.register(log, NAME, made, change).version, None
        if name == "free":
            return approvals.request_policy(log, NAME, args[0], Policy(protected=args[1]), change), None
        if name == "request":
            return approvals.request(log, NAME, args[0], target(args[1]), change), None
        head = _transition(log, name, args, change)
    except REFUSALS as refused:
        kind = next(kind for kind in REFUSALS if isinstance(refused, kind))
        return ("refused", kind.__name__), None
    return (state(log, head) if name == "read" else None), head.revision


def _transition(log: Log, name: str, args: list[Any], change: Change) -> Head:
    if name == "read":
        return log.read(NAME)
    if name == "move":
        return aliases.move(log, NAME, args[0], target(args[1]), change)
    if name == "rollback":
        return aliases.rollback(log, NAME, args[0], change, args[1] if len(args) > 1 else None)
    if name == "unalias":
        return aliases.delete(log, NAME, args[0], change)
    if name == "policy":
        return aliases.set_policy(log, NAME, args[0], Policy(protected=args[1], two_person=args[2]), change)
    if name == "edit":
        return models.edit(log, NAME, change, tags=list(args[0]))
    plain = {"delete": models.delete, "undelete": models.restore}
    if name in plain:
        return plain[name](log, NAME, change)
    numbered = {"approve": approvals.approve, "reject": approvals.reject}
    numbered |= {"retire": versions.retire, "restore": versions.restore}
    return numbered[name](log, NAME, args[0], change)


def state(log: Log, head: Head) -> State:
    """A head in the specification's words."""
    every = [log.version(head, number).upload for number in range(1, head.latest + 1)] if head.latest else []
    policies = {n: (wish.protected, wish.two_person) for n, wish in approvals.open_policies(log, head).items()}
    return State(
        revision=head.revision,
        uploads=tuple(every),
        first=head.first,
        deleted=head.deleted is not None,
        retired=frozenset(head.retired),
        aliases=Map({name: str(alias.target) for name, alias in head.aliases.items()}),
        trails=Map({name: tuple(map(str, alias.trail)) for name, alias in head.aliases.items()}),
        policies=Map({name: (rule.protected, rule.two_person) for name, rule in head.policies.items()}),
        requests=Map({n: (r.alias, str(r.target), r.by, policies.get(n)) for n, r in head.requests.items()}),
        tags=None if head.tags is None else tuple(head.tags),
    )
