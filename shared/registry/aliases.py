"""Aliases: moved, split, shadowed, rolled back, deleted; and who may do so."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden
from shared.registry import policies
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import PRODUCTION, Change, Head, Policy, Record, Target, Version


def move(log: Log, model: str, alias: str, target: Target, change: Change) -> Head:
    """Point an alias to a version, or to several by weight. Writes nothing if that is its target already.

    Raises NotFound for versions that do not exist or are retired, Forbidden if the alias is protected and the caller
    may not move it, Conflict if only an approved move request moves it.
    """
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        unarchived = require_usable(log, head, target)
        require_may_move(head, alias, change)
        require_single_approval(head, alias)
        if alias in head.aliases and head.aliases[alias].target == target:
            return None
        return Record(kind="alias", by=change.by, aliases={alias: compact(target)}, unarchived=unarchived)

    return log.append(keys.model_name(model), decide, change)


def rollback(log: Log, model: str, alias: str, change: Change, version: int | None = None) -> Head:
    """Point an alias back to its previous target, or to a version. A second rollback goes further back.

    Where moves take two persons, one may go back to what two have let it be, and no further (approved.py).
    Raises Conflict if there is no previous target, or only another person's approval leads to it.
    """
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        present = head.require_existing().alias(alias)
        require_may_move(head, alias, change)
        reachable = reachable_targets(log, head, alias)
        target = _previous_target(head, alias, reachable) if version is None else Target(version=version)
        if target not in reachable:
            require_single_approval(head, alias)
        if target == present.target:
            return None
        unarchived = require_usable(log, head, target)
        return Record(kind="rollback", by=change.by, aliases={alias: compact(target)}, unarchived=unarchived)

    return log.append(keys.model_name(model), decide, change)


def reachable_targets(log: Log, head: Head, alias: str) -> list[Target]:
    """The previous targets that one person may go back to, newest last."""
    trail = head.aliases[alias].trail
    if not trail or not head.policy(alias).two_person:
        return trail
    from shared.registry import approved  # for the few rollbacks of such an alias

    targets = approved.targets(log, head, alias)
    return [earlier for earlier in trail if earlier in targets]


def _previous_target(head: Head, alias: str, reachable: list[Target]) -> Target:
    """The newest one without retired versions. Raises Conflict."""
    target = next((earlier for earlier in reversed(reachable) if not earlier.numbers & head.retired.keys()), None)
    if target is None and head.aliases[alias].trail:
        require_single_approval(head, alias)
    if target is None:
        raise Conflict(
            f"alias {alias!r} of model {head.model!r} has no previous target to roll back to: "
            f"state the version to roll back to (GET /models/{head.model}/versions lists them)"
        )
    return target


def delete(log: Log, model: str, alias: str, change: Change) -> Head:
    """Delete an alias; its history stays. Not `production`: it is the default of calls without a version."""
    if keys.alias_name(alias) == PRODUCTION:
        raise BadInput("the alias 'production' cannot be deleted: point it at another version")

    def decide(head: Head) -> Record | None:
        head.require_existing().alias(alias)
        require_may_move(head, alias, change)
        require_single_approval(head, alias)
        return Record(kind="unalias", by=change.by, aliases={alias: None})

    return log.append(keys.model_name(model), decide, change)


def set_policy(
    log: Log,
    model: str,
    alias: str,
    policy: Policy | None,
    change: Change,
    release: ReleasePolicy | UnsetType | None = UNSET,
) -> Head:
    """Set who may move an alias, which need not exist yet, and how its canaries are watched.

    policy: without its member `release`; None leaves it as it is, as UNSET does with `release`. What makes the alias
    less safe, and every change of `release`, needs what a move of the alias needs. Raises Forbidden if the caller may
    not move it, Conflict if only an approved request may.
    """
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        present = head.require_existing().policy(alias)
        wanted = policies.after(present, policy, release)
        if present == wanted:
            return None
        if policies.strength(wanted) < policies.strength(present) or wanted.release != present.release:
            require_may_move(head, alias, change)
        if policies.takes_two_persons(present, wanted):
            raise Conflict(
                f"alias {alias!r} of model {model!r} requires two persons, also to {_wish(present, wanted)}: request "
                f"it with POST /models/{model}/aliases/{alias}/policy/requests, and another person approves it"
            )
        return Record(kind="policy", by=change.by, policies={alias: wanted})

    return log.append(keys.model_name(model), decide, change)


def _wish(present: Policy, wanted: Policy) -> str:
    """What two persons are needed for."""
    if policies.strength(wanted) < policies.strength(present):
        return "take this back"
    begin = "" if present.two_person else " (set two_person first, without promote)"
    return f"let its canaries go on by themselves{begin}"


def require_usable(log: Log, head: Head, target: Target) -> list[Version]:
    """Check a target's versions. Returns the archived ones, which the record has to bring back into the head.

    Raises NotFound for versions that do not exist, or are retired.
    """
    head.require_existing()
    numbers = [head.require_usable(number) for number in sorted(target.numbers)]
    return [log.version(head, number) for number in numbers if number not in head.versions]


def require_may_move(head: Head, alias: str, change: Change) -> None:
    """Raises Forbidden if the alias is protected and the caller may not move protected aliases."""
    policy = head.policy(alias)
    if (policy.protected or policy.two_person) and not change.may_promote:
        raise Forbidden(
            f"alias {alias!r} of model {head.model!r} is protected: to move it, use a token with scope 'promote' "
            f"(or promote:{head.model}), or request approval with POST /models/{head.model}/aliases/{alias}/requests"
        )


def require_single_approval(head: Head, alias: str) -> None:
    """Raises Conflict if only a move request that another person approves may move the alias."""
    if head.policy(alias).two_person:
        raise Conflict(
            f"alias {alias!r} of model {head.model!r} requires two persons: create a move request "
            f"(POST /models/{head.model}/aliases/{alias}/requests), which another person approves"
        )


def compact(target: Target) -> int | Target:
    """The stored form of a target: the number alone for a single version without a shadow."""
    return target.version if target == Target(version=target.version) else target
