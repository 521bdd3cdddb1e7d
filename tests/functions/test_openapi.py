"""The API's description: made of the code, complete, and valid OpenAPI 3.1. What functions answer is held against it
wherever a test calls one: tests/conformance.py."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import document as describing
from functions.registry import app as registry
from shared import errors
from shared.config import Config
from shared.entry.http import Response, Routes
from tests import conformance
from tests.support import call, load_event

DOCUMENT = describing.document()
ROUTES = describing.routes()
OPERATIONS = [(service, route, DOCUMENT["paths"][route.template][route.method.lower()]) for service, route in ROUTES]
each = pytest.mark.parametrize(
    ("service", "route", "told"), OPERATIONS, ids=[f"{route.method} {route.template}" for _, route, _ in OPERATIONS]
)


def statuses(told: dict[str, Any]) -> set[int]:
    return {int(status) for status in told["responses"]}


def test_it_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    assert len({told["operationId"] for _, _, told in OPERATIONS}) == len(OPERATIONS)


@each
def test_routes_are_described(service: str, route: Any, told: dict[str, Any]) -> None:
    assert told["summary"] and told["description"] and told["tags"] == [service]
    assert told["x-amaas-scope"] == route.scope
    assert "security" not in told, "the document's own holds: a token"
    assert all(param["description"] and param["schema"] for param in told["parameters"])
    named = [segment[1:-1] for segment in route.segments if segment.startswith("{")]
    assert [param["name"] for param in told["parameters"] if param["in"] == "path"] == named
    assert any(status < 300 for status in statuses(told))
    assert {400, 401, 403, 429, 500, 502, 503, 504} <= statuses(told)
    for status, response in told["responses"].items():
        found = (
            DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        )
        assert found["description"] and "application/json" in found["content"]
        if int(status) >= 400 and "$ref" in response:
            assert found["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


@each
def test_bodies_are_described(service: str, route: Any, told: dict[str, Any]) -> None:
    reads = "request.body" in inspect.getsource(route.handle)
    assert ("requestBody" in told) == (reads or route.takes is not None or route.handle.__name__ == "index")
    if route.takes is not None:
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{route.takes.__name__}"}
        assert 413 in statuses(told)


@each
def test_examples_are_valid(service: str, route: Any, told: dict[str, Any]) -> None:
    content = told.get("requestBody", {"content": {}})["content"].get("application/json", {})
    schema = {"components": DOCUMENT["components"], **content.get("schema", {})}
    for example in content.get("examples", {}).values():
        assert [error.message for error in Draft202012Validator(schema).iter_errors(example["value"])] == []
        if route.takes is not None:
            msgspec.json.decode(json.dumps(example["value"]), type=route.takes)


@each
def test_the_query_is_what_the_code_reads(service: str, route: Any, told: dict[str, Any]) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(route.handle)))
    read = {name for node in ast.walk(tree) if (name := read_from_query(node)) is not None}
    options = describing.operation(service, route).options
    passed = set(getattr(options, "__struct_fields__", ()))
    assert (options is not None) == ("request.query)" in ast.unparse(tree) or "| request.query" in ast.unparse(tree))
    assert {param["name"] for param in told["parameters"] if param["in"] == "query"} == read | passed


def read_from_query(node: ast.AST) -> str | None:
    """The member of the query that a call asks for, if it is one that does."""
    if not isinstance(node, ast.Call):
        return None
    asked = ast.unparse(node.func)
    if asked == "request.limit":
        return "limit"
    if asked == "_reference":
        return str(ast.literal_eval(node.args[1]))
    if asked in ("request.query.get", "query.get", "request.number", "request.flag"):
        return str(ast.literal_eval(node.args[0]))
    return None


@each
def test_the_headers_are_what_the_code_reads(service: str, route: Any, told: dict[str, Any]) -> None:
    source = inspect.getsource(route.handle)
    given = {param["name"] for param in told["parameters"] if param["in"] == "header"}
    acts = "request.act(" in source or "_decided(" in source
    assert ("Idempotency-Key" in given) == acts
    keyed = any(text in source for text in ("x-request-key", "_load(request)", "_wanted(request)", "_key(request)"))
    assert ("x-request-key" in given) == keyed
    assert ("Content-Encoding" in given) == ("content-encoding" in source or "protocol.parse" in source)


def test_nothing_is_described_that_is_not_there() -> None:
    there = {(service, route.handle.__name__) for service, route in ROUTES}
    described = {(service, name) for service, found in describing.OPERATIONS.items() for name in found}
    assert described == there


def test_a_route_that_nobody_described_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = Routes("more")

    @routes.route("GET", "/more", scope="read")
    def more(request: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(registry.handler, "routes", [*registry.handler.routes, *routes.routes])
    with pytest.raises(KeyError, match=r"GET /more: describe registry\.more"):
        describing.document()


def test_every_error_has_its_answer() -> None:
    known = {error.status for error in errors.AmaasError.__subclasses__()}
    assert known <= set(describing.ERRORS)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (Response({"models": []}), "'next' is a required property"),
        (Response({"models": [], "next": None, "more": 1}), "'more' was unexpected"),
        (Response({"models": [], "next": None}, 206), "206, which is not described"),
        (Response(b"[]", headers={"Content-Type": "text/plain"}), "text/plain, which is not described"),
    ],
)
def test_answers_that_are_not_as_described_fail_the_test_that_got_them(answer: Response, what: str) -> None:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    headers = {"Content-Type": "application/json"} | answer.headers
    with pytest.raises(AssertionError) as raised:
        conformance.check(registry.handler, "GET", "/models", answer.status, headers, body)
    assert what in str(raised.value)


def ask(monkeypatch: pytest.MonkeyPatch, context: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": "/openapi.json", "headers": headers}
    event["requestContext"] = context
    monkeypatch.setattr(registry, "described", lambda: registry.DOCUMENT.decode(json.dumps(DOCUMENT)))
    return json.loads(registry.handler(event, None)["body"])


def test_it_says_where_the_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = {"apiId": "a1", "stage": "v1", "path": "/v1/openapi.json"}
    found = ask(monkeypatch, gateway | {"domainName": "a1.execute-api.example"}, {"X-Forwarded-Proto": "https"})
    assert found == DOCUMENT | {"servers": [{"url": "https://a1.execute-api.example/v1"}]}
    mapped = {"domainName": "models.example", "path": "/openapi.json"}
    assert ask(monkeypatch, gateway | mapped, {})["servers"] == [{"url": "https://models.example"}]
    monkeypatch.setattr(registry, "config", lambda: Config(bucket="b", endpoint_url="http://127.0.0.1:4566"))
    embedded = "http://127.0.0.1:4566/_aws/execute-api/a1/v1"
    assert ask(monkeypatch, gateway, {})["servers"] == [{"url": embedded}]


def test_a_function_that_was_built_without_it_says_so() -> None:
    assert not Path(registry.__file__).with_name("openapi.json").exists()
    answer = call(registry.handler, "GET", "/openapi.json", scopes="")
    assert answer.status == 404
    assert "make build" in answer.json["error"]
