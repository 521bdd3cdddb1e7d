"""The day on which a token was used last: coarse, written once a day and token, and never a reason to refuse a call.

It is information for people, and not sealed. What is known of a day is remembered, so that only the first call of a
token on a day, in each process, looks; and only the first of all writes.
"""

from __future__ import annotations

import logging

import msgspec
from msgspec import Struct

from shared import keys
from shared.clock import now
from shared.errors import AmaasError
from shared.formats import DAMAGED
from shared.storage.base import Object, ObjectNotFound, Store

MAX_REMEMBERED = 10_000  # tokens

logger = logging.getLogger(__name__)


class LastUse(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """day: as 2026-01-31, in UTC."""

    day: str


LAST_USE = msgspec.json.Decoder(LastUse)


class Usage:
    """What a process knows of tokens' last uses. Safe to share between threads."""

    def __init__(self) -> None:
        self._days: dict[str, str] = {}

    def look_up(self, store: Store, identity: str) -> None:
        """Learn what is stored of a token, unless that is known for today."""
        if self._days.get(identity) == now()[:10]:
            return
        if len(self._days) >= MAX_REMEMBERED:
            self._days.clear()
        try:
            self._days[identity] = read(store.get(keys.token(identity, keys.USED)))
        except ObjectNotFound:
            self._days[identity] = ""
        except AmaasError as error:
            logger.warning("a last use was not read", extra={"token": identity, "why": str(error)})

    def note(self, store: Store, identity: str) -> None:
        """Store that a token was used today, unless that is known."""
        today = now()[:10]
        if self._days.get(identity, today) == today:
            return
        try:
            store.put(
                keys.token(identity, keys.USED),
                msgspec.json.encode(LastUse(day=today)),
                content_type="application/json",
            )
        except AmaasError as error:
            logger.warning("a last use was not noted", extra={"token": identity, "why": str(error)})
        self._days[identity] = today


def read(stored: Object) -> str:
    """The day, or "" for an object that says none."""
    try:
        return LAST_USE.decode(stored.body).day
    except DAMAGED:
        return ""
