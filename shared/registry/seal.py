"""The deployment's signature over each record, and over the state that follows from it.

One signature does for both, so a transition signs once: it covers the record without its seal, and the state without
the digest of the record (which contains the seal). Whoever reads the cached state checks it without reading the log;
whoever reads the log checks the last record, since records are chained.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from shared.registry.state import DAMAGED, HEAD, RECORD, Head, Record, Seal
from shared.signing import p256
from shared.signing.base import Signer, fingerprint


class Stored(Struct, frozen=True, kw_only=True):
    """What is stored as head.json: the newest record, to the byte, and the state after it without its digest."""

    record: Raw
    state: Raw


STORED = msgspec.json.Decoder(Stored)


def state(head: Head) -> bytes:
    return msgspec.json.encode(replace(head, digest=""))


def content(record: Record) -> bytes:
    return msgspec.json.encode(replace(record, seal=None))


def make(signer: Signer, record: Record, after: Head) -> Seal:
    """Sign a record together with the state after it. Raises Unavailable."""
    digests = _sha256(content(record)), _sha256(state(after))
    # in its normal form: with two valid signatures, a record could be exchanged for an equal one of another digest
    signature = base64.b64encode(p256.low_s(signer.sign(_message(after.model, *digests)))).decode()
    return Seal(key=fingerprint(signer.public), content=digests[0], state=digests[1], signature=signature)


def wrong(seal: Seal | None, model: str, trusted: Sequence[bytes]) -> str | None:
    """Why a seal proves nothing, or None if one of the trusted keys (DER) made it."""
    if seal is None:
        return "it is not signed"
    key = next((public for public in trusted if fingerprint(public) == seal.key), None)
    if key is None:
        return f"it is signed with the key {seal.key}, which this deployment does not trust"
    try:
        signature = base64.b64decode(seal.signature, validate=True)
    except (binascii.Error, ValueError):
        return "its signature is no base64"
    if base64.b64encode(p256.low_s(signature)).decode() != seal.signature:
        return "its signature is not in its normal form"
    return None if p256.verify(key, _message(model, seal.content, seal.state), signature) else "its signature is wrong"


def wrong_record(record: Record, model: str, trusted: Sequence[bytes]) -> str | None:
    if record.seal is not None and record.seal.content != _sha256(content(record)):
        return "its signature is for another content"
    return wrong(record.seal, model, trusted)


def encode_head(head: Head, record: bytes) -> bytes:
    """What to store as head.json. record: the bytes of the newest record."""
    return msgspec.json.encode(Stored(record=Raw(record), state=Raw(state(head))))


def decode_head(body: bytes, model: str, trusted: Sequence[bytes]) -> Head | None:
    """The cached state; None when it is damaged, another model's or, where keys are trusted, not signed by one."""
    try:
        stored = STORED.decode(body)
        head = HEAD.decode(stored.state)
        record = RECORD.decode(stored.record)
    except DAMAGED:
        return None
    if head.model != model or record.revision != head.revision or msgspec.json.encode(record) != bytes(stored.record):
        return None
    if trusted:
        signed = record.seal is not None and record.seal.state == _sha256(bytes(stored.state))
        if not signed or wrong_record(record, model, trusted):
            return None
    return replace(head, digest=_sha256(bytes(stored.record)))


def _message(model: str, content: str, state: str) -> bytes:
    return f"amaas registry record\n{model}\n{content}\n{state}".encode()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
