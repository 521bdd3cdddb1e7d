"""Tokens and scopes: who is calling, and what they may do."""

from __future__ import annotations

import time

import pytest

from shared import keys
from shared.access import scopes, tokens
from shared.errors import BadInput, Forbidden, NotFound, Unauthenticated
from shared.storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_token_is_valid_until_it_is_revoked(store: MemoryStore) -> None:
    token, secret = tokens.create(store, "ci", ["infer"])
    assert tokens.authenticate(store, f"Bearer {secret}").id == token.id
    assert tokens.authenticate(store, f"bearer  {secret}").scopes == ["infer"]
    assert tokens.revoke(store, token.id).revoked
    with pytest.raises(Unauthenticated):
        tokens.authenticate(store, f"Bearer {secret}")


def test_the_secret_is_not_stored(store: MemoryStore) -> None:
    token, secret = tokens.create(store, "ci", ["infer"])
    other, other_secret = tokens.create(store, "ci", ["infer"])
    body = store.get(keys.token(token.id)).body.decode()
    assert secret.split("_", 2)[2] not in body  # it may have an underscore of its own
    assert token.salt != other.salt
    assert secret != other_secret
    assert "hash" not in token.public()
    assert "salt" not in token.public()


def test_an_expired_token_is_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = tokens.create(store, "short", ["read"], expires_in_days=1)
    tokens.authenticate(store, f"Bearer {secret}")
    later = time.time() + 86401
    monkeypatch.setattr("shared.access.tokens.time.time", lambda: later)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.authenticate(store, f"Bearer {secret}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer x", "Bearer amaas_../../_x"])
def test_no_or_bad_tokens(store: MemoryStore, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        tokens.authenticate(store, header)


def test_a_wrong_secret_and_an_unknown_id_are_answered_alike(store: MemoryStore) -> None:
    token, _ = tokens.create(store, "ci", ["infer"])
    messages = set()
    for identity in (token.id, "0" * 12):
        with pytest.raises(Unauthenticated) as refusal:
            tokens.authenticate(store, f"Bearer amaas_{identity}_{'a' * 43}")
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_bad_tokens_are_not_created(store: MemoryStore) -> None:
    for invalid in ([], ["root"], ["infer:"], ["infer", "x:y"]):
        with pytest.raises(BadInput):
            tokens.create(store, "t", invalid)
    for days in (-1, float("nan"), 1e9):
        with pytest.raises(BadInput):
            tokens.create(store, "t", ["infer"], expires_in_days=days)
    assert tokens.list_tokens(store) == []
    with pytest.raises(NotFound):
        tokens.revoke(store, "0" * 12)


@pytest.mark.parametrize(
    ("granted", "needed", "model", "allowed"),
    [
        (["infer"], "infer", "m", True),
        (["infer"], "read", "m", False),
        (["write"], "read", "m", True),
        (["write"], "infer", "m", False),
        (["admin"], "infer", "m", True),
        (["infer:fashion-*"], "infer", "fashion-mnist", True),
        (["infer:fashion-*"], "infer", "iris", False),
        (["infer:fashion-*"], "infer", None, True),
        (["read", "infer:a"], "infer", "b", False),
        ([], "read", None, False),
    ],
)
def test_scopes(granted: list[str], needed: str, model: str | None, allowed: bool) -> None:
    assert scopes.allows(granted, needed, model) is allowed
    if not allowed:
        with pytest.raises(Forbidden, match=needed):
            scopes.require(granted, needed, model)


def test_an_admin_of_some_models_may_not_manage_tokens() -> None:
    scopes.require_everywhere(["admin"], "admin")
    with pytest.raises(Forbidden):
        scopes.require_everywhere(["admin:fashion-*", "write"], "admin")
