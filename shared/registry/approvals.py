"""Move requests: moves of an alias, and of its policy, that one person requests and another person approves.

Tokens stand for persons. Two tokens are one person's if they are the same, if one descends from the other, or if both
descend from one: who creates or rotates a token has seen its secret. Persons that an operator named, and subjects of
JWTs, are among the ancestors (access/people.py). Only operators make tokens of different persons.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden, NotFound
from shared.registry import aliases, policies
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Change, Head, MoveRequest, Policy, Record, Target

MAX_OPEN = 20
NOBODY = {"operator", ""}  # among ancestors: what an operator, or an unknown creator, made has no more in common


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
        _require_room(head)
        since = head.aliases[alias].since if alias in head.aliases else 0
        proposal = MoveRequest(alias=alias, target=target, by=change.by, since=since)
        return Record(kind="request", by=change.by, proposal=proposal, ancestors=list(change.ancestors))

    head = log.append(keys.model_name(model), decide, change)
    # a concurrent attempt with the same idempotency key may have won, and then `number` is of the lost race
    return head.revision_of(change) or number


def request_policy(
    log: Log,
    model: str,
    alias: str,
    policy: Policy | None,
    change: Change,
    release: ReleasePolicy | UnsetType | None = UNSET,
) -> int:
    """Request a policy that takes two persons to set. Returns the request's number. policy, release: see set_policy.

    The record has the alias' present target, and the policy as a member of its own, which is no part of the state: a
    release that does not know it moves nothing when it approves.

    Raises NotFound for an alias that points nowhere; BadInput if the policy can be set without a request.
    """
    keys.alias_name(alias)
    number = 0

    def decide(head: Head) -> Record | None:
        nonlocal number
        present = head.require_existing().alias(alias)
        aliases.require_may_move(head, alias, change)
        had = head.policy(alias)
        wanted = policies.after(had, policy, release)
        if not (had.two_person and policies.takes_two_persons(had, wanted)):
            raise BadInput(f"no request is needed for this: PUT /models/{model}/aliases/{alias}/policy")
        open_requests = open_policies(log, head)
        same = [n for n, other in open_requests.items() if other == wanted and _is_by(head, n, alias, change)]
        number = same[0] if same else head.revision + 1
        if same:
            return None
        _require_room(head)
        proposal = MoveRequest(alias=alias, target=present.target, by=change.by, since=present.since)
        return Record(
            kind="request", by=change.by, proposal=proposal, wanted_policy=wanted, ancestors=list(change.ancestors)
        )

    head = log.append(keys.model_name(model), decide, change)
    return head.revision_of(change) or number


def _is_by(head: Head, number: int, alias: str, change: Change) -> bool:
    return (head.requests[number].alias, head.requests[number].by) == (alias, change.by)


def _require_room(head: Head) -> None:
    """Raises Conflict."""
    if len(head.requests) >= MAX_OPEN:
        raise Conflict(f"model {head.model!r} has {MAX_OPEN} open requests: approve or reject some first")


def open_policies(log: Log, head: Head) -> dict[int, Policy]:
    """The policies that open requests ask for, by their numbers. Reads nothing where no request can be for a policy."""
    wanted_policies = {}
    for number, request in head.requests.items():
        # a move to where the alias points already is never requested
        if request.alias in head.aliases and head.aliases[request.alias].target == request.target:
            wanted = _request_record(log, head.model, number).wanted_policy
            if wanted is not None:
                wanted_policies[number] = wanted
    return wanted_policies


def approve(log: Log, model: str, number: int, change: Change) -> Head:
    """Carry out a request. Raises Forbidden for the requester, NotFound if the request is not open."""

    def decide(head: Head) -> Record | None:
        request = _open_request(head, number)
        aliases.require_may_move(head, request.alias, change)
        requested = _request_record(log, model, number)
        _require_other_person(request, requested.ancestors, change, number)
        if requested.wanted_policy is not None:
            approved = {request.alias: requested.wanted_policy}
            return Record(kind="approve", by=change.by, request=number, policies=approved)
        unarchived = aliases.require_usable(log, head, request.target)
        return Record(
            kind="approve",
            by=change.by,
            request=number,
            aliases={request.alias: aliases.compact(request.target)},
            unarchived=unarchived,
        )

    return log.append(keys.model_name(model), decide, change)


def _require_other_person(request: MoveRequest, ancestors: list[str], change: Change, number: int) -> None:
    """ancestors: of the requester's token. Raises Forbidden."""
    if change.by == request.by:
        raise Forbidden(f"move request {number} is your own: another person has to approve it")
    if ({request.by, *ancestors} & {change.by, *change.ancestors}) - NOBODY:
        raise Forbidden(
            f"move request {number} is of token {request.by}, which is the same person's as yours: both descend from "
            "one token, or one from the other. Another person has to approve it, with a token that an operator made "
            "for that person (make token)"
        )


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
    request = _request_record(log, keys.model_name(model), number).proposal
    assert request is not None
    return request


def wanted_policy(log: Log, model: str, number: int) -> Policy:
    """What a request for a policy asks for. Raises NotFound."""
    wanted = _request_record(log, keys.model_name(model), number).wanted_policy
    assert wanted is not None
    return wanted


def _request_record(log: Log, model: str, number: int) -> Record:
    """The record that a request was made with. Raises NotFound."""
    records = log.records(model, number, number)
    if not records or records[0].proposal is None:
        raise NotFound(f"model {model!r} has no move request {number}: GET /models/{model} lists the open ones")
    return records[0]


def _open_request(head: Head, number: int) -> MoveRequest:
    request = head.require_existing().requests.get(number)
    if request is None:
        raise NotFound(
            f"model {head.model!r} has no open move request {number}: the open ones are {sorted(head.requests)}; "
            "a request is closed when it is approved or rejected, and when its alias moves"
        )
    return request
