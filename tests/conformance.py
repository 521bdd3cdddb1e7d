"""Every answer that a test gets from a function is held against the API's description: status, content type, schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from local.openapi import document
from shared.handler import JSON, Routes


def check(handler: Any, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises AssertionError for an answer that is not described. Handlers of a test's own have no description."""
    route = _route(handler, method, path)
    if route is None:
        return
    told = _told()["paths"][route][method.lower()]["responses"]
    where = f"{method} {route} answered {status}"
    assert str(status) in told, f"{where}, which is not described: {body[:200]!r}"
    schema = _content(told[str(status)]).get(headers["Content-Type"])
    assert schema is not None, f"{where} with {headers['Content-Type']}, which is not described"
    if headers["Content-Type"] == JSON and "Content-Encoding" not in headers:
        errors = _validator(json.dumps(schema)).iter_errors(json.loads(body))
        found = [f"{error.json_path}: {error.message}" for error in errors]
        assert found == [], f"{where}, and its body is not as described: {found}"


def _route(handler: Any, method: str, path: str) -> str | None:
    if not isinstance(handler, Routes) or handler not in {document.handler(service) for service in document.OPERATIONS}:
        return None
    segments = path.removesuffix("/").split("/")
    matching = (route for route in handler.routes if route.method == method and route.match(segments) is not None)
    found = next(matching, None)
    return found.template if found else None


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
