"""One answer per Idempotency-Key: on every route that takes one, whatever happens between two calls, deaths too."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from api import document
from functions.registry import app as registry
from functions.tokens import app as tokens
from shared import keys
from shared.entry import idempotency
from shared.registry import aliases
from shared.registry.state import Target
from tests.failing import Call, FailingStore, Fault
from tests.functions.keyed import (
    CALLS,
    KEY,
    OTHER,
    PRODUCTION,
    REPLAYED,
    Caller,
    World,
    disturb,
    objects,
)
from tests.registry.conftest import push
from tests.support import Answer, call


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "PAUSE", 0.0)


def test_all_operations_that_say_so_are_tried_here() -> None:
    described = {
        operation["operationId"]
        for path in document.document()["paths"].values()
        for operation in path.values()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    }
    assert described - {"createToken"} == set(CALLS)  # that one's answer is a secret, and not kept


def test_a_key_creates_one_token_and_its_secret_is_stored_nowhere(world: World) -> None:
    body = {"name": "ci", "scopes": ["read"]}
    first = call(tokens.handler, "POST", "/tokens", body, headers=KEY)
    assert first.status == 201
    for again in (body, {"name": "other", "scopes": ["admin"]}):
        refused = call(tokens.handler, "POST", "/tokens", again, headers=KEY)
        assert (refused.status, f"token rotate {first.json['id']}" in refused.json["error"]) == (409, True)
    others = call(tokens.handler, "POST", "/tokens", body, headers=KEY, authorizer={"principalId": "another"})
    assert others.status == 201
    assert call(tokens.handler, "POST", "/tokens", body, headers={"Idempotency-Key": "a b"}).status == 400
    ids = {token["id"] for token in call(tokens.handler, "GET", "/tokens").json["tokens"]}
    assert ids == {first.json["id"], others.json["id"]}
    secret = first.json["token"].split("_", 2)[2].encode()
    assert not any(secret in world.store.get(info.key).body for info in objects(world, ""))
    rotated = call(tokens.handler, "POST", f"/tokens/{first.json['id']}/rotate", {})
    assert rotated.status == 201, "what the refusal advises"


@pytest.mark.parametrize("operation", CALLS)
def test_a_repetition_gets_the_first_answer_whatever_happened(world: World, operation: str) -> None:
    caller = Caller(world, operation)
    first = caller.send()
    assert first.status in (200, 201, 202), first.body
    assert REPLAYED not in first.headers
    for _ in range(2):
        disturb(world)
        before = world.log.read("m").revision
        again = caller.send()
        assert (again.status, again.body, again.headers[REPLAYED]) == (first.status, first.body, "true")
        assert world.log.read("m").revision == before
    assert len(world.queue.submitted) <= 1


@pytest.mark.parametrize("operation", CALLS)
def test_the_same_key_on_another_call_is_refused(world: World, operation: str) -> None:
    caller = Caller(world, operation)
    first = caller.send()
    revision = world.log.read("m").revision
    refused = caller.send(body=caller.other_body)
    assert refused.status == 422
    assert "use a new key" in refused.json["error"]
    elsewhere = call(registry.handler, "PUT", "/models/m/aliases/canary", {"version": 1}, headers=KEY)
    assert elsewhere.status == 422
    assert world.log.read("m").revision == revision
    assert caller.send().body == first.body


def test_a_key_is_of_one_caller(world: World) -> None:
    path, body = "/models/m/aliases/canary", b'{"version": 3}'
    assert call(registry.handler, "PUT", path, body, headers=KEY).json["version"] == 3
    other = call(registry.handler, "PUT", path, {"version": 4}, headers=KEY, authorizer={"principalId": "another"})
    assert (other.status, other.json["version"]) == (200, 4)
    assert REPLAYED not in other.headers
    assert call(registry.handler, "PUT", path, body, headers=KEY).json["version"] == 3


def test_a_call_that_changes_nothing_is_remembered(world: World) -> None:
    caller = Caller(world, "setAlias")
    caller.send(headers=None)
    first = caller.send()  # it points there already
    aliases.move(world.log, "m", "production", Target(version=1), OTHER)
    assert caller.send().body == first.body
    assert world.log.read("m").aliases["production"].version == 1


def test_a_refusal_is_remembered(world: World) -> None:
    path, body = "/models/m/aliases/canary", {"version": 5}
    first = call(registry.handler, "PUT", path, body, headers=KEY)
    assert first.status == 404
    push(world.log, "m")
    again = call(registry.handler, "PUT", path, body, headers=KEY)
    assert (again.status, again.body, again.headers[REPLAYED]) == (404, first.body, "true")
    assert call(registry.handler, "PUT", path, body, headers={"Idempotency-Key": "key-2"}).status == 200


def test_a_remembered_refusal_has_the_number_of_the_call_that_repeats_it(world: World) -> None:
    path, body = "/models/m/aliases/canary", {"version": 5}
    first = call(registry.handler, "PUT", path, body, headers=KEY, request_id="first")
    [name] = [info.key for info in objects(world, "idempotency/")]
    assert b"first" not in world.store.get(name).body
    again = call(registry.handler, "PUT", path, body, headers=KEY, request_id="second")
    assert again.json == first.json | {"request_id": "second"} and first.json["request_id"] == "first"
    assert (first.headers["x-request-id"], again.headers["x-request-id"]) == ("first", "second")


def test_a_refusal_that_an_earlier_release_kept_gets_its_code(world: World) -> None:
    path, body = "/models/m/aliases/canary", {"version": 5}
    first = call(registry.handler, "PUT", path, body, headers=KEY)
    [name] = [info.key for info in objects(world, "idempotency/")]
    stored = json.loads(world.store.get(name).body)
    del stored["body"]["code"]
    world.store.put(name, json.dumps(stored).encode())
    assert call(registry.handler, "PUT", path, body, headers=KEY).json == first.json


def test_what_never_began_is_not_remembered(world: World) -> None:
    path = "/models/m/aliases/canary"
    assert call(registry.handler, "PUT", path, {"version": "x"}, headers=KEY).status == 400
    assert call(registry.handler, "PUT", path, {"version": 1}, headers=KEY, scopes="read").status == 403
    assert call(registry.handler, "PUT", path, {"version": 1}, headers={"Idempotency-Key": "a b"}).status == 400
    assert call(registry.handler, "PUT", path, {"version": 1}, headers=KEY).status == 200


def test_the_body_is_compared_as_json(world: World) -> None:
    path = "/models/m/aliases/canary"
    first = call(registry.handler, "PUT", path, b'{"version": 1, "reason": "\xc3\xa4"}', headers=KEY)
    again = call(registry.handler, "PUT", path, b' {"reason":"\\u00e4","version":1}', headers=KEY)
    assert (again.body, again.headers[REPLAYED]) == (first.body, "true")
    assert call(registry.handler, "DELETE", path, b"", headers={"Idempotency-Key": "k"}).status == 200
    assert REPLAYED in call(registry.handler, "DELETE", path, b"{}", headers={"Idempotency-Key": "k"}).headers


# ---- at the same time


@pytest.mark.parametrize("operation", ["setAlias", "rollbackAlias", "createMoveRequest", "deleteAlias"])
def test_many_at_once_are_one(world: World, operation: str) -> None:
    caller, answers = Caller(world, operation), []
    before = world.log.read("m").revision
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        answers.append(caller.send())

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    given = {answer.body for answer in answers if answer.status != 409}
    assert len(given) == 1
    assert all("still being carried out" in answer.json["error"] for answer in answers if answer.status == 409)
    assert world.log.read("m").revision == before + 1


def test_whoever_lost_its_claim_answers_as_the_other(world: World) -> None:
    """The first call changes nothing; before it stores that, others move the alias, and the call arrives again."""
    caller = Caller(world, "setAlias")
    caller.send(headers=None)
    second: list[Answer] = []

    def plan(call: Call) -> Fault | None:
        claimed = [c for c in world.store.calls if c.operation == "put" and c.key.startswith(keys.IDEMPOTENCY)]
        if len(claimed) == 2 and call == claimed[1] and not second:
            second.append(None)  # type: ignore[arg-type]  # only once
            aliases.move(world.log, "m", "production", Target(version=1), OTHER)
            second[0] = caller.send()
        return None

    world.plan = plan
    first = caller.send()
    assert second[0].json["version"] == 3
    assert first.body == second[0].body
    assert world.log.read("m").aliases["production"].version == 3


# ---- what it costs


def _requests(store: FailingStore, send: Callable[[], Answer]) -> dict[str, int]:
    before = len(store.calls)
    assert send().status == 200
    operations = [call.operation for call in store.calls[before:]]
    return {operation: operations.count(operation) for operation in set(operations)}


def test_requests_to_the_store(world: World) -> None:
    numbers = iter([3, 1, 3])
    plain = _requests(world.store, lambda: call(registry.handler, "PUT", PRODUCTION, {"version": next(numbers)}))
    body = {"version": next(numbers)}
    keyed = _requests(world.store, lambda: call(registry.handler, "PUT", PRODUCTION, body, headers=KEY))
    again = _requests(world.store, lambda: call(registry.handler, "PUT", PRODUCTION, body, headers=KEY))
    assert plain == {"get": 2, "put": 3}
    assert keyed == {"get": 2, "put": 5}
    assert again == {"get": 1, "put": 1}


def test_a_store_of_another_release_is_not_guessed_at(world: World) -> None:
    caller = Caller(world, "setAlias")
    caller.send()
    [info] = objects(world, keys.IDEMPOTENCY)
    body = json.loads(world.store.get(info.key).body) | {"format": 2}
    world.store.put(info.key, json.dumps(body).encode())
    assert "later release" in caller.send().json["error"]


def test_nothing_of_the_caller_is_in_the_keys_name(world: World) -> None:
    Caller(world, "setAlias").send()
    [info] = objects(world, keys.IDEMPOTENCY)
    assert "tester" not in info.key
    assert "key-1" not in info.key
