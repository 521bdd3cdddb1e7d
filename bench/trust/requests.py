"""Requests that a caller could send to any route, sound and odd ones, as hypothesis draws them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from api.document import document
from api.routes import routes
from bench.trust.deployment import OURS, THEIRS
from tests.functions.test_openapi import BODIES, PARAMS

DOCUMENT = document()
ROUTES = routes()
ODD = st.sampled_from(
    ["", "..", "../../etc/passwd", "%2e%2e%2f", "a" * 300, "\u202e", "\x00", "0", "-1", "1e9", "null", "*", "a/b", "é"]
) | st.text(max_size=12)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([OURS, THEIRS, "FP32", "INT64", "BYTES", "production", 2**31, -1, 0]),
)
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
LARGE = 20 << 20  # bytes


@st.composite
def requests(draw: Any, ids: dict[str, str], models: tuple[str, ...]) -> tuple[str, str, str, dict[str, Any]]:
    """function, method, path, and parts of a call. ids: of what there is. models: names that are used."""
    function, route = draw(st.sampled_from(ROUTES))
    known = {
        "model": st.sampled_from(models),
        "version": st.sampled_from(["1", "2", "3", "production", "canary"]),
        "alias": st.sampled_from(["production", "canary"]),
        "job": st.sampled_from([ids[f"job of {model}"] for model in models if f"job of {model}" in ids]),
        "upload_id": st.sampled_from([ids[f"upload of {model}"] for model in models if f"upload of {model}" in ids]),
    }
    segments = []
    for segment in route.segments:
        if segment.startswith("{"):
            sound = known.get(segment[1:-1], st.just(PARAMS[segment[1:-1]]))
            segment = quote(draw(sound if draw(st.integers(0, 3)) else ODD), safe="")
        segments.append(segment)
    operation = DOCUMENT["paths"][route.template][route.method.lower()]
    parts: dict[str, Any] = {"query": draw(_query(operation)), "headers": draw(_headers(operation))}
    if route.method not in ("GET", "DELETE") or draw(st.integers(0, 9)) == 0:
        parts["body"] = draw(_body(route.id.removesuffix("Version")))
    return function, route.method, "/".join(segments), parts


def _query(operation: dict[str, Any]) -> st.SearchStrategy[dict[str, str] | None]:
    names = [one["name"] for one in operation["parameters"] if one["in"] == "query"] + ["other"]
    values = ODD | st.sampled_from(["1", "10", "true", "a", "2026-01-01"])
    return st.none() | st.dictionaries(st.sampled_from(names), values, max_size=3)


def _headers(operation: dict[str, Any]) -> st.SearchStrategy[dict[str, str]]:
    names = [one["name"] for one in operation["parameters"] if one["in"] == "header"] + ["Content-Type", "X-Other"]
    values = ODD | st.sampled_from(
        ["application/json", "application/octet-stream", "text/csv", "image/png", "17", "key-1"]
    )
    return st.dictionaries(st.sampled_from(names), values, max_size=3)


@st.composite
def _body(draw: Any, operation: str) -> bytes:
    """What the route takes, with some members changed; any JSON; any bytes; seldom very many."""
    kind = draw(st.integers(0, 2000))
    if kind == 0:
        return b'{"inputs": [' + b"1," * (LARGE // 2)
    if kind < 200:
        return draw(st.binary(max_size=64))
    if kind < 500:
        return json.dumps(draw(JSON)).encode()
    body = json.loads(json.dumps(BODIES.get(operation, {})))
    for _ in range(draw(st.integers(0, 2))):
        _change(draw, body)
    return json.dumps(body).encode()


def _change(draw: Any, body: Any) -> None:
    """Another value in the place of a member, at some depth; or a member more, or one less."""
    while isinstance(body, dict | list) and body:
        place = draw(st.sampled_from(sorted(body))) if isinstance(body, dict) else draw(st.integers(0, len(body) - 1))
        inner = body[place]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            if isinstance(body, dict) and draw(st.integers(0, 3)) == 0:
                del body[place]
            else:
                body[place] = draw(JSON)
            return
        body = inner
    if isinstance(body, dict):
        body[draw(st.text(max_size=8))] = draw(JSON)
