"""Sealed objects: JSON objects whose signature is their last member, `seal`, bound to the key they are stored under.

Stored bytes are signed, as for registry records (decision 25): those in front of the seal, with a closing brace. The
message names the object's key, so that no object stands for another one, and begins with words of its own, so that no
signature of a registry record is one of these, whatever key made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from shared.formats import DAMAGED
from shared.signing.base import Signer, fingerprint, sign, signature_problem


class Seal(Struct, frozen=True, kw_only=True):
    """key: the signing key's fingerprint. content: SHA-256 of the content, hex. signature: base64 of DER, low s."""

    key: str
    content: str
    signature: str


class _Sealed(Struct, frozen=True):
    seal: Seal | None = None


# created once, before any thread: see registry/state.py
SEALED = msgspec.json.Decoder(_Sealed)


def attach(signer: Signer, key: str, content: bytes) -> bytes:
    """The bytes to store under `key`. content: a JSON object with at least one member. Raises Unavailable."""
    digest = hashlib.sha256(content).hexdigest()
    seal = Seal(key=fingerprint(signer.public), content=digest, signature=sign(signer, _message(key, digest)))
    return content[:-1] + _suffix(seal)


def problem(body: bytes, key: str, trusted: Sequence[bytes]) -> str | None:
    """Why an object stored under `key` is not to be believed; None if one of the trusted keys (DER) sealed it."""
    try:
        seal = SEALED.decode(body).seal
    except DAMAGED as error:
        return f"its signature is damaged: {error}"
    if seal is None:
        return "it is not signed"
    suffix = _suffix(seal)
    # a decoder takes the last of two members `seal`, wherever they are: only the one at the end, as written, counts
    if not body.endswith(suffix):
        return "its signature is not at its end, in the form in which signatures are written"
    if seal.content != hashlib.sha256(body[: -len(suffix)] + b"}").hexdigest():
        return "its signature is for another content"
    return signature_problem(seal.signature, seal.key, _message(key, seal.content), trusted)


def is_unsigned(body: bytes) -> bool:
    """Whether an object has no seal at all: one that is damaged, or not at its end, is one."""
    try:
        return b'"seal"' not in body and SEALED.decode(body).seal is None
    except DAMAGED:
        return False


def _suffix(seal: Seal) -> bytes:
    return b',"seal":' + msgspec.json.encode(seal) + b"}"


def _message(key: str, digest: str) -> bytes:
    return f"amaas sealed object\n{key}\n{digest}".encode()
