"""Every answer that a test gets from a function is held against the API's description: status, content type, schema."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from api import document, routes
from shared.entry.http import JSON, Routes


def check(handler: Any, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises AssertionError for an answer that is not described. Handlers of a test's own have no description."""
    if any(handler is one for one in _handlers()) and (found := route(method, path)) is not None:
        plain = zlib.decompress(body, zlib.MAX_WBITS | 32) if "Content-Encoding" in headers else body
        hold(found, status, headers, plain)


def hold(route: tuple[str, str], status: int, headers: Mapping[str, str], body: bytes) -> None:
    """As check, of an operation's answer. body: as it was before compression."""
    method, path = route
    told = _told()["paths"][path][method.lower()]["responses"]
    where = f"{method} {path} answered {status}"
    assert str(status) in told, f"{where}, which is not described: {body[:200]!r}"
    media = headers["Content-Type"]
    schema = _content(told[str(status)]).get(media)
    assert schema is not None, f"{where} with {media}, which is not described"
    if media == JSON:
        errors = _validator(json.dumps(schema)).iter_errors(json.loads(body))
        found = [f"{error.json_path}: {error.message}" for error in errors]
        assert found == [], f"{where}, and its body is not as described: {found}"


def route(method: str, path: str) -> tuple[str, str] | None:
    """The operation that a call is of; None when there is none."""
    segments = path.removesuffix("/").split("/")
    for handler in _handlers():
        for known in handler.routes:
            if known.method == method and known.match(segments) is not None:
                return method, known.template
    return None


@cache
def _handlers() -> tuple[Routes, ...]:
    return tuple(routes.handler(service) for service in routes.FUNCTIONS)


@cache
def _told() -> dict[str, Any]:
    """The description, with objects that have no other members than those described."""
    told = document.document()
    for schema in told["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return told


def _content(response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in response:
        response = _told()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return {media: content["schema"] for media, content in response["content"].items()}


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({"components": _told()["components"], **json.loads(schema)})
