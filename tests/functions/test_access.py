"""The token functions and the authorizer in front of everything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.authorize import app as authorize
from functions.tokens import app as tokens
from shared.storage.memory import MemoryStore
from tests.access.forging import OURS, SECRET, forged
from tests.support import call, load_event


def authorizer_event(header: str | None, kind: str = "REQUEST") -> dict:
    event = load_event("authorizer_request")
    if kind == "TOKEN":
        return {"type": "TOKEN", "methodArn": event["methodArn"], "authorizationToken": header}
    if header is not None:
        event["headers"]["authorization"] = header
    return event


def create(store: MemoryStore, **body) -> dict:
    answer = call(tokens.handler, "POST", "/tokens", {"name": "ci", "scopes": ["infer"]} | body)
    assert answer.status == 201
    return answer.json


@pytest.mark.parametrize("kind", ["REQUEST", "TOKEN"])
def test_a_new_token_is_let_in_with_its_scopes(store: MemoryStore, kind: str) -> None:
    made = create(store, scopes=["infer:fashion-*", "read"])
    answer = authorize.handler(authorizer_event(f"Bearer {made['token']}", kind), None)
    assert answer["principalId"] == made["id"]
    assert json.loads(answer["context"]["scope_list"]) == ["infer:fashion-*", "read"]
    assert all(isinstance(value, str) for value in answer["context"].values())
    assert answer["usageIdentifierKey"] == "standard-quota-key"
    statement = answer["policyDocument"]["Statement"][0]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == "arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/*"


@pytest.mark.parametrize("header", [None, "", "Bearer nonsense", "Bearer amaas_000000000000_" + "a" * 43])
def test_anyone_else_is_unauthorized(store: MemoryStore, header: str | None) -> None:
    # the gateway answers 401 to exactly this message, and 500 to any other
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(authorizer_event(header), None)


def test_revoked_tokens_stay_out_and_stay_listed(store: MemoryStore) -> None:
    made = create(store)
    answer = call(tokens.handler, "DELETE", f"/tokens/{made['id']}")
    assert (answer.status, answer.json["revoked"], answer.json["refused_within"]) == (200, True, 10)
    assert answer.json["revoked_by"] == "tester"
    with pytest.raises(Exception, match="Unauthorized"):
        authorize.handler(authorizer_event(f"Bearer {made['token']}"), None)
    listed = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert [(t["id"], t["revoked"]) for t in listed] == [(made["id"], True)]
    assert made["token"] not in str(listed)


@pytest.mark.parametrize(
    "body",
    [
        *({"scopes": scopes} for scopes in (["root"], [], "infer", ["infer:wine admin"], ["infer:a\nadmin"])),
        *({"name": ""}, {"name": "two\nlines"}, {"color": 1}, {"expires_in_days": -1}, {"expires_in_days": 0}),
    ],
)
def test_bad_requests_make_no_token(store: MemoryStore, body: dict) -> None:
    answer = call(tokens.handler, "POST", "/tokens", {"name": "ci", "scopes": ["infer"]} | body)
    assert answer.status == 400
    assert list(answer.json) == ["error", "code", "request_id"]
    assert not store.list_page("access/").objects


@pytest.mark.parametrize("scopes", ["infer", "write", "admin:fashion-*"])
def test_only_admins_of_everything_see_and_make_tokens(store: MemoryStore, scopes: str) -> None:
    routes = {"GET": "/tokens", "POST": "/tokens", "DELETE": "/tokens/000000000000"}
    for method, path in [*routes.items(), ("POST", "/tokens/000000000000/rotate")]:
        body = {"name": "x", "scopes": ["admin"]} if path == "/tokens" else {}
        assert call(tokens.handler, method, path, body, scopes=scopes).status == 403


def test_unknown_token(store: MemoryStore) -> None:
    assert call(tokens.handler, "DELETE", "/tokens/000000000000").status == 404
    assert call(tokens.handler, "DELETE", "/tokens/..%2F..%2Fmodels").status == 400


def test_rotation(store: MemoryStore) -> None:
    made = create(store, scopes=["infer:fashion-*"])
    answer = call(tokens.handler, "POST", f"/tokens/{made['id']}/rotate", {"overlap_hours": 1})
    assert (answer.status, answer.json["replaces"], answer.json["creator"]) == (201, made["id"], "tester")
    for token in (made, answer.json):
        context = authorize.handler(authorizer_event(f"Bearer {token['token']}"), None)["context"]
        assert json.loads(context["scope_list"]) == ["infer:fashion-*"]
    assert json.loads(context["replaces"]) == [made["id"]]
    assert set(json.loads(context["ancestors"])) == {made["id"], "tester"}
    assert call(tokens.handler, "POST", f"/tokens/{made['id']}/rotate").status == 409
    assert call(tokens.handler, "POST", "/tokens/000000000000/rotate").status == 404


def test_who_created_and_used_a_token_is_listed(store: MemoryStore) -> None:
    made = create(store)
    authorize.handler(authorizer_event(f"Bearer {made['token']}"), None)
    [listed] = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert (listed["creator"], len(listed["last_used"])) == ("tester", 10)
    assert listed["expires_at"] is not None


# ---- the operator


def operate(command: dict[str, Any]) -> dict[str, Any]:
    return tokens.handler({"operator": command}, None)


def test_an_operator_creates_the_first_token(store: MemoryStore) -> None:
    made = operate({"create": {"name": "ann"}})
    answer = authorize.handler(authorizer_event(f"Bearer {made['token']}"), None)
    assert json.loads(answer["context"]["scope_list"]) == ["admin"]
    assert call(tokens.handler, "GET", "/tokens").json["tokens"][0]["creator"] == "operator"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({}, "it says create, sign, list_unusable or free_keys"),
        ({"create": {}}, "does not fit"),
        ({"drop": 1}, "does not fit"),
        ([], "does not fit"),
        ({"create": {"name": "x", "scopes": ["infer:a b"]}}, "is not a scope"),
    ],
)
def test_commands_that_make_no_sense(store: MemoryStore, command: Any, why: str) -> None:
    assert why in operate(command)["error"]


def test_no_caller_of_the_gateway_is_an_operator(store: MemoryStore) -> None:
    """What the gateway passes on is in members of its own, whatever a caller sends."""
    body = {"operator": {"create": {"name": "x"}}}
    answer = call(tokens.handler, "POST", "/tokens", body, query={"operator": "1"}, headers={"operator": "1"})
    assert answer.status == 400


def test_tokens_of_an_earlier_release_are_signed_once(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("access/tokens/" + "0" * 12 + ".json", forged(scopes=["infer"]))
    store.put("access/tokens/" + "1" * 12 + ".json", forged("1" * 12, scopes=["infer:a b"]))
    header = f"Bearer amaas_{'0' * 12}_{SECRET}"
    for app in (authorize, tokens):
        monkeypatch.setattr(app, "seals", lambda settings: OURS)
    with pytest.raises(Exception, match="Unauthorized"):
        authorize.handler(authorizer_event(header), None)
    assert [one["id"] for one in operate({"list_unusable": True})["unusable"]] == ["0" * 12, "1" * 12]
    signed = operate({"sign": ["0" * 12, "1" * 12, "2" * 12]})["signed"]
    assert ["error" in one for one in signed] == [False, True, True]
    assert json.loads(authorize.handler(authorizer_event(header), None)["context"]["scope_list"]) == ["infer"]
    assert [one["id"] for one in operate({"list_unusable": True})["unusable"]] == ["1" * 12]
