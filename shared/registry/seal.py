"""The deployment's signature over each record, and over the state that follows from it.

One signature does for both, so a transition signs once: it covers the record without its seal, and the state without
the digest of the record (which contains the seal). Whoever reads the cached state checks it without reading the log;
whoever reads the log checks the last record, since records are chained.

What is signed are bytes as they are stored: those of a record in front of its seal, which comes last, with a closing
brace; and those of the state. So a release checks what a later one has written, whatever it knows of its members. The
form of the seal itself is fixed to the byte: nobody signs it, and a record is to have one digest only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from shared import formats
from shared.formats import DAMAGED
from shared.registry.state import HEAD, Head, Seal
from shared.signing import p256
from shared.signing.base import Signer, fingerprint


class Stored(Struct, frozen=True, kw_only=True):
    """What is stored as head.json: the newest record, to the byte, and the state after it without its digest."""

    record: Raw
    state: Raw


class Sealed(Struct, frozen=True):
    """Of a record, what vouches for it; the rest may be in a form of a later release."""

    revision: int = 0
    seal: Seal | None = None


STORED = msgspec.json.Decoder(Stored)
SEALED = msgspec.json.Decoder(Sealed)


def state(head: Head) -> bytes:
    return msgspec.json.encode(replace(head, digest=""))


def make(signer: Signer, model: str, content: bytes, state: bytes) -> Seal:
    """Sign a record, as it is stored without its seal, together with the state after it. Raises Unavailable."""
    digests = _sha256(content), _sha256(state)
    # in its normal form: with two valid signatures, a record could be exchanged for an equal one of another digest
    signature = base64.b64encode(p256.low_s(signer.sign(_message(model, *digests)))).decode()
    return Seal(key=fingerprint(signer.public), content=digests[0], state=digests[1], signature=signature)


def attach(content: bytes, seal: Seal) -> bytes:
    """The bytes of a sealed record. content: those without the seal."""
    return content[:-1] + _ending(seal)


def _ending(seal: Seal) -> bytes:
    return b',"seal":' + msgspec.json.encode(seal) + b"}"


def wrong(seal: Seal, model: str, trusted: Sequence[bytes]) -> str | None:
    """Why a seal proves nothing, or None if one of the trusted keys (DER) made it."""
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


def wrong_record(record: bytes, model: str, trusted: Sequence[bytes]) -> str | None:
    """Why a record, as it is stored, is not to be trusted; None if it is."""
    try:
        seal = SEALED.decode(record).seal
    except DAMAGED as error:
        return f"its seal is damaged: {error}"
    return _wrong(record, seal, model, trusted)


def _wrong(record: bytes, seal: Seal | None, model: str, trusted: Sequence[bytes]) -> str | None:
    if seal is None:
        return "it is not signed"
    ending = _ending(seal)
    if not record.endswith(ending):
        return "its seal is not at its end, in the form in which seals are written"
    if seal.content != _sha256(record[: -len(ending)] + b"}"):
        return "its signature is for another content"
    return wrong(seal, model, trusted)


def encode_head(head: Head, record: bytes) -> bytes:
    """What to store as head.json. record: the bytes of the newest record."""
    return msgspec.json.encode(Stored(record=Raw(record), state=Raw(state(head))))


def decode_head(body: bytes, model: str, trusted: Sequence[bytes]) -> Head | None:
    """The cached state; None when it is damaged, another model's or, where keys are trusted, not signed by one.

    Raises TooNew for a state that only a later release understands.
    """
    try:
        stored = STORED.decode(body)
        record, after = bytes(stored.record), bytes(stored.state)
        newest = SEALED.decode(record)
    except DAMAGED:
        return None
    if trusted:
        signed = newest.seal is not None and newest.seal.state == _sha256(after)
        if not signed or _wrong(record, newest.seal, model, trusted):
            return None
    head = _understood(after, model)
    if head is None or head.model != model or head.revision != newest.revision:
        return None
    return replace(head, digest=_sha256(record))


def _understood(state: bytes, model: str) -> Head | None:
    what = f"the state of model {model!r}"
    try:
        head = HEAD.decode(state)
    except DAMAGED:
        formats.check(state, "min_reader", formats.READER, what)
        return None
    if head.min_reader > formats.READER:
        raise formats.too_new(what, head.min_reader, formats.READER)
    return head


def _message(model: str, content: str, state: str) -> bytes:
    return f"amaas registry record\n{model}\n{content}\n{state}".encode()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
