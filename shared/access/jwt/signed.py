"""Signed tokens in JWS's compact form (RFC 7515): taken apart, and verified with an issuer's key (RFC 7517, 7518).

The key says which algorithm its signatures have, and the token's header has to say the same: so neither `none` nor a
public key taken for the secret of an HMAC is a way in (RFC 8725, section 2.1). No key, and no address of one, is ever
taken from the token.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.errors import Unauthenticated
from shared.formats import DAMAGED
from shared.signing import p256, rsa

MOST = 8192  # characters of a token; API Gateway takes 10,240 bytes of headers
COMPACT = re.compile(r"([A-Za-z0-9_-]{2,1024})\.([A-Za-z0-9_-]{2,6144})\.([A-Za-z0-9_-]{2,1024})", re.ASCII)
MOST_KEYS = 64
TYPES = (None, "jwt", "at+jwt", "application/at+jwt")


class Header(Struct, frozen=True):
    """crit: extensions that a reader must know. There is none that we know."""

    alg: str
    kid: str
    typ: str | None = None
    crit: Any | UnsetType = UNSET


class PublicKey(Struct, frozen=True):
    """One key of a key set. n, e: of RSA. crv, x, y: of elliptic curves."""

    kty: str
    kid: str = ""
    alg: str | None = None
    use: str | None = None
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""

    @property
    def algorithm(self) -> str | None:
        """What its signatures are; None for a key that is not used here."""
        algorithm = {"RSA": "RS256", "EC": "ES256" if self.crv == "P-256" else None}.get(self.kty)
        fits = self.kid and self.use in (None, "sig") and self.alg in (None, algorithm)
        return algorithm if fits else None


class KeySet(Struct, frozen=True):
    """keys: of any kind, of which some may not be for us."""

    keys: list[msgspec.Raw]


class Signed(Struct, frozen=True):
    """A token whose signature was not looked at yet. content: what is signed. claims: the JSON that it holds."""

    header: Header
    content: bytes
    signature: bytes
    claims: bytes


HEADER = msgspec.json.Decoder(Header)
KEY = msgspec.json.Decoder(PublicKey)
KEYS = msgspec.json.Decoder(KeySet)


def parse(text: str) -> Signed:
    """Raises Unauthenticated for what is no such token."""
    parts = COMPACT.fullmatch(text) if len(text) <= MOST else None
    if parts is None:
        raise Unauthenticated("the JWT has not the form of one, or is too long")
    try:
        header = HEADER.decode(decode(parts[1]))
        claims, signature = decode(parts[2]), decode(parts[3])
    except (*DAMAGED, ValueError) as error:
        raise Unauthenticated(f"the JWT cannot be read: {type(error).__name__}") from error
    if (header.typ.lower() if header.typ else None) not in TYPES or header.crit is not UNSET:
        raise Unauthenticated("the JWT has a type, or an extension, that is not known here")
    return Signed(header, f"{parts[1]}.{parts[2]}".encode(), signature, claims)


def require_signature(token: Signed, key: PublicKey) -> None:
    """Raises Unauthenticated."""
    if key.algorithm is None or token.header.alg != key.algorithm:
        raise Unauthenticated("the JWT names another algorithm than its key has: RS256 and ES256 are known here")
    if not _verified(token, key):
        raise Unauthenticated("the JWT's signature is wrong")


def _verified(token: Signed, key: PublicKey) -> bool:
    try:
        if key.algorithm == "RS256":
            modulus, exponent = int.from_bytes(decode(key.n)), int.from_bytes(decode(key.e))
            return rsa.verify(modulus, exponent, token.content, token.signature)
        point = decode(key.x) + decode(key.y)
        return p256.verify(p256.SPKI + point, token.content, p256.encode_pair(token.signature))
    except ValueError:
        return False


def read_keys(body: bytes) -> dict[str, PublicKey]:
    """The usable keys of a key set, by their ids. Raises ValueError for what is no key set.

    Where two have one id, neither is used: which of them was meant is not known.
    """
    try:
        entries = KEYS.decode(body).keys
    except DAMAGED as error:
        raise ValueError("it is no JSON of a key set") from error
    keys: dict[str, PublicKey] = {}
    twice = set()
    for entry in entries[:MOST_KEYS]:
        try:
            key = KEY.decode(entry)
        except DAMAGED:
            continue
        if key.algorithm is None:
            continue
        if key.kid in keys:
            twice.add(key.kid)
        keys[key.kid] = key
    return {kid: key for kid, key in keys.items() if kid not in twice}


def decode(text: str) -> bytes:
    """Base64 without padding, in the alphabet for URLs. Raises ValueError, for a second spelling of bytes as well."""
    try:
        plain = binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no base64") from error
    again = binascii.b2a_base64(plain, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
    if again != text.encode():
        raise ValueError("base64 that is not in its one form")
    return plain
