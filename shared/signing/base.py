"""The deployment's signing key: ECDSA on the curve P-256 with SHA-256, wherever the private half is kept."""

from __future__ import annotations

import hashlib
from typing import Protocol


class Signer(Protocol):
    """A private key that one may use and not read."""

    @property
    def public(self) -> bytes:
        """The public half: DER, SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature over a message: DER, as in X9.62. Raises Unavailable."""
        ...


def fingerprint(public: bytes) -> str:
    """A key's name: the start of the SHA-256 of its public half."""
    return hashlib.sha256(public).hexdigest()[:16]
