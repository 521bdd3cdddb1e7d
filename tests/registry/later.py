"""Stands in for later releases: commits records and states with members, kinds and numbers that this release lacks."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from shared import formats, keys
from shared.registry import signatures
from shared.registry.fold import fold
from shared.registry.log import Log
from shared.registry.state import Head, Record


def commit(
    log: Log,
    model: str,
    record: Record,
    members: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    *,
    head: bool = True,
) -> Head:
    """Commit a record with more members, after which the state has more members, too.

    head: whether head.json is written; a writer may have died before. Returns what this release would know of the
    state, if it understood it.
    """
    with mock.patch.multiple(formats, READER=99, WRITER=99):
        before = log.read(model)
        record = replace(record, revision=before.revision + 1, previous=before.digest, at="2027-01-01T00:00:00.000Z")
        after = fold(before, record, "")
    body = _with(msgspec.json.encode(record), members)
    stored = _with(signatures.encode_state(after), state)
    if log.signer is not None:
        body = signatures.attach(body, signatures.sign(log.signer, model, body, stored))
    log.store.put(keys.log_record(model, record.revision), body, if_absent=True)
    if head:
        log.store.put(keys.head(model), msgspec.json.encode(signatures.StoredHead(record=Raw(body), state=Raw(stored))))
    return after


def _with(body: bytes, members: dict[str, Any] | None) -> bytes:
    return msgspec.json.encode(json.loads(body) | (members or {}))
