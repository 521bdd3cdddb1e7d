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

from shared.registry.state import Head, Record, Seal
from shared.signing import p256
from shared.signing.base import Signer, fingerprint


class Sealed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stored as head.json. digest: of the record it was folded up to. state: the Head, its digest left out."""

    digest: str
    state: Raw
    seal: Seal | None = None


def state(head: Head) -> bytes:
    return msgspec.json.encode(replace(head, digest=""))


def content(record: Record) -> bytes:
    return msgspec.json.encode(replace(record, seal=None))


def make(signer: Signer, record: Record, after: Head) -> Seal:
    """Sign a record together with the state after it. Raises Unavailable."""
    digests = _sha256(content(record)), _sha256(state(after))
    signature = base64.b64encode(signer.sign(_message(after.model, *digests))).decode()
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
    return None if p256.verify(key, _message(model, seal.content, seal.state), signature) else "its signature is wrong"


def wrong_record(record: Record, model: str, trusted: Sequence[bytes]) -> str | None:
    if record.seal is not None and record.seal.content != _sha256(content(record)):
        return "its signature is for another content"
    return wrong(record.seal, model, trusted)


def encode_head(head: Head, seal: Seal | None) -> bytes:
    return msgspec.json.encode(Sealed(digest=head.digest, state=Raw(state(head)), seal=seal))


def decode_head(body: bytes, trusted: Sequence[bytes]) -> Head | None:
    """The cached state; None when it is damaged or, where keys are trusted, not signed by one of them."""
    try:
        sealed = msgspec.json.decode(body, type=Sealed)
        head = msgspec.json.decode(sealed.state, type=Head)
    except msgspec.MsgspecError:
        return None
    if trusted:
        genuine = sealed.seal is not None and sealed.seal.state == _sha256(bytes(sealed.state))
        if not genuine or wrong(sealed.seal, head.model, trusted):
            return None
    return replace(head, digest=sealed.digest)


def _message(model: str, content: str, state: str) -> bytes:
    return f"amaas registry record\n{model}\n{content}\n{state}".encode()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
