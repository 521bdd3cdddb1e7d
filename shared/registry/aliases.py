"""Aliases: moved, split, shadowed, rolled back, taken away; and who may do so."""

from __future__ import annotations

from shared import keys
from shared.errors import BadInput, Conflict, Forbidden
from shared.registry.log import Log
from shared.registry.state import PRODUCTION, Act, Head, Policy, Record, Request, Target, Version


def move(log: Log, model: str, alias: str, target: Target, act: Act) -> Head:
    """Point an alias at a version, or at several by weight. Writes nothing when it is there already.

    Raises NotFound for versions that there are not or that are retired, Forbidden for a protected alias, Conflict for
    one that two persons have to move.
    """
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        named = usable(log, head, target)
        allow(head, alias, act)
        direct(head, alias)
        if alias in head.aliases and head.aliases[alias].target == target:
            return None
        return Record(kind="alias", by=act.by, aliases={alias: written(target)}, named=named)

    return log.append(keys.model_name(model), decide, act)


def rollback(log: Log, model: str, alias: str, act: Act, version: int | None = None) -> Head:
    """Send an alias back to what it named before, or to a named version. A second rollback goes further back.

    What an alias named once was approved then, so going back there takes one person even where moves take two.
    Raises Conflict when nothing is left to go back to.
    """
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        present = head.exists().alias(alias)
        allow(head, alias, act)
        target = _earlier(head, alias) if version is None else Target(version=version)
        if version is not None and target not in present.trail:
            direct(head, alias)
        if target == present.target:
            return None
        named = usable(log, head, target)
        return Record(kind="rollback", by=act.by, aliases={alias: written(target)}, named=named)

    return log.append(keys.model_name(model), decide, act)


def _earlier(head: Head, alias: str) -> Target:
    trail = head.aliases[alias].trail
    found = next((target for target in reversed(trail) if not target.numbers & head.retired.keys()), None)
    if found is None:
        raise Conflict(
            f"alias {alias!r} of model {head.model!r} has nothing to go back to: "
            f"name the version to roll back to (GET /models/{head.model}/versions lists them)"
        )
    return found


def delete(log: Log, model: str, alias: str, act: Act) -> Head:
    """Take an alias away; its history stays. `production` cannot go: callers who name no version rely on it."""
    if keys.alias_name(alias) == PRODUCTION:
        raise BadInput("the alias 'production' cannot be deleted: point it at another version")

    def decide(head: Head) -> Record | None:
        head.exists().alias(alias)
        allow(head, alias, act)
        direct(head, alias)
        return Record(kind="unalias", by=act.by, aliases={alias: None})

    return log.append(keys.model_name(model), decide, act)


def set_policy(log: Log, model: str, alias: str, policy: Policy, act: Act) -> Head:
    """Say who may move an alias, whether it is there yet or not."""
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        if head.exists().policy(alias) == policy:
            return None
        return Record(kind="policy", by=act.by, policies={alias: policy})

    return log.append(keys.model_name(model), decide, act)


def usable(log: Log, head: Head, target: Target) -> list[Version]:
    """Check that a target's versions are there and in use. Returns those that the head has sealed away."""
    head.exists()
    numbers = [head.usable(number) for number in sorted(target.numbers)]
    return [log.version(head, number) for number in numbers if number not in head.versions]


def allow(head: Head, alias: str, act: Act) -> None:
    """Raises Forbidden when the alias is protected and the caller may not move such."""
    policy = head.policy(alias)
    if (policy.protected or policy.two_person) and not act.may_promote:
        raise Forbidden(
            f"alias {alias!r} of model {head.model!r} is protected: moving it takes a token with scope 'promote' "
            f"(or promote:{head.model}); ask for approval with POST /models/{head.model}/aliases/{alias}/requests"
        )


def direct(head: Head, alias: str) -> None:
    """Raises Conflict when the alias may be moved only by a request that somebody else approves."""
    if head.policy(alias).two_person:
        raise Conflict(
            f"alias {alias!r} of model {head.model!r} is moved by two persons: make a request "
            f"(POST /models/{head.model}/aliases/{alias}/requests), which somebody else approves"
        )


def written(target: Target) -> int | Target:
    """A plain move is written as the number alone."""
    return target.version if target == Target(version=target.version) else target


def proposal(head: Head, alias: str, target: Target, act: Act) -> Request:
    since = head.aliases[alias].since if alias in head.aliases else 0
    return Request(alias=alias, target=target, by=act.by, since=since)
