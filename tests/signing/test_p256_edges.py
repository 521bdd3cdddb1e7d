"""Edge cases of verification on P-256: numbers, points, encodings; each verdict is OpenSSL's, too.

Test vectors of NIST change a valid signature by chance; here are the cases that chance does not meet: sums of points
that are a doubling or the point at infinity, x coordinates beyond the group's order, encodings that are BER and not
DER, keys that are not points of this curve.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from shared.signing import p256
from shared.signing.p256 import GX, GY, N, P

MESSAGE = b"message"
DIGEST = int.from_bytes(hashlib.sha256(MESSAGE).digest())
NIST = json.loads((Path(__file__).parent / "nist_p256.json").read_text())


def encode_key(x: int, y: int) -> bytes:
    return p256.SPKI + x.to_bytes(32) + y.to_bytes(32)


def public_key(secret: int) -> bytes:
    point = ec.derive_private_key(secret % N, ec.SECP256R1()).public_key().public_numbers()
    return encode_key(point.x, point.y)


def x_of(secret: int) -> int:
    return ec.derive_private_key(secret % N, ec.SECP256R1()).public_key().public_numbers().x


def openssl_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        key = serialization.load_der_public_key(public)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


def check(public: bytes, r: int, s: int, valid: bool) -> None:
    signature = utils.encode_dss_signature(r, s)
    assert p256.verify(public, MESSAGE, signature) is valid
    assert openssl_accepts(public, MESSAGE, signature) is valid


@pytest.mark.parametrize("case", NIST["signatures"], ids=lambda case: case["result"])
def test_signatures_of_nist(case: dict[str, str]) -> None:
    r, s, x, y = (int(case[name], 16) for name in ("r", "s", "x", "y"))
    signature = utils.encode_dss_signature(r, s)
    valid = p256.verify(encode_key(x, y), bytes.fromhex(case["message"]), signature)
    assert valid is case["result"].startswith("P")


@pytest.mark.parametrize("case", NIST["keys"], ids=lambda case: case["result"])
def test_keys_of_nist(case: dict[str, str]) -> None:
    x, y = int(case["x"], 16), int(case["y"], 16)
    fits = max(x, y) < 1 << 256  # a longer coordinate has no encoding at all
    assert (fits and p256.point(encode_key(x, y)) is not None) is case["result"].startswith("P")


EXTREMES = {"0": 0, "1": 1, "n - 1": N - 1, "n": N, "n + 1": N + 1, "p": P, "p + 1": P + 1, "2^256 - 1": 2**256 - 1}


@pytest.mark.parametrize("r", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("s", EXTREMES.values(), ids=EXTREMES)
def test_extreme_numbers_are_no_signature(r: int, s: int) -> None:
    """r = s = 0 once was a signature of every message in a widely used runtime (CVE-2022-21449)."""
    check(public_key(7), r, s, False)


def test_a_sum_at_infinity_is_no_signature() -> None:
    """With the secret -e/r, u1 G + u2 Q is the point at infinity, whatever s is: it has no x to compare with r."""
    for r, s in ((1, 1), (5, 7), (N - 1, 3), (x_of(9), N - 2)):
        check(public_key(-DIGEST * pow(r, -1, N)), r, s, False)


@pytest.mark.parametrize("nonce", [1, 2, 3, 12345, N - 1, N - 2])
def test_equal_summands_are_doubled(nonce: int) -> None:
    """With the secret e/r, u1 G and u2 Q are the same point, which addition's own formula cannot add."""
    r = x_of(nonce) % N
    s = 2 * DIGEST * pow(nonce, -1, N) % N
    check(public_key(DIGEST * pow(r, -1, N)), r, s, True)
    check(public_key(DIGEST * pow(r, -1, N)), r, N - s, True)


