"""Move requests: moves of an alias that one person requests and another person approves."""

from __future__ import annotations

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden, NotFound
from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Change, Head, MoveRequest, Record, Target

MAX_OPEN = 20


def request(log: Log, model: str, alias: str, target: Target, change: Change) -> int:
    """Request a move. Returns the request's number, which is the revision of its record."""
    keys.alias_name(alias)
    number = 0

    def decide(head: Head) -> Record | None:
        nonlocal number
        aliases.require_usable(log, head, target)
        if alias in head.aliases and head.aliases[alias].target == target:
            raise BadInput(f"alias {alias!r} of model {model!r} points to {target} already: no request is needed")
        same = [n for n, r in head.requests.items() if (r.alias, r.target, r.by) == (alias, target, change.by)]
        number = same[0] if same else head.revision + 1
        if same:
            return None
        if len(head.requests) >= MAX_OPEN:
            raise Conflict(f"model {model!r} has {MAX_OPEN} open requests: approve or reject some first")
        since = head.aliases[alias].since if alias in head.aliases else 0
        proposal = MoveRequest(alias=alias, target=target, by=change.by, since=since)
        return Record(kind="request", by=change.by, proposal=proposal)

    head = log.append(keys.model_name(model), decide, change)
    # a concurrent attempt with the same idempotency key may have won, and then `number` is of the lost race
    return head.revision_of(change) or number


def approve(log: Log, model: str, number: int, change: Change) -> Head:
    """Carry out a move request. Raises Forbidden for the requester, NotFound if the request is not open."""

    def decide(head: Head) -> Record | None:
        request = _open_request(head, number)
        aliases.require_may_move(head, request.alias, change)
        if change.by == request.by:
            raise Forbidden(f"move request {number} is your own: another person has to approve it")
        unarchived = aliases.require_usable(log, head, request.target)
        return Record(
            kind="approve",
            by=change.by,
            request=number,
            aliases={request.alias: aliases.compact(request.target)},
            unarchived=unarchived,
        )

    return log.append(keys.model_name(model), decide, change)


def reject(log: Log, model: str, number: int, change: Change) -> Head:
    """Close a move request without carrying it out. Requesters may reject their own.

    Raises Forbidden for others who may not move the alias, NotFound if the request is not open.
    """

    def decide(head: Head) -> Record | None:
        request = _open_request(head, number)
        if change.by != request.by:
            aliases.require_may_move(head, request.alias, change)
        return Record(kind="reject", by=change.by, request=number)

    return log.append(keys.model_name(model), decide, change)


def get_request(log: Log, model: str, number: int) -> MoveRequest:
    """A move request, open or closed. Raises NotFound."""
    records = log.records(keys.model_name(model), number, number)
    if not records or records[0].proposal is None:
        raise NotFound(f"model {model!r} has no move request {number}: GET /models/{model} lists the open ones")
    return records[0].proposal


def _open_request(head: Head, number: int) -> MoveRequest:
    request = head.require_existing().requests.get(number)
    if request is None:
        raise NotFound(
            f"model {head.model!r} has no open move request {number}: the open ones are {sorted(head.requests)}; "
            "a request is closed when it is approved or rejected, and when its alias moves"
        )
    return request
