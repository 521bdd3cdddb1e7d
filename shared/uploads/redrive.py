"""Redrive: what the ingest function gave up on is tried again, by an operator who has mended the cause.

Events that failed in all deliveries wait in a queue (template.yaml: IngestFailures). Each names an upload; redriven, an
upload that failed or has not ended gets all its attempts again, and the next look for unfinished uploads checks it. The
message is removed when that is stored: a redriven upload that fails again has its state and its alarm, and no message.
"""

from __future__ import annotations

import logging
from typing import Literal, Protocol

import msgspec
from msgspec import Struct, field

from shared import keys
from shared.errors import BadInput, NotFound
from shared.formats import DAMAGED
from shared.storage.base import Store
from shared.uploads import forms, inbox, states
from shared.uploads.forms import UploadSession

logger = logging.getLogger(__name__)


class Letter(Struct, frozen=True):
    """A message of the queue. receipt: what removes it."""

    receipt: str
    body: str


class LetterQueue(Protocol):
    """Raises Unavailable."""

    def receive(self) -> list[Letter]:
        """Some messages, which nobody else receives for a while; none if the queue is empty."""
        ...

    def remove(self, letter: Letter) -> None: ...


class Redriven(Struct, frozen=True, omit_defaults=True):
    """What a redrive did. outcome: `ended`, there was a verdict already; `gone`, the files are."""

    outcome: Literal["reopened", "ended", "gone", "no upload"]
    upload_id: str | None = None
    model: str | None = None
    state: str | None = None


class StoredObject(Struct):
    key: str


class Entity(Struct):
    object: StoredObject


class EventRecord(Struct):
    s3: Entity


class Event(Struct):
    records: list[EventRecord] = field(name="Records", default_factory=list)


class FailedInvocation(Struct):
    """What Lambda writes of an event that failed in all deliveries, as far as it is needed."""

    payload: Event = field(name="requestPayload", default_factory=Event)


FAILED_INVOCATION = msgspec.json.Decoder(FailedInvocation)


def redrive_queue(store: Store, queue: LetterQueue, limit: int) -> list[Redriven]:
    """Redrive the uploads that the queue's messages name, until it is empty or `limit` messages are done."""
    outcomes: list[Redriven] = []
    done = 0
    while done < limit and (letters := queue.receive()):
        for letter in letters:
            for outcome in _redrive_letter(store, letter):
                outcomes.append(outcome)
            queue.remove(letter)
            done += 1
    return outcomes


def redrive_upload(store: Store, upload_id: str) -> Redriven:
    """Redrive one upload. Raises NotFound, BadInput."""
    return _reopen(store, states.read_session(store, upload_id))


def _redrive_letter(store: Store, letter: Letter) -> list[Redriven]:
    try:
        records = FAILED_INVOCATION.decode(letter.body).payload.records
    except DAMAGED:
        records = []
    # a look for unfinished uploads that failed has no record, and needs no redrive: the next one is due soon
    return [_redrive_object(store, record.s3.object.key) for record in records] or [Redriven("no upload")]


def _redrive_object(store: Store, raw_key: str) -> Redriven:
    key = keys.decode_event_key(raw_key)
    try:
        named = keys.parse_upload_file(key)
        if named:
            return redrive_upload(store, named[0])
        package = inbox.package_of(store, key) if key.startswith(keys.INBOX) else None
        return _reopen(store, inbox.open_session(store, package, "inbox")) if package else Redriven("no upload")
    except BadInput:
        return Redriven("no upload")
    except NotFound:
        return Redriven("gone")


def _reopen(store: Store, session: UploadSession) -> Redriven:
    upload = states.reopen(store, session)
    outcome: Literal["ended", "reopened"] = "ended" if upload.state in forms.FINAL else "reopened"
    redriven = Redriven(outcome, upload.upload_id, upload.model, upload.state)
    logger.info("redriven", extra=msgspec.to_builtins(redriven))
    return redriven
