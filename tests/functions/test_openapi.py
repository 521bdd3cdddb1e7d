"""The API's description: made of the code, complete, and valid OpenAPI 3.1. What functions answer is held against it
wherever a test calls one: tests/conformance.py."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import client_routes
from api import document as describing
from api.document import CONTRACTS
from api.routes import routes
from functions.batch import app as batch
from functions.registry import app as registry
from functions.registry import description
from functions.training import app as training
from shared import errors
from shared.config import Config
from shared.entry.http import Request, Response, Routes
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests import conformance
from tests.functions.test_flow import push as upload
from tests.support import FORM, call, form, linear, load_event

DOCUMENT = describing.document()
ROUTES = routes()
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
        assert found["description"] and ({"application/json", "text/event-stream"} & found["content"].keys())
        if int(status) >= 400 and "$ref" in response:
            names = ["OpenaiErrorAnswer", "Error"] if route.template.startswith("/v1/") else ["Error"]
            forms = [{"$ref": f"#/components/schemas/{name}"} for name in names]
            assert found["content"] == {
                "application/json": {"schema": {"anyOf": forms} if len(forms) > 1 else forms[0]}
            }


@each
def test_examples_are_valid(service: str, route: Any, told: dict[str, Any]) -> None:
    content = told.get("requestBody", {"content": {}})["content"].get("application/json", {})
    schema = {"components": DOCUMENT["components"], **content.get("schema", {})}
    for example in content.get("examples", {}).values():
        assert [error.message for error in Draft202012Validator(schema).iter_errors(example["value"])] == []
        if route.takes is not None:
            msgspec.json.decode(json.dumps(example["value"]), type=route.takes)


PARAMS = {"model": "m", "version": "1", "alias": "production", "number": "1", "upload_id": "an-upload"}
PARAMS |= {"token_id": "0" * 12, "job": "a-job", "job_id": "019bae2fd40-0123456789abcdef"}
TENSOR = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}


# what gets a handler as far as its last header
BODIES: dict[str, Any] = {
    "infer": {"inputs": [TENSOR]},
    "predict": {"inputs": {"x": [[1.0, 2.0]]}},
    "explain": {"inputs": {"x": [[1.0, 2.0]]}},
    "createEmbeddings": {"model": "m", "input": "a text"},
    "rerank": {"model": "m", "query": "a text", "documents": ["another one"]},
    "createChatCompletion": {"model": "m", "messages": [{"role": "user", "content": "a text"}]},
    "createCompletion": {"model": "m", "prompt": "a text"},
    "generate": {"text_input": "a text"},
    "generateStream": {"text_input": "a text"},
    "rerankV2": {"model": "m", "query": "a text", "documents": ["another one"]},
    "setAlias": {"version": 1},
    "createMoveRequest": {"version": 1},
    "createUploadSession": {"files": [{"name": "model.onnx", "size": 1}]},
    "createTrainingJob": {"model": "m", "data": "fashion-mnist"},
    "createToken": {"name": "shop", "scopes": ["read"]},
    "redriveUploads": {"uploads": ["an-upload"]},
    "giveLabels": {"labels": [{"answer_id": "an-id", "label": "cat"}]},
}


FORMS = ("createTranscription", "createTranslation")


class Reads(dict[str, str]):
    """Headers that note what a handler looks for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


@pytest.fixture
def wired(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All functions on a store in memory, in which the model m has two versions."""
    upload(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    upload(store, "m", {"model.onnx": linear([[2.0], [0.0]])})
    for app in (batch, training):
        monkeypatch.setattr(app, "store", lambda: store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket="amaas"))
    monkeypatch.setattr(batch, "log", lambda: Log(store))
    monkeypatch.setattr(training, "queue", lambda: None)


@each
def test_the_headers_are_what_the_code_reads(service: str, route: Any, told: dict[str, Any], wired: None) -> None:
    headers = Reads()
    headers.update(FORM if route.id in FORMS else {})
    body = json.dumps(BODIES.get(route.id.replace("Version", ""), {})).encode()
    body = form(b"no sound", model="m") if route.id in FORMS else body
    request = Request(route.method, "/", PARAMS, {}, headers, body, ("admin",), "tester", "request-1")
    with contextlib.suppress(errors.AmaasError):
        route.call(request)
    described = {param["name"].lower() for param in told["parameters"] if param["in"] == "header"}
    seldom = {"accept-encoding"}  # read when there is something to compress
    assert headers.names - {"content-type", "accept", "x-forwarded-proto"} <= described
    assert described - seldom <= headers.names


def test_ids_and_names_are_pinned() -> None:
    """Clients are generated from them: who changes one changes a public name, and says so in CHANGELOG.md."""
    pinned = json.loads((Path(__file__).with_name("api_names.json")).read_text())
    assert {f"{route.method} {route.template}": route.id for _, route in ROUTES} == pinned["operations"]
    assert sorted(DOCUMENT["components"]["schemas"]) == pinned["schemas"]


def test_a_route_that_does_not_say_what_it_gives_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    more = Routes("more")

    @more.route("GET", "/more", id="getMore", scope="read", models="none")
    def get_more(request: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(registry.handler, "routes", [*registry.handler.routes, *more.routes])
    with pytest.raises(KeyError, match=r"GET /more: say in its decorator what it `gives`"):
        describing.document()


def test_the_clients_paths_are_those_of_the_routes() -> None:
    assert client_routes.FILE.read_text() == client_routes.source(), "run make client-routes"


def test_every_contract_beside_its_route_has_one() -> None:
    assert set(CONTRACTS) == {route.id for service, route in ROUTES if service in ("inference", "generate")}


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
    monkeypatch.setattr(description, "document", lambda: description.DOCUMENT.decode(json.dumps(DOCUMENT)))
    return json.loads(registry.handler(event, None)["body"])


def test_it_says_where_the_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = {"apiId": "a1", "stage": "v1", "path": "/v1/openapi.json"}
    found = ask(monkeypatch, gateway | {"domainName": "a1.execute-api.example"}, {"X-Forwarded-Proto": "https"})
    assert found == DOCUMENT | {"servers": [{"url": "https://a1.execute-api.example/v1"}]}
    mapped = {"domainName": "models.example", "path": "/openapi.json"}
    assert ask(monkeypatch, gateway | mapped, {})["servers"] == [{"url": "https://models.example"}]
    monkeypatch.setattr(description, "config", lambda: Config(bucket="b", endpoint_url="http://127.0.0.1:4566"))
    embedded = "http://127.0.0.1:4566/_aws/execute-api/a1/v1"
    assert ask(monkeypatch, gateway, {})["servers"] == [{"url": embedded}]


def test_a_function_that_was_built_without_it_says_so() -> None:
    assert not Path(registry.__file__).with_name("openapi.json").exists()
    answer = call(registry.handler, "GET", "/openapi.json", scopes="")
    assert answer.status == 404
    assert "make build" in answer.json["error"]
