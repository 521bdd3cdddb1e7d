"""The deployment's signature over each record, and over the state that follows from it.

One signature covers both, so a transition signs once: the record without its member `seal`, which holds the signature,
and the state without the digest of the record, which depends on the signature. Readers of the cached state verify it
without reading the log; readers of the log verify the last record, since records are chained.

Stored bytes are signed: those of a record in front of its signature, which comes last, with a closing brace; and those
of the state. So a release can verify what a later one has written, whether or not it knows all its members. The form of
the member `seal` is fixed to the byte: it is not signed itself, and a record must have exactly one digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import replace

from shared import formats
from shared.formats import DAMAGED
from shared.registry.state import HEAD, Head, Signature
from shared.signing import base
from shared.signing.base import Signer, fingerprint


class StoredHead(Struct, frozen=True, kw_only=True):
    """The content of head.json: the newest record, byte for byte, and the state after it without its digest."""

    record: Raw
    state: Raw


class SignedRecord(Struct, frozen=True):
    """The members of a record that authenticate it; the others may be in a form of a later release."""

    revision: int = 0
    signature: Signature | None = field(default=None, name="seal")


STORED_HEAD = msgspec.json.Decoder(StoredHead)
SIGNED_RECORD = msgspec.json.Decoder(SignedRecord)


def encode_state(head: Head) -> bytes:
    """The bytes of a state that are signed and stored."""
    return msgspec.json.encode(replace(head, digest=""))


def sign(signer: Signer, model: str, content: bytes, state: bytes) -> Signature:
    """Sign a record, as it is stored without its signature, together with the state after it. Raises Unavailable."""
    digests = _sha256(content), _sha256(state)
    signature = base.sign(signer, _message(model, *digests))
    return Signature(key=fingerprint(signer.public), content=digests[0], state=digests[1], signature=signature)


def attach(content: bytes, signature: Signature) -> bytes:
    """The bytes of a signed record. content: those without the signature."""
    return content[:-1] + _suffix(signature)


def _suffix(signature: Signature) -> bytes:
    return b',"seal":' + msgspec.json.encode(signature) + b"}"


def signature_problem(signature: Signature, model: str, trusted: Sequence[bytes]) -> str | None:
    """Why a signature is not valid, or None if one of the trusted keys (DER) made it."""
    message = _message(model, signature.content, signature.state)
    return base.signature_problem(signature.signature, signature.key, message, trusted)


def record_problem(record: bytes, model: str, trusted: Sequence[bytes]) -> str | None:
    """Why a record, as it is stored, is not to be trusted; None if it is."""
    try:
        signature = SIGNED_RECORD.decode(record).signature
    except DAMAGED as error:
        return f"its signature is damaged: {error}"
    return _record_problem(record, signature, model, trusted)


def _record_problem(record: bytes, signature: Signature | None, model: str, trusted: Sequence[bytes]) -> str | None:
    if signature is None:
        return "it is not signed"
    suffix = _suffix(signature)
    # a decoder takes the last of two members `seal`, wherever they are: only the one at the end, as written, counts
    if not record.endswith(suffix):
        return "its signature is not at its end, in the form in which signatures are written"
    if signature.content != _sha256(record[: -len(suffix)] + b"}"):
        return "its signature is for another content"
    return signature_problem(signature, model, trusted)


def encode_head(head: Head, record: bytes) -> bytes:
    """The content of head.json. record: the bytes of the newest record."""
    return msgspec.json.encode(StoredHead(record=Raw(record), state=Raw(encode_state(head))))


def decode_head(body: bytes, model: str, trusted: Sequence[bytes]) -> Head | None:
    """The cached state; None when it is damaged, another model's or, where keys are trusted, not signed by one.

    Raises TooNew for a state that only a later release can read.
    """
    try:
        stored = STORED_HEAD.decode(body)
        record, state = bytes(stored.record), bytes(stored.state)
        newest = SIGNED_RECORD.decode(record)
    except DAMAGED:
        return None
    if trusted:
        covers_state = newest.signature is not None and newest.signature.state == _sha256(state)
        if not covers_state or _record_problem(record, newest.signature, model, trusted):
            return None
    head = _decode_state(state, model)
    # without keys, nothing else ties the state to the model, and to the record beside it
    if head is None or head.model != model or head.revision != newest.revision:
        return None
    return replace(head, digest=_sha256(record))


def _decode_state(state: bytes, model: str) -> Head | None:
    """Raises TooNew."""
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