def small_points_beyond_the_order() -> Iterator[tuple[int, int]]:
    """Points whose x is at least n: one of 2^128, so that no signature meets them by chance."""
    for x in range(N, N + 40):
        y2 = (x * x * x - 3 * x + p256.B) % P
        y = pow(y2, (P + 1) // 4, P)
        if y * y % P == y2:
            yield x, y


def test_an_x_coordinate_beyond_the_order_is_reduced() -> None:
    """r is x - n. The key comes from the point: Q = (s R - e G) / r, for any s."""
    points = list(small_points_beyond_the_order())
    assert len(points) > 10
    for x, y in points:
        r, s = x - N, 3
        if r == 0:
            continue
        inverse = pow(r, -1, N)
        key = p256._sum_of_products(s * inverse % N, (x, y, 1), -DIGEST * inverse % N, (GX, GY, 1))
        scale = pow(key[2], -1, P)
        public = encode_key(key[0] * scale**2 % P, key[1] * scale**3 % P)
        check(public, r, s, True)
        check(public, r, s + 1, False)
        assert not p256.verify(public, MESSAGE, utils.encode_dss_signature(x, s)), "r itself must be below n"


@pytest.mark.parametrize("secret", [1, N - 1])
@pytest.mark.parametrize("nonce", [1, 2, N - 1])
def test_the_generator_and_its_opposite_as_keys(secret: int, nonce: int) -> None:
    r = x_of(nonce) % N
    s = pow(nonce, -1, N) * (DIGEST + r * secret) % N
    check(public_key(secret), r, s, True)


def test_only_strict_der_is_a_signature() -> None:
    """OpenSSL takes DER only, too: BER would give one signature many encodings."""
    secret = 11
    pairs = ((r := x_of(nonce) % N, pow(nonce, -1, N) * (DIGEST + r * secret) % N) for nonce in range(2, 100))
    # both with the top bit, so that both need a byte for their sign
    r, s = next(pair for pair in pairs if min(pair) >= 1 << 255)
    number_r, number_s = (_integer(number) for number in (r, s))
    whole = _sequence(number_r, number_s)
    public = public_key(secret)
    assert p256.verify(public, MESSAGE, whole)
    length = len(number_r + number_s)
    encodings = {
        "empty": b"",
        "no numbers": b"\x30\x00",
        "one number": b"\x30" + bytes([len(number_r)]) + number_r,
        "three numbers": b"\x30" + bytes([length + 3]) + number_r + number_s + b"\x02\x01\x01",
        "length in long form": b"\x30\x81" + bytes([length]) + number_r + number_s,
        "length in two bytes": b"\x30\x82\x00" + bytes([length]) + number_r + number_s,
        "indefinite length": b"\x30\x80" + number_r + number_s + b"\x00\x00",
        "length too small": b"\x30" + bytes([length - 1]) + number_r + number_s,
        "length too large": b"\x30" + bytes([length + 1]) + number_r + number_s,
        "trailing zero": whole + b"\x00",
        "trailing null": whole + b"\x05\x00",
        "a set": b"\x31" + whole[1:],
        "an octet string for r": b"\x30" + bytes([length]) + b"\x04" + number_r[1:] + number_s,
        "r padded": _sequence(_padded(number_r), number_s),
        "s padded": _sequence(number_r, _padded(number_s)),
        "r without bytes": _sequence(b"\x02\x00", number_s),
        "s without bytes": _sequence(number_r, b"\x02\x00"),
        "r without its sign byte": _sequence(b"\x02\x20" + r.to_bytes(32), number_s),
        "s without its sign byte": _sequence(number_r, b"\x02\x20" + s.to_bytes(32)),
        "numbers without DER": r.to_bytes(32) + s.to_bytes(32),
    }
    for name, encoding in encodings.items():
        assert not p256.verify(public, MESSAGE, encoding), name
        assert not openssl_accepts(public, MESSAGE, encoding), name


def _integer(number: int) -> bytes:
    body = number.to_bytes(number.bit_length() // 8 + 1)
    return b"\x02" + bytes([len(body)]) + body


def _padded(integer: bytes) -> bytes:
    return b"\x02" + bytes([integer[1] + 1]) + b"\x00" + integer[2:]


def _sequence(first: bytes, second: bytes) -> bytes:
    return b"\x30" + bytes([len(first + second)]) + first + second


def test_only_uncompressed_points_of_the_curve_are_keys() -> None:
    """An own key is always in this one form (KMS and local.py write it): all others are refused, valid ones too."""
    x, y = int.from_bytes(public_key(7)[-64:-32]), int.from_bytes(public_key(7)[-32:])
    assert p256.point(encode_key(x, y)) == (x, y, 1)
    header = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    keys = {
        "the point at infinity": b"\x30\x19" + header + b"\x03\x02\x00\x00",
        "zeros": encode_key(0, 0),
        "compressed": b"\x30\x39" + header + b"\x03\x22\x00" + bytes([2 + y % 2]) + x.to_bytes(32),
        "hybrid": p256.SPKI[:-1] + bytes([6 + y % 2]) + x.to_bytes(32) + y.to_bytes(32),
        "another y": encode_key(x, y ^ 1),
        "x and y exchanged": encode_key(y, x),
        "y not reduced": encode_key(x, 2**256 - 1),
        "of secp256k1": encode_key(x, y).replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2b8104000a")),
        "without its header": encode_key(x, y)[-65:],
        "too short": encode_key(x, y)[:-1],
        "too long": encode_key(x, y) + b"\x00",
        "nothing": b"",
    }
    for name, key in keys.items():
        assert p256.point(key) is None, name
        assert not p256.verify(key, MESSAGE, utils.encode_dss_signature(5, 5)), name
    # x = 0 is on the curve: its point counts, and x + p is the same one, unreduced
    y_of_zero = pow(p256.B, (P + 1) // 4, P)
    assert p256.point(encode_key(0, y_of_zero)) == (0, y_of_zero, 1)
    assert p256.point(encode_key(P, y_of_zero)) is None
