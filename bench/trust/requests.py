"""Requests that a caller could send to any route, sound and odd ones, from a seed.

Not by hypothesis, whose draws cost ten times a call: what schemathesis makes of the description is a row of its own.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from api.document import document
from api.routes import routes
from bench.trust.deployment import OURS, THEIRS
from tests.functions.test_openapi import BODIES, PARAMS

DOCUMENT = document()
ROUTES = routes()
ODD = [
    "",
    "..",
    "../../etc/passwd",
    "%2e%2e%2f",
    "a" * 300,
    "\u202e",
    "\x00",
    "0",
    "-1",
    "1e9",
    "null",
    "*",
    "a/b",
    "é",
]
ODD += ["10", "true", "2026-01-01", "NaN", "[]", "{}", "1 or 1=1", "<script>", "${jndi:x}", "\U0001f600", "\ud800"]
LEAVES: list[Callable[[random.Random], Any]] = [
    lambda rng: rng.choice([None, True, False]),
    lambda rng: rng.choice([0, 1, -1, 2**31, 2**63, -(2**70), 10**30]),
    lambda rng: rng.choice([0.5, -0.0, math.nan, math.inf, -math.inf, 1e308]),
    lambda rng: rng.choice(ODD),
    lambda rng: rng.choice([OURS, THEIRS, "FP32", "INT64", "BYTES", "production", "model.onnx"]),
    lambda rng: "".join(chr(rng.randrange(32, 0x250)) for _ in range(rng.randrange(12))),
]
SOUND_HEADERS = ["application/json", "application/octet-stream", "text/csv", "image/png", "17", "key-1"]
LARGE = 20 << 20  # bytes
SELDOM = 1 / 2000


def draw(rng: random.Random, ids: dict[str, str], models: tuple[str, ...]) -> tuple[str, str, str, dict[str, Any]]:
    """function, method, path, and parts of a call. ids: of what there is. models: names that are used."""
    function, route = rng.choice(ROUTES)
    known = {
        "model": list(models),
        "version": ["1", "2", "3", "production", "canary"],
        "alias": ["production", "canary"],
        "job": [ids[f"job of {model}"] for model in models],
        "upload_id": [ids[f"upload of {model}"] for model in models],
    }
    segments = []
    for segment in route.segments:
        if segment.startswith("{"):
            sound = known.get(segment[1:-1]) or [PARAMS[segment[1:-1]]]
            segment = quote(rng.choice(sound if rng.random() < 0.8 else ODD), safe="", errors="replace")
        segments.append(segment)
    operation = DOCUMENT["paths"][route.template][route.method.lower()]
    parts: dict[str, Any] = {
        "query": _some(rng, operation, "query", ["other"], ["1", "10", "true", "a", "2026-01-01"]) or None,
        "headers": _some(rng, operation, "header", ["Content-Type", "X-Other"], SOUND_HEADERS),
    }
    if route.method not in ("GET", "DELETE") or rng.random() < 0.1:
        parts["body"] = _body(rng, route.id.removesuffix("Version"))
    return function, route.method, "/".join(segments), parts


def _some(
    rng: random.Random, operation: dict[str, Any], place: str, others: list[str], sound: list[str]
) -> dict[str, str]:
    names = [one["name"] for one in operation["parameters"] if one["in"] == place] + others
    return {rng.choice(names): rng.choice(sound if rng.random() < 0.6 else ODD) for _ in range(rng.randrange(4))}


def _body(rng: random.Random, operation: str) -> bytes:
    """What the route takes, with some members changed; any JSON; any bytes; seldom very many."""
    kind = rng.random()
    if kind < SELDOM:
        return b'{"inputs": [' + b"1," * (LARGE // 2)
    if kind < 0.1:
        return rng.randbytes(rng.randrange(64))
    if kind < 0.25:
        return json.dumps(_json(rng)).encode()
    body = json.loads(json.dumps(BODIES.get(operation, {})))
    for _ in range(rng.randrange(3)):
        _change(rng, body)
    return json.dumps(body).encode()


def _json(rng: random.Random, depth: int = 0) -> Any:
    if depth > 3 or rng.random() < 0.5:
        return rng.choice(LEAVES)(rng)
    count = rng.randrange(4)
    if rng.random() < 0.5:
        return [_json(rng, depth + 1) for _ in range(count)]
    return {rng.choice(ODD): _json(rng, depth + 1) for _ in range(count)}


def _change(rng: random.Random, body: Any) -> None:
    """Another value in the place of a member, at some depth; or a member more, or one less."""
    while isinstance(body, dict | list) and body:
        place = rng.choice(sorted(body)) if isinstance(body, dict) else rng.randrange(len(body))
        inner = body[place]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.5:
            if isinstance(body, dict) and rng.random() < 0.25:
                del body[place]
            else:
                body[place] = _json(rng)
            return
        body = inner
    if isinstance(body, dict):
        body[rng.choice(ODD)] = _json(rng)
