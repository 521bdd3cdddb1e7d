"""Tokens and scopes: who is calling, and what they may do."""

from __future__ import annotations

import time

import pytest

from shared import keys
from shared.access import listing, scopes, tokens
from shared.access.authenticate import authenticate
from shared.access.usage import Usage
from shared.clock import now
from shared.errors import BadInput, Conflict, Forbidden, NotFound, Unauthenticated, Unavailable
from shared.storage.base import Object
from shared.storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_token_is_valid_until_it_is_revoked(store: MemoryStore) -> None:
    token, secret = tokens.create(store, "ci", ["infer"])
    assert authenticate(store, f"Bearer {secret}").id == token.id
    assert authenticate(store, f"bearer  {secret}").scopes == ["infer"]
    assert tokens.revoke(store, token.id).revoked
    with pytest.raises(Unauthenticated):
        authenticate(store, f"Bearer {secret}")


def test_the_secret_is_not_stored(store: MemoryStore) -> None:
    token, secret = tokens.create(store, "ci", ["infer"])
    other, other_secret = tokens.create(store, "ci", ["infer"])
    body = store.get(keys.token(token.id)).body.decode()
    assert secret.split("_", 2)[2] not in body  # it may have an underscore of its own
    assert token.salt != other.salt
    assert secret != other_secret
    listed = str(listing.everything(store)) + str(listing.view(token))
    assert not [one for one in (token.hash, token.salt, secret.split("_", 2)[2]) if one in listed]


def test_an_expired_token_is_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = tokens.create(store, "short", ["read"], expires_in_days=1)
    authenticate(store, f"Bearer {secret}")
    later = time.time() + 86401
    monkeypatch.setattr("time.time", lambda: later)
    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(store, f"Bearer {secret}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer x", "Bearer amaas_../../_x"])
