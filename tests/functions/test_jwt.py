"""JWTs at the authorizer, beside tokens: what the gateway is told, and what happens while the issuer is away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from functions.authorize import app as authorize
from functions.registry import app as registry
from shared.access.jwt import callers
from shared.config import Config
from shared.registry import approvals
from shared.registry.state import Change
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from tests.access.issuing import AUDIENCE, Key, LocalIssuer, serving
from tests.functions.test_access import authorizer_event, create
from tests.support import call

KEY = Key("ec-1", "ES256")


@pytest.fixture
def local(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIssuer]:
    """A deployment that trusts this issuer."""
    with serving(LocalIssuer([KEY])) as issuer:
        settings = Config(
            bucket="amaas",
            endpoint_url="http://127.0.0.1:4566",
            quota_key="shared-quota-key",
            jwt_issuer=issuer.address,
            jwt_audience=AUDIENCE,
            limits='{"batch_jobs":3}',
        )
        monkeypatch.setattr(authorize, "config", lambda: settings)
        yield issuer


def authorized(header: str, kind: str = "TOKEN") -> dict[str, Any]:
    return authorize.handler(authorizer_event(header, kind), None)


@pytest.mark.parametrize("kind", ["REQUEST", "TOKEN"])
def test_a_jwt_is_a_caller_with_the_deployment_s_limits(local: LocalIssuer, kind: str) -> None:
    answer = authorized(f"Bearer {KEY.token(local.claims())}", kind)
    caller = callers.identity(local.address, "ann@example.com")
    assert answer["principalId"] == caller
    assert json.loads(answer["context"]["scope_list"]) == ["infer:fashion-*", "read"]
    assert json.loads(answer["context"]["limits"]) == {"batch_jobs": 3}
    assert answer["usageIdentifierKey"] == "shared-quota-key"
    assert "ann@example.com" not in json.dumps(answer)
    listing = call(registry.handler, "GET", "/models/none/history", authorizer=answer["context"])
    assert listing.status in (403, 404)


def test_tokens_are_let_in_as_before(local: LocalIssuer, store: MemoryStore) -> None:
    created = create(store)
    assert authorized(f"Bearer {created['token']}")["principalId"] == created["id"]
    assert local.asked == []


@pytest.mark.parametrize("token", ["eyJ", "eyJ.eyJ.x", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.AAAA"])
def test_what_is_no_jwt_of_the_issuer_s_is_unauthorized(local: LocalIssuer, token: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorized(f"Bearer {token}")
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorized(f"Bearer {KEY.token(local.claims(aud='another'))}")


def test_without_an_issuer_no_jwt_is_let_in(local: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorize, "config", lambda: Config(bucket="amaas"))
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorized(f"Bearer {KEY.token(local.claims())}")
    assert local.asked == []


def test_an_issuer_that_is_away_is_no_refusal_and_does_not_concern_tokens(
    local: LocalIssuer, store: MemoryStore
) -> None:
    local.answers = {}
    with pytest.raises(Exception, match="does not answer"):  # the gateway answers 503, with Retry-After
        authorized(f"Bearer {KEY.token(local.claims())}")
    created = create(store)
    assert authorized(f"Bearer {created['token']}")["principalId"] == created["id"]


def test_no_token_waits_for_the_import_of_what_jwts_need() -> None:
    code = (
        "import os, sys; os.environ['BUCKET'] = 'amaas'; import functions.authorize.app;"
        "print([name for name in sys.modules if name.startswith(('shared.access.jwt', 'http.client', 'ssl', 'boto'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_subject_can_be_locked_out(local: LocalIssuer) -> None:
    from functions.tokens import app as tokens

    headers = [f"Bearer {KEY.token(local.claims(exp=int(local.claims()['exp']) + n))}" for n in range(2)]
    caller = authorized(headers[0])["principalId"]
    answer = call(tokens.handler, "DELETE", f"/tokens/{caller}", {"reason": "left"})
    assert (answer.status, answer.json["revoked"], answer.json["revoked_by"]) == (200, True, "tester")
    for header in headers:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorized(header)
    assert authorized(f"Bearer {KEY.token(local.claims(sub='bob'))}")
    assert call(tokens.handler, "DELETE", f"/tokens/{caller[:-1]}").status == 404


def test_a_subject_is_let_in_while_the_store_is_away_if_it_just_was(
    local: LocalIssuer, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("away")

    seen, unseen = (f"Bearer {KEY.token(local.claims(sub=sub))}" for sub in ("ann", "bob"))
    authorized(seen)
    monkeypatch.setattr(store, "get", away)
    assert authorized(seen)
    with pytest.raises(Exception, match="away"):
        authorized(unseen)


def test_one_subject_is_one_person_and_an_operator_s_token_may_be_the_same(local: LocalIssuer) -> None:
    def change(header: str) -> Change:
        answer = authorized(header)
        return Change(by=answer["principalId"], ancestors=tuple(json.loads(answer["context"]["ancestors"])))

    from functions.tokens import app as tokens

    ann, bob = (change(f"Bearer {KEY.token(local.claims(sub=sub))}") for sub in ("ann", "bob"))
    command = {"create": {"name": "ann's script", "person": callers.identity(local.address, "ann")}}
    script = change(f"Bearer {tokens.handler({'operator': command}, None)['token']}")

    def approves(requester: Change, approver: Change) -> bool:
        try:
            approvals._require_other_person(
                approvals.MoveRequest(alias="production", target=1, by=requester.by, since=0),
                list(requester.ancestors),
                approver,
                1,
            )
        except approvals.Forbidden:
            return False
        return True

    assert approves(ann, bob)
    assert approves(script, bob)
    assert not approves(ann, ann)
    assert not approves(script, ann)
    assert not approves(ann, script)
