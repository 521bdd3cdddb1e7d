"""Proofs of the API: whatever is sent, the answer is as described, no fault, and of the caller's own tenant."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from api.routes import handler
from bench.trust import requests
from bench.trust.deployment import OURS, SECRET, TENANT, THEIRS, principal, tenants, wired
from bench.trust.proof import LIMIT, Outcome, replaced
from shared.storage.memory import MemoryStore
from tests.proofs.stores import copy_of
from tests.support import call

PART = 1000  # calls on one world; what they change is forgotten after


def calls(count: int, seed: int) -> Outcome:
    """Half by an administrator, on one tenant's models; half by that tenant, on everybody's."""
    begun, ids = tenants()
    outcome, statuses = Outcome(0), Counter[int]()
    for part in range(count // PART):
        if LIMIT.over():
            break
        store = copy_of(begun)
        with wired(store):
            tenant = bool(part % 2)
            _part(store, ids, tenant, seed * 1000 + part, outcome, statuses)
        if tenant and _of_others(store) != _of_others(begun):
            outcome.failures.append(f"part {part}: objects of another tenant were changed")
    # 501: there is no queue for training here
    faults = sum(number for status, number in statuses.items() if status >= 500 and status != 501)
    leaks = sum("another tenant" in failure for failure in outcome.failures)
    outcome.figures = {"5xx": faults, "of another tenant": leaks}
    outcome.figures |= {"answered 2xx": _share(statuses, 2), "4xx": _share(statuses, 4)}
    return outcome


def _share(statuses: Counter[int], hundreds: int) -> int:
    return sum(number for status, number in statuses.items() if status // 100 == hundreds)


def _of_others(store: MemoryStore) -> dict[str, Any]:
    return {key: stored.etag for key, stored in store._objects.items() if key.startswith(f"models/{THEIRS}/")}


def _part(
    store: MemoryStore, ids: dict[str, str], tenant: bool, seed: int, outcome: Outcome, statuses: Counter[int]
) -> None:
    scopes, models = (TENANT, (OURS, THEIRS)) if tenant else ("admin", (OURS,))
    who, rng = principal("a" if tenant else "admin"), random.Random(seed)
    for _ in range(PART):
        function, method, path, parts = requests.draw(rng, ids, models)
        outcome.n += 1
        try:
            answer = call(handler(function), method, path, **parts, scopes=scopes, authorizer=who)
        except Exception as error:
            outcome.failures.append(f"{method} {path}: {type(error).__name__}: {str(error)[:200]}")
            continue
        statuses[answer.status] += 1
        if answer.status >= 500 and answer.status != 501:
            outcome.failures.append(f"{method} {path}: {answer.status} {answer.body[:120]!r}")
        if tenant and SECRET.encode() in answer.body:
            outcome.failures.append(f"{method} {path}: shows another tenant's data")


def without_scopes(seed: int) -> Outcome:
    """Scopes that permit everything: the other tenant's data is seen, and changed."""
    from shared.access import scopes

    with replaced((scopes, "allows", lambda *_: True)):
        return calls(2 * PART, seed)
