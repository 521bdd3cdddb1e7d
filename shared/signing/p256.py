"""Verification of ECDSA signatures on P-256 with SHA-256, in plain Python (FIPS 186-5, section 6.4.2).

All inputs are public, so the arithmetic need not run in constant time: NEVER use it with a private key. It exists
because the data plane verifies a signature in each cold start: this takes some milliseconds, importing a cryptography
package takes fifty, and adds 15 MB to the layer. The tests compare it with such a package, and cover the edge cases.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5

# SubjectPublicKeyInfo of an uncompressed point on this curve, up to the point's coordinates
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")

Point = tuple[int, int, int]  # Jacobian: x = X / Z^2, y = Y / Z^3; Z = 0 is the point at infinity
INFINITY: Point = (0, 1, 0)


@lru_cache(1024)
def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (DER) over the message is of the key (DER, SubjectPublicKeyInfo). Never raises.

    Both s and N - s are valid, as in the standard: see low_s. Results are cached: the head of a model that is called
    often is verified again and again.
    """
    key, pair = point(public), _decode_pair(signature)
    if key is None or pair is None:
        return False
    r, s = pair
    # zeros have no inverse; where they are let through, they sign every message (CVE-2022-21449)
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest())
    inverse = pow(s, -1, N)
    x, _, z = _sum_of_products(digest * inverse % N, (GX, GY, 1), r * inverse % N, key)
    # r is the x coordinate modulo N: x itself may be larger than N
    return z != 0 and x * pow(z, -2, P) % P % N == r


def point(public: bytes) -> Point | None:
    """The point of a public key (DER); None for bytes that are not a key on this curve."""
    if len(public) != len(SPKI) + 64 or not public.startswith(SPKI):
        return None
    x, y = int.from_bytes(public[-64:-32]), int.from_bytes(public[-32:])
    # a point of another curve would make forgeries possible (invalid-curve attack)
    on_curve = x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0
    return (x, y, 1) if on_curve else None


def encode_pair(raw: bytes) -> bytes:
    """A signature as 64 bytes, r and s (RFC 7518, section 3.4), in DER; empty for bytes of another length."""
    if len(raw) != 64:
        return b""
    body = _encode_integer(int.from_bytes(raw[:32])) + _encode_integer(int.from_bytes(raw[32:]))
    return bytes([0x30, len(body)]) + body


def low_s(signature: bytes) -> bytes:
    """The signature in its normal form: of s and N - s, which are both valid, the smaller one."""
    pair = _decode_pair(signature)
    if pair is None:
        return signature
    body = b"".join(_encode_integer(number) for number in (pair[0], min(pair[1], N - pair[1])))
    return bytes([0x30, len(body)]) + body


def _encode_integer(number: int) -> bytes:
    body = number.to_bytes(number.bit_length() // 8 + 1)
    return bytes([0x02, len(body)]) + body


def _decode_pair(der: bytes) -> tuple[int, int] | None:
    """SEQUENCE { INTEGER r, INTEGER s } in strict DER; None for anything else, BER included."""
    if len(der) < 8 or der[0] != 0x30 or der[1] != len(der) - 2 or der[1] > 127:
        return None
    r, rest = _decode_integer(der[2:])
    s, rest = _decode_integer(rest)
    return None if r is None or s is None or rest else (r, s)


def _decode_integer(der: bytes) -> tuple[int | None, bytes]:
    if len(der) < 3 or der[0] != 0x02 or not 0 < der[1] <= min(33, len(der) - 2):
        return None, b""
    # DER: not negative, and no leading zero byte that the sign does not need
    body, rest = der[2 : 2 + der[1]], der[2 + der[1] :]
    padded = len(body) > 1 and body[0] == 0 and body[1] < 0x80
    return (None, b"") if body[0] >= 0x80 or padded else (int.from_bytes(body), rest)


def _sum_of_products(a: int, p: Point, b: int, q: Point) -> Point:
    """a * p + b * q, both at once (Shamir's trick): one doubling per bit for the two of them."""
    both = _add(p, q)
    choice = {(1, 0): p, (0, 1): q, (1, 1): both}
    total = INFINITY
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        total = _double(total)
        chosen = choice.get((a >> bit & 1, b >> bit & 1))
        if chosen:
            total = _add(total, chosen)
    return total


def _double(p: Point) -> Point:
    x, y, z = p
    if z == 0 or y == 0:
        return INFINITY
    zz, yy = z * z % P, y * y % P
    s, m = 4 * x * yy % P, 3 * (x - zz) * (x + zz) % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(p: Point, q: Point) -> Point:
    if p[2] == 0:
        return q
    if q[2] == 0:
        return p
    (x1, y1, z1), (x2, y2, z2) = p, q
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * z2z2 % P, x2 * z1z1 % P
    s1, s2 = y1 * z2 * z2z2 % P, y2 * z1 * z1z1 % P
    if u1 == u2:
        return _double(p) if s1 == s2 else INFINITY
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P
