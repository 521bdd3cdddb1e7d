"""The deployment's signing key: ECDSA on P-256 with SHA-256. It is in KMS (kms.py) or a file (local.py)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Protocol

from shared.signing import p256


class Signer(Protocol):
    """A private key that signs, and cannot be read."""

    @property
    def public(self) -> bytes:
        """The public key: DER, SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: DER, as in X9.62. Raises Unavailable."""
        ...


def fingerprint(public: bytes) -> str:
    """A key's id in records: the first 16 hex digits of the SHA-256 of its public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def sign(signer: Signer, message: bytes) -> str:
    """The signature of a message as text. Raises Unavailable.

    ECDSA has two valid signatures of each message: with both accepted, an object could be replaced by an equal one of
    another digest. Only the normal form, with the low s, is accepted.
    """
    return base64.b64encode(p256.low_s(signer.sign(message))).decode()


def signature_problem(signature: str, key: str, message: bytes, trusted: Sequence[bytes]) -> str | None:
    """Why a signature as text is not valid, or None if it is of the trusted key (DER) with the fingerprint `key`."""
    public = next((public for public in trusted if fingerprint(public) == key), None)
    if public is None:
        return f"it is signed with the key {key}, which this deployment does not trust"
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return "its signature is not valid base64"
    # compared as text: base64 itself has several spellings of the same bytes
    if base64.b64encode(p256.low_s(raw)).decode() != signature:
        return "its signature is not in the normal form"
    return None if p256.verify(public, message, raw) else "its signature is wrong"
