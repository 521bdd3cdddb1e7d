"""What two persons have let an alias be, where moves take two: where one may go back to, what a watcher may bring on.

The state does not say how a target came to be, so the log is asked: backwards from the newest record, each one known by
the digest that the record behind it has, to the record by which the alias began to require two persons.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared import keys
from shared.registry.fold import Broken, target_of
from shared.registry.log import Log, decode, digest
from shared.registry.state import Head, Record, Target
from shared.storage.base import get_many

MOST = 2048  # records that are looked through; what lies further back takes a request
FIRST_READ, LONGEST_READ = 16, 256  # records at once: the approval is most often among the newest


def targets(log: Log, head: Head, alias: str) -> list[Target]:
    """Without shadows: what was approved since the alias requires two persons, and what it pointed to at that moment.

    Steps of the watcher are approved with the split that they began with, and with their rules. What the alias pointed
    to is what the rule of two was set over: whoever approves the next target has seen it. Raises Broken, Unavailable.
    """
    approved = []
    for record in _backwards(log, head):
        target = record.aliases.get(alias)
        if record.kind in ("approve", "step") and target is not None:
            approved.append(target_of(target).serving)
        if alias in record.policies:
            before = log.state_at(head, record.revision - 1)
            if before.policy(alias).two_person:  # another change of the policy: two persons were needed already
                continue
            return [*approved, before.aliases[alias].target.serving] if alias in before.aliases else approved
    return approved


def release(log: Log, head: Head, alias: str) -> bool:
    """Whether the present split was approved by two persons, or follows from such a split by steps of the watcher.

    The rules of these steps were approved, too: see policies.takes_two_persons. Raises Broken, Unavailable.
    """
    since = head.aliases[alias].since
    for record in _backwards(log, head):
        if record.revision != since:
            continue
        if record.kind != "step" or record.evidence is None:
            return record.kind == "approve"
        since = record.evidence.since
    return False


def _backwards(log: Log, head: Head) -> Iterator[Record]:
    newest, size, expected = head.revision, FIRST_READ, head.digest
    end = max(head.revision - MOST, 0)
    while newest > end:
        oldest = max(newest - size, end)
        names = [keys.log_record(head.model, revision) for revision in range(newest, oldest, -1)]
        for stored in get_many(log.store, names, missing=b""):
            if digest(stored.body) != expected:
                raise Broken(f"the log of model {head.model!r} is damaged: run `amaas verify {head.model}`")
            record = decode(stored.body)
            expected = record.previous
            yield record
        newest, size = oldest, min(2 * size, LONGEST_READ)
