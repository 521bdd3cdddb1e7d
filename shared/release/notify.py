"""Who is told of the watcher's moves, and what: one message for each record with evidence, at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shared import keys
from shared.errors import Unavailable
from shared.registry import record_views, signatures
from shared.registry.log import Log, decode
from shared.registry.state import Record
from shared.storage.base import ObjectNotFound


class Message(msgspec.Struct, frozen=True, tag_field="format", tag=1, kw_only=True):
    """id: the same if it comes again. kind: rollback or step. aliases: where they point now; evidence: why."""

    id: str
    model: str
    revision: int
    at: str
    kind: str
    reason: str
    aliases: Any
    evidence: Any

    @property
    def subject(self) -> str:
        verb = "rolled back" if self.kind == "rollback" else "goes on"
        return f"{self.model}: {', '.join(self.aliases)} {verb}"

    @property
    def text(self) -> str:
        lines = [
            f"{self.model}: {self.reason}.",
            f"Record {self.revision} of {self.at}; by the watcher, without a person.",
        ]
        lines += [f"{name} is now {_target(target)}." for name, target in self.aliases.items()]
        return "\n".join([*lines, f"What it rests on: amaas history {self.model}"])


Send = Callable[[Message], None]


def message_of(log: Log, model: str, revision: int) -> Message | None:
    """What there is to tell of a record; None for moves of persons.

    Raises Unavailable where the record is not there yet, as the mark of a change is put before it, or is not to be
    trusted.
    """
    try:
        body = log.store.get(keys.log_record(model, revision)).body
    except ObjectNotFound as error:
        raise Unavailable(f"record {revision} of model {model!r} is not there yet") from error
    if log.trusted and (problem := signatures.record_problem(body, model, log.trusted)):
        raise Unavailable(f"record {revision} of model {model!r} is not to be trusted: {problem}")
    record = decode(body)
    return _message(model, record) if record.evidence is not None else None


def _message(model: str, record: Record) -> Message:
    shown = msgspec.to_builtins(record_views.record(record))
    return Message(
        id=f"{model}/{record.revision}",
        model=model,
        revision=record.revision,
        at=record.at,
        kind=record.kind,
        reason=record.reason or "",
        aliases=shown["aliases"],
        evidence=shown["evidence"],
    )


def tell(message: Message, ways: Sequence[Send]) -> None:
    """Send a message all ways, whichever of them fails. Raises the last failure, so that it is sent again."""
    failure: Unavailable | None = None
    for send in ways:
        try:
            send(message)
        except Unavailable as error:
            failure = error
    if failure is not None:
        raise failure


def _target(target: Any) -> str:
    if not isinstance(target, dict):
        return f"version {target}" if target else "deleted"
    split = ", ".join(f"{weight} to version {version}" for version, weight in target.get("split", {}).items())
    return split or f"version {target['version']}"
