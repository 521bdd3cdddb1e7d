"""Moves of an alias that one person asks for and another one approves."""

from __future__ import annotations

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden, NotFound
from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Act, Head, Record, Request, Target

MAX_OPEN = 20


def request(log: Log, model: str, alias: str, target: Target, act: Act) -> int:
    """Ask for a move. Returns the request's number, which is the revision that holds it."""
    keys.alias_name(alias)
    asked: list[int] = []

    def decide(head: Head) -> Record | None:
        aliases.usable(log, head, target)
        if alias in head.aliases and head.aliases[alias].target == target:
            raise BadInput(f"alias {alias!r} of model {model!r} is at {target} already")
        proposal = aliases.proposal(head, alias, target, act)
        same = [n for n, r in head.requests.items() if (r.alias, r.target, r.by) == (alias, target, act.by)]
        asked[:] = same or [head.revision + 1]
        if same:
            return None
        if len(head.requests) >= MAX_OPEN:
            raise Conflict(f"model {model!r} has {MAX_OPEN} open requests: approve or reject some first")
        return Record(kind="request", by=act.by, proposal=proposal)

    head = log.append(keys.model_name(model), decide, act)
    # an attempt of the same caller may have been faster, and then `asked` is of a lost race
    return head.request_of(act) or asked[0]


def approve(log: Log, model: str, number: int, act: Act) -> Head:
    """Carry out a request. Raises Forbidden for whoever made it, NotFound when it is not open any more."""

    def decide(head: Head) -> Record | None:
        asked = _open(head, number)
        aliases.allow(head, asked.alias, act)
        if act.by == asked.by:
            raise Forbidden(f"request {number} is your own: somebody else has to approve it")
        named = aliases.usable(log, head, asked.target)
        moved = {asked.alias: aliases.written(asked.target)}
        return Record(kind="approve", by=act.by, request=number, aliases={**moved}, named=named)

    return log.append(keys.model_name(model), decide, act)


def reject(log: Log, model: str, number: int, act: Act) -> Head:
    """Close a request without carrying it out: one's own, or anyone's with the right to move the alias."""

    def decide(head: Head) -> Record | None:
        asked = _open(head, number)
        if act.by != asked.by:
            aliases.allow(head, asked.alias, act)
        return Record(kind="reject", by=act.by, request=number)

    return log.append(keys.model_name(model), decide, act)


def asked_for(log: Log, model: str, number: int) -> Request:
    """A request, open or not any more. Raises NotFound."""
    held = log.records(keys.model_name(model), number, number)
    if not held or held[0].proposal is None:
        raise NotFound(f"model {model!r} has no request {number}: GET /models/{model} lists the open ones")
    return held[0].proposal


def _open(head: Head, number: int) -> Request:
    found = head.exists().requests.get(number)
    if found is None:
        raise NotFound(
            f"model {head.model!r} has no open request {number}: it has {sorted(head.requests)}; "
            "a request ends when it is approved or rejected, and when its alias moves"
        )
    return found
