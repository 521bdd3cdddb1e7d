"""Nothing that a caller sends comes into a log line, a metric, or an object that is not the place for it.

A secret is planted in every field of every route, one at a time: path, query, headers, each member of the body, a body
that is no JSON. What is looked through is all that the functions have written: standard output, records of logging,
the store.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from api.document import document
from api.routes import handler, routes
from functions.authorize import app as authorize
from functions.batch import app as batch
from functions.training import app as training
from shared import logs
from shared.config import Config
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.functions.test_openapi import BODIES, PARAMS
from tests.proofs.stores import copy_of, keys_of
from tests.support import caller, linear, load_event

DOCUMENT = document()
ROUTES = routes()
# two that each grammar takes, and two that few do; each is looked for as it was sent
PLANTS = ("s3cr3t-of-somebody-0001", "s3cr3tofsomebody0002", "S3CR3T of somebody", "s3cr3t\n\u2028\x00 somebody")
MARK = "s3cr3t"
# where a caller's words are meant to be, by operation: names, reasons, descriptions, files
MEANT = {
    "createUploadSession", "createBatchJob", "addBatchJobFiles", "createTrainingJob", "createToken", "updateModel",
    "setAlias", "deleteAlias", "rollbackAlias", "setAliasPolicy", "createMoveRequest", "approveMoveRequest",
    "rejectMoveRequest", "retireVersion", "restoreVersion", "deleteModel", "restoreModel",
}  # fmt: skip


@pytest.fixture(scope="module")
def pushed() -> dict[str, MemoryStore]:
    return {}


@pytest.fixture
def wired(store: MemoryStore, pushed: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """All functions on a store in memory, in which the model m has two versions, which the gate checked once."""
    if not pushed:
        for weight in (1.0, 2.0):
            push(store, "m", {"model.onnx": linear([[weight], [0.0]])})
        pushed["store"] = copy_of(store)
    store._objects.update(pushed["store"]._objects)
    for app in (batch, training):
        monkeypatch.setattr(app, "store", lambda: store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket="amaas"))
    monkeypatch.setattr(batch, "log", lambda: Log(store))
    monkeypatch.setattr(training, "queue", lambda: None)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture) -> Any:
    """What has been logged since the last call of it, with the fields and exceptions of each record."""
    caplog.set_level(logging.DEBUG)

    def drain() -> str:
        records = [logs.JsonLines().format(record) for record in caplog.records if record.name.startswith(logs.OURS)]
        caplog.clear()
        captured = capsys.readouterr()
        return "\n".join([captured.out, captured.err, *records])

    return drain


def send(function: str, method: str, path: str, **parts: Any) -> dict[str, Any]:
    event = load_event("apigateway_proxy") | {"httpMethod": method, "path": path, "isBase64Encoded": False}
    event |= {"queryStringParameters": None, "headers": {}, "body": None, **parts}
    event["requestContext"]["authorizer"] = caller("admin")
    reply: dict[str, Any] = handler(function)(event, None)
    return reply


def path_of(route: Any, **values: str) -> str:
    segments = (values.get(s[1:-1], PARAMS[s[1:-1]]) if s.startswith("{") else s for s in route.segments)
    return "/".join(quote(segment, safe="") for segment in segments)


def sound_body(route: Any) -> dict[str, Any]:
    return dict(BODIES.get(route.id.removesuffix("Version"), {}))


def bodies(route: Any, secret: str) -> Iterator[str]:
    """The body with the secret as each member's value, as a further member's name, within lists; and as no JSON."""
    operation = DOCUMENT["paths"][route.template][route.method.lower()]
    if "requestBody" not in operation:
        return
    schema = operation["requestBody"]["content"].get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    members = DOCUMENT["components"]["schemas"].get(name, {}).get("properties", {})
    for member in members:
        for value in (secret, [secret], {secret: secret}, [{"name": secret}], {"name": secret, "value": 1}):
            yield json.dumps(sound_body(route) | {member: value})
    yield json.dumps(sound_body(route) | {secret: secret})
    yield json.dumps(secret)
    yield f'{{"{secret}'


def plants(route: Any, secret: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Paths and further parts of calls, each with the secret in one field."""
    for parameter in (segment[1:-1] for segment in route.segments if segment.startswith("{")):
        yield path_of(route, **{parameter: secret}), {"body": json.dumps(sound_body(route))}
    operation = DOCUMENT["paths"][route.template][route.method.lower()]
    sound = json.dumps(sound_body(route))
    for parameter in operation["parameters"]:
        if parameter["in"] == "query":
            yield path_of(route), {"queryStringParameters": {parameter["name"]: secret}, "body": sound}
        if parameter["in"] == "header":
            yield path_of(route), {"headers": {parameter["name"]: secret}, "body": sound}
    yield path_of(route), {"queryStringParameters": {secret: secret}, "body": sound}
    yield path_of(route), {"headers": {"content-type": secret, "authorization": secret, secret: secret}, "body": sound}
    yield path_of(route) + "/" + quote(secret), {}
    for body in bodies(route, secret):
        yield path_of(route), {"body": body}


@pytest.mark.parametrize(("function", "route"), ROUTES, ids=[f"{route.method} {route.template}" for _, route in ROUTES])
def test_no_field_of_a_route_reaches_the_log(
    function: str, route: Any, store: MemoryStore, wired: None, lines: Any
) -> None:
    lines()
    calls, kept = 0, set[str]()
    for secret in PLANTS:
        for path, parts in plants(route, secret):
            reply = send(function, route.method, path, **parts)
            written = lines()
            assert '"call"' in written, "each call has its line"
            assert MARK not in written.lower(), (reply["statusCode"], path, parts)
            assert reply["statusCode"] != 500, (path, parts, reply["body"])
            calls += 1
            if route.id not in MEANT:
                assert holding(store) == set(), path
            elif reply["statusCode"] >= 400:
                assert holding(store) == kept, (path, parts, "a refused call leaves nothing")
            kept = holding(store)
    assert calls >= 12


def holding(store: MemoryStore) -> set[str]:
    """Keys of objects that have a secret in them, or in their names."""
    return {key for key in keys_of(store) if MARK in key.lower() or MARK.encode() in store.get(key).body.lower()}


def test_a_token_that_is_refused_is_not_logged(store: MemoryStore, lines: Any) -> None:
    for token in (*PLANTS, "amaas_0123456789ab_s3cr3t-of-somebody", "amaas_s3cr3t_x"):
        event = load_event("authorizer_request") | {"authorizationToken": f"Bearer {token}"}
        with pytest.raises(Exception, match="Unauthorized"):
            authorize.handler(event, None)
        assert MARK not in lines().lower()


def test_negative_control_a_message_in_a_line_is_seen(
    store: MemoryStore, wired: None, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoting = logging.getLogger("shared.entry.http")
    monkeypatch.setattr(
        "shared.entry.http.errors.AmaasError.body",
        lambda self, path, request_id: quoting.info("%s", self) or {"error": "x"},
    )
    send("upload", "GET", f"/uploads/{quote(PLANTS[2])}")
    assert MARK in lines().lower()
