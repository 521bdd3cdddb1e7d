"""Verification of RSA signatures, PKCS #1 v1.5 with SHA-256 (RFC 8017, section 8.2.2), in plain Python.

All inputs are public, so it need not run in constant time: NEVER use it with a private key. It exists for the reason
that p256.py does. The padding is not parsed: the one right encoding is made and compared, so that nothing can be hidden
in it (Bleichenbacher's forgery of 2006).
"""

from __future__ import annotations

import hashlib

SMALLEST, LARGEST = 2048, 4096  # bits of the modulus: weaker, and slower than a caller may make us
EXPONENT = 65537
# DigestInfo of a SHA-256 hash, up to the hash
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def usable(modulus: int, exponent: int) -> bool:
    """Whether a public key is one that signatures are verified with."""
    return exponent == EXPONENT and modulus % 2 == 1 and SMALLEST <= modulus.bit_length() <= LARGEST


def verify(modulus: int, exponent: int, message: bytes, signature: bytes) -> bool:
    """Whether the signature over the message is of the key. Never raises."""
    if not usable(modulus, exponent):
        return False
    length = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature)
    if len(signature) != length or number >= modulus:
        return False
    digest = SHA256 + hashlib.sha256(message).digest()
    encoded = b"\x00\x01" + b"\xff" * (length - len(digest) - 3) + b"\x00" + digest
    return pow(number, exponent, modulus).to_bytes(length) == encoded
