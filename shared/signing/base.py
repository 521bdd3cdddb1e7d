"""The deployment's signing key: ECDSA on P-256 with SHA-256. It is in KMS (kms.py) or a file (local.py)."""

from __future__ import annotations

import hashlib
from typing import Protocol


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
