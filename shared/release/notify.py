"""Who is told of the watcher's moves, and what: one message for each record with evidence, at least once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from shared import deadline, keys
from shared.errors import Unavailable
from shared.registry import record_views, signatures
from shared.registry.log import Log, decode
from shared.registry.state import Record
from shared.storage.base import ObjectNotFound

# seconds between looks for a record, whose event may come first: its delivery again takes a minute, and is an error
PAUSES = (0.1, 0.2, 0.4, 0.8)


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

    Raises Unavailable where the record is still not there after some looks, as the mark of a change is put before it,
    or is not to be trusted.
    """
    body = _awaited(log, model, revision)
    if log.trusted and (problem := signatures.record_problem(body, model, log.trusted)):
        raise Unavailable(f"record {revision} of model {model!r} is not to be trusted: {problem}")
    record = decode(body)
    return _message(model, record) if record.evidence is not None else None


def _awaited(log: Log, model: str, revision: int) -> bytes:
    """A record, which may be there a moment later. Raises Unavailable where it is not, or there is no time to wait."""
    for pause in PAUSES:
        with suppress(ObjectNotFound):
            return log.store.get(keys.log_record(model, revision)).body
        remaining = deadline.remaining()
        if remaining is not None and remaining < pause:
            break
        time.sleep(pause)
    try:
        return log.store.get(keys.log_record(model, revision)).body
    except ObjectNotFound as error:
        raise Unavailable(f"record {revision} of model {model!r} is not there yet") from error


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
