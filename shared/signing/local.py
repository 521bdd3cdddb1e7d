"""A signing key in a file, for deployments without a key service. Needs the package `cryptography`."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import Unavailable


class LocalKey:
    """A P-256 key in a PEM file with mode 0600."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self._public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def create(cls, path: str | Path) -> LocalKey:
        """Create a key in a new file. Raises FileExistsError: a key that is replaced is lost."""
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        return cls(private)

    @classmethod
    def load(cls, path: str | Path) -> LocalKey:
        """Raises Unavailable for a file without a P-256 private key."""
        try:
            private = serialization.load_pem_private_key(Path(path).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(
                f"the signing key {path} cannot be read: {error}; it must be a PEM file without a password"
            ) from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise Unavailable(f"the signing key {path} is not a P-256 key: use ECDSA on P-256")
        return cls(private)

    @property
    def public(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message, ec.ECDSA(hashes.SHA256()))
