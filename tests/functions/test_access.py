"""The token functions and the authorizer in front of everything."""

from __future__ import annotations

import pytest

from functions.authorize import app as authorize
from functions.tokens import app as tokens
from shared.storage.memory import MemoryStore
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
    assert answer["context"]["scopes"] == "infer:fashion-* read"
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
    assert (answer.status, answer.json["revoked"]) == (200, True)
    with pytest.raises(Exception, match="Unauthorized"):
        authorize.handler(authorizer_event(f"Bearer {made['token']}"), None)
    listed = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert [(t["id"], t["revoked"]) for t in listed] == [(made["id"], True)]
    assert made["token"] not in str(listed)


@pytest.mark.parametrize(
    "body",
    [{"scopes": ["root"]}, {"scopes": []}, {"name": ""}, {"scopes": "infer"}, {"color": 1}, {"expires_in_days": -1}],
)
def test_bad_requests_make_no_token(store: MemoryStore, body: dict) -> None:
    answer = call(tokens.handler, "POST", "/tokens", {"name": "ci", "scopes": ["infer"]} | body)
    assert answer.status == 400
    assert list(answer.json) == ["error"]
    assert not store.list_page("access/").objects


@pytest.mark.parametrize("scopes", ["infer", "write", "admin:fashion-*"])
def test_only_admins_of_everything_see_and_make_tokens(store: MemoryStore, scopes: str) -> None:
    for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/000000000000")):
        assert call(tokens.handler, method, path, {"name": "x", "scopes": ["admin"]}, scopes=scopes).status == 403


def test_unknown_token(store: MemoryStore) -> None:
    assert call(tokens.handler, "DELETE", "/tokens/000000000000").status == 404
    assert call(tokens.handler, "DELETE", "/tokens/..%2F..%2Fmodels").status == 400
