"""Bodies as HTTP carries them: gzip and deflate (zlib's format, in HTTP's words), and how large a reply may be."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
from msgspec import Struct

from shared.config import MAX_BODY_BYTES
from shared.errors import BadInput, TooLarge, Unsupported

JSON = "application/json"
# Lambda returns 6 MB (6,291,556 bytes) of JSON in one call, of which this leaves some for the headers. Bytes are in it
# as base64, text with its quotation marks escaped.
MAX_REPLY_BYTES = 6_000_000
WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's numbers for the formats
LEVEL = 1
# Below this, headers and packet are what counts. A reply is compressed for a client that names one coding, as the
# protocol's clients do on request. One that lists all it knows, as HTTP libraries do for every call, gets JSON
# compressed where that is quicker than sending it; floats in binary hardly shrink, so they are left alone.
LEAST = 1024
LEAST_UNASKED = 64 * 1024
# How many times smaller compression may make an answer, for one that is worth to be built: constants shrink more, but
# what nobody can be sent must not fill the memory first.
DENSEST = 16


class Reply(Struct, frozen=True):
    body: bytes
    headers: dict[str, str]


def decompress(body: bytes, encoding: str | None) -> bytes:
    """The body as it was before compression. encoding: its Content-Encoding.

    Raises Unsupported, BadInput when it is broken, TooLarge for a bomb.
    """
    coding = "identity" if encoding is None else encoding.strip().lower()
    if coding == "identity":
        return body
    if coding not in WINDOW:
        raise Unsupported(f"content-encoding {coding[:40]!r} is not supported: send gzip, deflate, or no encoding")
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


def json_reply(answer: Any, accepted: str | None) -> Reply:
    """An answer as JSON. accepted: the caller's Accept-Encoding. Raises TooLarge when one call cannot return it."""
    return reply(orjson.dumps(answer), {"Content-Type": JSON}, accepted)


def reply(body: bytes, headers: dict[str, str], accepted: str | None) -> Reply:
    """A body with its headers, compressed where the client accepts it and it pays. Raises TooLarge as above."""
    is_text = headers["Content-Type"] == JSON
    size = _size_on_the_wire(body, is_text)
    pays = (is_text and len(body) >= LEAST_UNASKED) or size > MAX_REPLY_BYTES
    compressed, coding = compress(body, accepted, unasked=pays)
    if coding:
        headers["Content-Encoding"] = coding
        size = _size_on_the_wire(compressed, is_text=False)
    if size > MAX_REPLY_BYTES:
        raise TooLarge(
            f"the answer takes {size:,} bytes, one call can return {MAX_REPLY_BYTES:,}: send fewer inputs at a time, "
            f"ask for fewer outputs, {'for binary ones, ' if is_text else ''}or accept gzip (Accept-Encoding)"
        )
    return Reply(compressed, headers)


def check_size(least: int, accepted: str | None) -> None:
    """Refuse an answer before it is built. least: the fewest bytes that it takes, not compressed. Raises TooLarge."""
    compressible = bool(accepted) and choose(accepted or "")[0] is not None
    most = MAX_REPLY_BYTES * (DENSEST if compressible else 1)
    if least > most:
        raise TooLarge(
            f"the answer takes {least:,} bytes at least, before compression; one call can return {MAX_REPLY_BYTES:,}: "
            "send fewer inputs at a time, ask for fewer outputs, for binary ones, or accept gzip (Accept-Encoding)"
        )


def _size_on_the_wire(body: bytes, is_text: bool) -> int:
    """Bytes of the body within the function's response."""
    return len(body) + body.count(b'"') + body.count(b"\\") if is_text else -(-len(body) // 3) * 4


def compress(body: bytes, accepted: str | None, *, unasked: bool) -> tuple[bytes, str | None]:
    """The body, compressed where the client accepts it and it pays, and the coding.

    unasked: also for a client that lists several codings.
    """
    if not accepted or len(body) < LEAST:
        return body, None
    coding, only = choose(accepted)
    if coding is None or not (only or unasked):
        return body, None
    compressed = zlib.compress(body, LEVEL, WINDOW[coding])
    return (compressed, coding) if len(compressed) < len(body) else (body, None)


def choose(accepted: str) -> tuple[str | None, bool]:
    """The coding that an Accept-Encoding header prefers, gzip on a tie, and whether it names that one alone."""
    weights = dict(_weight(part) for part in accepted.lower().split(",") if part.strip())
    others = weights.get("*", 0.0)
    codings = {"gzip": weights.get("gzip", weights.get("x-gzip", others)), "deflate": weights.get("deflate", others)}
    best = max(codings, key=lambda coding: codings[coding])
    if codings[best] <= 0 or codings[best] < weights.get("identity", 0.0):
        return None, False
    return best, len(weights) == 1 and "*" not in weights


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameter = part.partition(";")
    name, _, weight = parameter.partition("=")
    try:
        return coding.strip(), float(weight) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0