def test_no_or_bad_tokens(store: MemoryStore, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        authenticate(store, header)


def test_a_wrong_secret_and_an_unknown_id_are_answered_alike(store: MemoryStore) -> None:
    token, _ = tokens.create(store, "ci", ["infer"])
    messages = set()
    for identity in (token.id, "0" * 12):
        with pytest.raises(Unauthenticated) as refusal:
            authenticate(store, f"Bearer amaas_{identity}_{'a' * 43}")
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_bad_tokens_are_not_created(store: MemoryStore) -> None:
    for invalid in ([], ["root"], ["infer:"], ["infer", "x:y"]):
        with pytest.raises(BadInput):
            tokens.create(store, "t", invalid)
    for name in (
        "",
        "a" * 101,
        "two\nlines",
        "ring\x07",
        "\u202egnp.exe",
        "zero\u200bwidth",
        "line\u2028end",
        "\ud800",
    ):
        with pytest.raises(BadInput, match="no name for a token"):
            tokens.create(store, name, ["infer"])
    for days in (-1, float("nan"), 1e9):
        with pytest.raises(BadInput):
            tokens.create(store, "t", ["infer"], expires_in_days=days)
    assert listing.everything(store) == []
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


@pytest.mark.parametrize(
    "name", ["shop-frontend", "José’s laptop", "Москва 2", "日本", "Bildschirmfoto\u202f12:00", "e\u0301"]
)
def test_names_as_people_write_them(store: MemoryStore, name: str) -> None:
    token, _ = tokens.create(store, name, ["infer"])
    assert len(token.name) <= len(name)


def test_tokens_expire_unless_somebody_says_when(store: MemoryStore) -> None:
    token, _ = tokens.create(store, "ci", ["infer"])
    assert token.expires_at == pytest.approx(time.time() + 90 * 86400, abs=60)
    token, _ = tokens.create(store, "ci", ["infer"], expires_in_days=3650)
    assert token.expires_at == pytest.approx(time.time() + 3650 * 86400, abs=60)


# ---- rotation

ANN = tokens.Creator(id="ann", ancestors=("root",))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    then = time.time() + seconds
    monkeypatch.setattr("time.time", lambda: then)


def test_a_rotated_token_goes_on_for_the_overlap(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, old_secret = tokens.create(store, "shop", ["infer:a*", "read"])
    new, secret, until = tokens.rotate(store, old.id, creator=ANN, overlap_hours=2)
    assert (new.name, new.scopes, new.replaces, new.creator) == ("shop", old.scopes, [old.id], "ann")
    assert set(new.ancestors) == {old.id, "ann", "root"}
    assert until == pytest.approx(time.time() + 7200, abs=60)
    for header in (old_secret, secret):
        authenticate(store, f"Bearer {header}")
    ended, begun = sorted(listing.everything(store), key=lambda one: one.id != old.id)
    assert (ended.revoked, ended.replaced_by, ended.revoked_at) == (False, new.id, until)
    assert (begun.replaces, begun.creator) == (old.id, "ann")
    later(monkeypatch, 7201)
    authenticate(store, f"Bearer {secret}")
    with pytest.raises(Unauthenticated):
        authenticate(store, f"Bearer {old_secret}")
    assert [one.revoked for one in listing.everything(store) if one.id == old.id] == [True]


def test_a_rotated_token_can_be_ended_at_once(store: MemoryStore) -> None:
    old, old_secret = tokens.create(store, "shop", ["infer"])
    tokens.rotate(store, old.id, creator=ANN)
    assert tokens.revoke(store, old.id, by="ann", reason="leaked").reason == "leaked"
    with pytest.raises(Unauthenticated):
        authenticate(store, f"Bearer {old_secret}")
    # a second revocation changes nothing: the first one stays
    assert tokens.revoke(store, old.id, by="bob").revoked_by == "ann"


def test_what_has_ended_is_not_rotated(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = tokens.create(store, "a", ["infer"])
    tokens.rotate(store, first.id, creator=ANN)
    second, _ = tokens.create(store, "b", ["infer"])
    tokens.revoke(store, second.id)
    third, _ = tokens.create(store, "c", ["infer"], expires_in_days=1)
    later(monkeypatch, 86401)
    for token in (first, second, third):
        with pytest.raises(Conflict, match="expired, revoked or replaced already"):
            tokens.rotate(store, token.id, creator=ANN)
    with pytest.raises(NotFound):
        tokens.rotate(store, "0" * 12, creator=ANN)
    with pytest.raises(BadInput, match="overlap_hours"):
        tokens.rotate(store, third.id, creator=ANN, overlap_hours=721)


def test_of_two_rotations_at_the_same_time_one_token_remains(store: MemoryStore) -> None:
    old, _ = tokens.create(store, "shop", ["infer"])
    other = tokens.rotate

    class Slow(MemoryStore):
        """Another rotation is carried out between this one's look and its write."""

        def put(self, key: str, body: bytes, **options: object) -> str:
            if key.startswith(keys.REVOKED) and not getattr(self, "done", False):
                self.done = True
                other(store, old.id, creator=ANN)
            return store.put(key, body, **options)  # type: ignore[arg-type]

        get = staticmethod(store.get)  # type: ignore[assignment]
        list_page = staticmethod(store.list_page)  # type: ignore[assignment]

    with pytest.raises(Conflict):
        tokens.rotate(Slow(), old.id, creator=ANN)
    active = [one for one in listing.everything(store) if not one.revoked and one.id != old.id]
    assert len(active) == 1


def test_ancestors_are_never_forgotten(store: MemoryStore) -> None:
    creator = tokens.Creator(id="x", ancestors=tuple(f"t{n}" for n in range(63)))
    assert len(tokens.create(store, "a", ["infer"], creator=creator)[0].ancestors) == 64
    with pytest.raises(BadInput, match="have an operator create one"):
        tokens.create(store, "a", ["infer"], creator=tokens.Creator(id="x", ancestors=(*creator.ancestors, "one more")))


# ---- the last use


def test_a_token_is_used_on_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    store, usage = Counting(), Usage()
    token, secret = tokens.create(store, "ci", ["infer"])
    assert listing.everything(store)[0].last_used is None
    for _ in range(3):
        authenticate(store, f"Bearer {secret}", usage=usage)
    assert listing.everything(store)[0].last_used == now()[:10]
    authenticate(store, f"Bearer {secret}", usage=Usage())  # another process
    assert store.writes == [keys.token(token.id, keys.USED)]
    later(monkeypatch, 86400)
    authenticate(store, f"Bearer {secret}", usage=usage)
    assert store.writes == [keys.token(token.id, keys.USED)] * 2
    assert listing.everything(store)[0].last_used == now()[:10]


def test_a_refused_call_is_no_use() -> None:
    store, usage = Counting(), Usage()
    token, _ = tokens.create(store, "ci", ["infer"])
    for header in (f"Bearer amaas_{token.id}_{'a' * 43}", f"Bearer amaas_{'0' * 12}_{'a' * 43}"):
        with pytest.raises(Unauthenticated):
            authenticate(store, header, usage=usage)
    assert store.writes == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"format":2}', b'{"format":1,"day":7}'])
def test_a_use_that_cannot_be_noted_refuses_nobody(body: bytes) -> None:
    store, usage = Counting(), Usage()
    token, secret = tokens.create(store, "ci", ["infer"])
    store.put(keys.token(token.id, keys.USED), body)
    authenticate(store, f"Bearer {secret}", usage=usage)
    assert listing.everything(store)[0].last_used
    store.broken = True
    authenticate(store, f"Bearer {secret}", usage=Usage())


class Counting(MemoryStore):
    """Which last uses were written; or they can be neither read nor written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.broken = False

    def get(self, key: str, **options: object) -> Object:
        self._check(key)
        return super().get(key, **options)  # type: ignore[arg-type]

    def put(self, key: str, body: bytes, **options: object) -> str:
        self._check(key)
        if key.startswith(keys.USED):
            self.writes.append(key)
        return super().put(key, body, **options)  # type: ignore[arg-type]

    def _check(self, key: str) -> None:
        if self.broken and key.startswith(keys.USED):
            raise Unavailable("the store is away")


def test_a_store_that_is_away_lets_nobody_in() -> None:
    class Away(MemoryStore):
        def get(self, key: str, **options: object) -> Object:
            if key.startswith(keys.REVOKED):
                raise Unavailable("the store is away")
            return super().get(key, **options)  # type: ignore[arg-type]

    store = Away()
    _, secret = tokens.create(store, "ci", ["infer"])
    with pytest.raises(Unavailable):
        authenticate(store, f"Bearer {secret}")
