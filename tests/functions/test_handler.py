"""The entry kit: routes, scopes, one error shape, one log line."""

from __future__ import annotations

import base64
import json
import random
import uuid
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from shared.config import MAX_BODY_BYTES
from shared.entry import proxy
from shared.entry.http import Request, Response, Routes
from shared.errors import CODES, BadInput, Conflict
from tests.support import call


@pytest.fixture
def handler() -> Routes:
    return make_routes()


class Query(Struct):
    limit: Annotated[int, Meta(ge=1, le=9)] = 7
    next: int | None = None
    tag: str | None = None
    all: bool = False


def make_routes() -> Routes:
    routes = Routes(f"test-{uuid.uuid4().hex}")  # a logger of its own, that writes to what is stdout now

    @routes.route("GET", "/models/{model}", id="getModel", scope="read", query=Query)
    def show(request: Request, query: Query) -> dict:
        return {
            "model": request.params["model"],
            "caller": request.caller,
            "n": query.limit,
            "all": query.all,
            "tag": query.tag,
        }

    @routes.route("POST", "/echo", id="echo", scope=None)
    def echo(request: Request) -> Response:
        return Response(request.body, headers={"Content-Type": "application/octet-stream"})

    @routes.route("POST", "/json", id="json", scope=None)
    def parse(request: Request) -> dict:
        return request.json()

    @routes.route("GET", "/conflict", id="conflict", scope=None)
    def conflict(request: Request) -> None:
        raise Conflict("it moved; look again")

    @routes.route("GET", "/v1/conflict", id="conflictBelow", scope=None)
    def conflict_below(request: Request) -> None:
        raise Conflict("it moved; look again")

    @routes.route("GET", "/bug", id="bug", scope=None)
    @routes.route("GET", "/v1/bug", id="bugBelow", scope=None)
    def bug(request: Request) -> None:
        raise ZeroDivisionError("secret detail")

    @routes.route("GET", "/stops", id="stops", scope=None)
    def stops(request: Request) -> Response:
        return Response(None, parts=(1 // (2 - number) * b"x" for number in range(5)))

    return routes


def test_serves_and_decodes(handler: Routes) -> None:
    answer = call(handler, "GET", "/models/a%20b")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == {"model": "a b", "caller": "tester", "n": 7, "all": False, "tag": None}


def test_a_query_becomes_what_the_route_declares(handler: Routes) -> None:
    answer = call(handler, "GET", "/models/x", query={"limit": "9", "all": "true", "other": "is ignored"})
    assert (answer.json["n"], answer.json["all"]) == (9, True)
    assert call(handler, "GET", "/models/x", query={"tag": "null"}).json["tag"] == "null", "a text like any other"
    for name, text in (
        ("limit", "10"),
        ("limit", "-1"),
        ("limit", "1_0"),
        ("limit", "٣"),
        ("all", "maybe"),
        ("next", "null"),
    ):
        refused = call(handler, "GET", "/models/x", query={name: text})
        assert refused.status == 400
        assert f"the query's {name} does not fit" in refused.json["error"], refused.json


@pytest.mark.parametrize("query", [{"tag": "\ud800"}, {"\udfff": "x"}, {"limit": "\ud800"}])
def test_half_a_surrogate_pair_in_a_query_is_refused(handler: Routes, query: dict[str, str]) -> None:
    answer = call(handler, "GET", "/models/m", query=query)
    assert (answer.status, "surrogate" in answer.json["error"]) == (400, True)


def test_binary_in_and_out(handler: Routes) -> None:
    body = bytes(range(256))
    assert call(handler, "POST", "/echo", body).body == body


def test_one_error_shape(handler: Routes) -> None:
    answers = [
        (404, call(handler, "GET", "/nothing")),
        (404, call(handler, "PATCH", "/models/x")),
        (403, call(handler, "GET", "/models/x", scopes="infer")),
        (403, call(handler, "GET", "/models/x", scopes="read:y")),
        (400, call(handler, "GET", "/models/x", query={"limit": "10"})),
        (400, call(handler, "GET", "/models/x", query={"limit": "x"})),
        (400, call(handler, "POST", "/json", b"{")),
        (400, call(handler, "POST", "/json", b"[1]")),
        (400, call(handler, "POST", "/json", b'"\xff"')),
        (400, call(handler, "POST", "/json", b"[" * 100_000)),
        (409, call(handler, "GET", "/conflict")),
        (413, call(handler, "POST", "/echo", b"x" * (MAX_BODY_BYTES + 1))),
        (500, call(handler, "GET", "/bug")),
    ]
    for status, answer in answers:
        assert answer.status == status, answer.body
        assert list(answer.json) == ["error", "code", "request_id"]
        assert answer.json["code"] == CODES.get(status, "internal")
        assert answer.json["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["Content-Type"] == "application/json"
        assert "secret detail" not in answer.json["error"]


@pytest.mark.parametrize(
    ("path", "status", "kind", "code"),
    [
        ("/v1/nothing", 404, "not_found_error", "not_found"),
        ("/v1/conflict", 409, "invalid_request_error", "conflict"),
        ("/v1/bug", 500, "server_error", "internal"),
    ],
)
def test_another_error_shape_where_openais_clients_call(
    handler: Routes, path: str, status: int, kind: str, code: str
) -> None:
    answer = call(handler, "GET", path, request_id="number-1")
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    [error] = answer.json.values()
    message = error.pop("message")
    assert message and "secret detail" not in message
    assert error == {"type": kind, "param": None, "code": code, "request_id": "number-1"}
    assert answer.headers["x-request-id"] == "number-1"


def test_what_breaks_off_where_nothing_streams_is_an_error_of_the_same_shape(handler: Routes) -> None:
    answer = call(handler, "GET", "/stops", request_id="number-1")
    told = {"error": "the answer broke off: try again", "code": "internal", "request_id": "number-1"}
    assert (answer.status, answer.json, answer.headers["x-request-id"]) == (500, told, "number-1")


def test_where_there_is_no_number_of_the_call_none_is_told(handler: Routes) -> None:
    answer = call(handler, "GET", "/conflict", request_id="")
    assert (answer.status, answer.json) == (409, {"error": "it moved; look again", "code": "conflict"})
    assert "x-request-id" not in answer.headers


def test_the_log_has_the_reason_of_either_shape(capsys: pytest.CaptureFixture) -> None:
    handler = make_routes()
    for path in ("/bug", "/v1/bug"):
        call(handler, "GET", path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reasons = [line["reason"] for line in lines if line["message"] == "call"]
    assert len(reasons) == 2 and all(reason.startswith("internal error; ") for reason in reasons)


def test_the_largest_body_passes(handler: Routes) -> None:
    assert call(handler, "POST", "/echo", b"x" * MAX_BODY_BYTES).status == 200


def test_log_line_is_a_metric_and_holds_no_body(capsys: pytest.CaptureFixture) -> None:
    handler = make_routes()
    call(handler, "POST", "/json", b'{"password": "hunter2"}', headers={"Authorization": "Bearer hunter3"})
    call(handler, "GET", "/conflict")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["status"], line["route"], line["cold_start"]) for line in lines] == [
        (200, "/json", True),
        (409, "/conflict", False),
    ]
    assert lines[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Amaas"
    assert isinstance(lines[0]["Duration"], float)
    assert lines[1]["Errors"] == 1
    assert "hunter" not in json.dumps(lines)


@pytest.mark.parametrize("size", [0, 5, proxy.LARGE, 3 * proxy.LARGE + 1])
def test_bodies_of_any_length_travel_in_base64(size: int) -> None:
    body = random.Random(size).randbytes(size)
    text = proxy.to_base64(body)
    assert text == base64.b64encode(body).decode()
    assert proxy.body_of({"body": text, "isBase64Encoded": True}) == body


@pytest.mark.parametrize("text", ["abc", "ab!d", "=", "abcd" * proxy.LARGE + "!", "abcd" * proxy.LARGE + "a"])
def test_broken_base64_is_the_gateways_fault_and_said(text: str) -> None:
    with pytest.raises(BadInput, match="invalid base64"):
        proxy.body_of({"body": text, "isBase64Encoded": True})
