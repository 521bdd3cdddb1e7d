"""gzip and deflate, which HTTP means to be zlib's format, of requests and answers."""

from __future__ import annotations

import zlib

from shared.config import MAX_BODY_BYTES
from shared.errors import BadInput, TooLarge, Unsupported

WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's numbers for the formats
LEVEL = 1
# Below this, headers and packet are what counts. An answer is compressed for a client that names one coding, as the
# protocol's clients do on request. One that lists all it knows, as HTTP libraries do for every call, gets JSON
# compressed where that is quicker than sending it; floats in binary hardly shrink, so they are left alone.
LEAST = 1024
LEAST_UNASKED = 64 * 1024


def plain(body: bytes, encoding: str | None) -> bytes:
    """The body as it was before compression. Raises Unsupported, BadInput when it is broken, TooLarge for a bomb."""
    coding = (encoding or "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in WINDOW:
        raise Unsupported(f"content-encoding {coding[:40]!r} is not taken: send gzip, deflate, or the body plain")
    stream = zlib.decompressobj(WINDOW[coding])
    try:
        out = stream.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise BadInput(f"the body is no {coding}: {error}") from error
    if len(out) > MAX_BODY_BYTES:
        raise TooLarge(
            f"the body has more than the {MAX_BODY_BYTES:,} bytes, before compression, that one call may carry; "
            "send fewer or smaller inputs"
        )
    if not stream.eof:
        raise BadInput(f"the body is {coding} that ends before its end: send all of it")
    if stream.unused_data:
        raise BadInput(f"the body has {len(stream.unused_data):,} bytes after the end of its {coding} data")
    return out


def shrunk(body: bytes, accepted: str | None, *, unasked: bool) -> tuple[bytes, str | None]:
    """The body, compressed where the client accepts it and it pays, and the coding.

    unasked: also for a client that lists several codings.
    """
    if not accepted or len(body) < LEAST:
        return body, None
    coding, asked = choose(accepted)
    if coding is None or not (asked or unasked):
        return body, None
    small = zlib.compress(body, LEVEL, WINDOW[coding])
    return (small, coding) if len(small) < len(body) else (body, None)


def choose(accepted: str) -> tuple[str | None, bool]:
    """The coding that an Accept-Encoding header prefers, gzip on a tie, and whether it names that one alone."""
    weights = dict(_weighed(part) for part in accepted.lower().split(",") if part.strip())
    others = weights.get("*", 0.0)
    known = {"gzip": weights.get("gzip", weights.get("x-gzip", others)), "deflate": weights.get("deflate", others)}
    best = max(known, key=lambda coding: known[coding])
    if known[best] <= 0 or known[best] < weights.get("identity", 0.0):
        return None, False
    return best, len(weights) == 1 and "*" not in weights


def _weighed(part: str) -> tuple[str, float]:
    coding, _, parameter = part.partition(";")
    name, _, weight = parameter.partition("=")
    try:
        return coding.strip(), float(weight) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0
