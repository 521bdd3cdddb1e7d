"""RSA verification in plain Python, beside PyCA's cryptography."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.signing import p256
from shared.signing import rsa as ours

KEYS = {bits: rsa.generate_private_key(65537, bits) for bits in (2048, 3072)}
MESSAGE = b"what is signed"


def public(key: rsa.RSAPrivateKey) -> tuple[int, int]:
    numbers = key.public_key().public_numbers()
    return numbers.n, numbers.e


@settings(max_examples=60, deadline=None)
@given(
    message=st.binary(max_size=300),
    bits=st.sampled_from(sorted(KEYS)),
    place=st.integers(0, 10**6),
    bit=st.integers(0, 7),
)
def test_what_cryptography_signs_is_right_and_no_other(message: bytes, bits: int, place: int, bit: int) -> None:
    signature = KEYS[bits].sign(message, padding.PKCS1v15(), hashes.SHA256())
    assert ours.verify(*public(KEYS[bits]), message, signature)
    assert not ours.verify(*public(KEYS[bits]), message + b"x", signature)
    changed = bytearray(signature)
    changed[place % len(changed)] ^= 1 << bit
    assert not ours.verify(*public(KEYS[bits]), message, bytes(changed))


def test_other_hashes_and_paddings_are_wrong() -> None:
    key = KEYS[2048]
    for scheme, algorithm in (
        (padding.PKCS1v15(), hashes.SHA1()),
        (padding.PKCS1v15(), hashes.SHA512()),
        (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ):
        assert not ours.verify(*public(key), MESSAGE, key.sign(MESSAGE, scheme, algorithm))


def test_a_padding_with_room_for_something_else_is_wrong() -> None:
    """Bleichenbacher's forgery: fewer bytes of padding, and rubbish behind the hash."""
    key = KEYS[2048]
    n, e = public(key)
    d = key.private_numbers().d
    digest = ours.SHA256 + hashlib.sha256(MESSAGE).digest()
    right = b"\x00\x01" + b"\xff" * (256 - len(digest) - 3) + b"\x00" + digest
    for encoded in (
        b"\x00\x01" + b"\xff" * 8 + b"\x00" + digest + b"\x07" * (256 - len(digest) - 11),
        b"\x00\x02" + right[2:],
        right[:10] + b"\xfe" + right[11:],
        b"\x00\x01" + b"\xff" * (256 - 32 - 3) + b"\x00" + digest[-32:],
    ):
        assert len(encoded) == 256
        signature = pow(int.from_bytes(encoded), d, n).to_bytes(256)
        assert not ours.verify(n, e, MESSAGE, signature)
    assert ours.verify(n, e, MESSAGE, pow(int.from_bytes(right), d, n).to_bytes(256))


def test_signatures_of_other_lengths_are_wrong() -> None:
    key = KEYS[2048]
    signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    for candidate in (b"", signature[:-1], b"\x00" + signature, signature + b"\x00", b"\x00" * 256, b"\xff" * 256):
        assert not ours.verify(*public(key), MESSAGE, candidate)


def test_a_signature_and_the_modulus_added_to_it_are_not_both_right() -> None:
    """The sum is the same number to the power; that a signature has one form only is what keeps it from two names."""
    key = KEYS[2048]
    n, e = public(key)
    for count in range(100_000):  # until the sum has no more bytes than a signature: some in a hundred, mostly
        message = b"%d" % count
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        beyond = int.from_bytes(signature) + n
        if beyond < 2**2048:
            break
    assert ours.verify(n, e, message, signature)
    assert not ours.verify(n, e, message, beyond.to_bytes(256))


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (0, 65537),
        (1, 65537),
        (2**2048, 65537),
        (2**1023 + 1, 65537),
        (2**4096 + 1, 65537),
        (2**2047 + 1, 3),
        (2**2047 + 1, 1),
    ],
)
def test_keys_that_are_not_used(modulus: int, exponent: int) -> None:
    """With exponent 1, a signature is its own message."""
    assert not ours.usable(modulus, exponent)
    assert not ours.verify(modulus, exponent, MESSAGE, b"\x00" * 256)


def test_a_pair_of_numbers_in_der() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for n in range(20):
        der = key.sign(b"%d" % n, ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        assert p256.encode_pair(r.to_bytes(32) + s.to_bytes(32)) == der
    assert p256.encode_pair(b"x" * 63) == p256.encode_pair(b"") == b""
