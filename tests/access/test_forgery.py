"""Whoever can write to the bucket, and no more, gets in with nothing that they write there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import keys
from shared.access import listing, tokens
from shared.access.authenticate import authenticate
from shared.access.records import Seals, Unusable
from shared.errors import Unauthenticated
from shared.registry import signatures
from shared.signing import base, sealed
from shared.storage.memory import MemoryStore
from tests.access.forging import OURS, SECRET, forged, key, put, signed

OTHER = "1" * 12
GRACE = Seals(OURS.signer, OURS.trusted, accept_unsigned=True)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def refused(store: MemoryStore, header: str, why: str, seals: Seals = OURS) -> None:
    with pytest.raises(Unauthenticated, match=why or None):
        authenticate(store, header, seals)


def record(store: MemoryStore, identity: str) -> bytes:
    return store.get(keys.token(identity)).body


def test_a_signed_token_is_let_in(store: MemoryStore) -> None:
    identity, header = signed(store)
    assert authenticate(store, header, OURS).id == identity
    assert [one.problem for one in listing.everything(store, OURS)] == [None]


def test_a_forged_record_opens_nothing_and_is_listed_as_such(store: MemoryStore) -> None:
    refused(store, put(store, forged()), "it is not signed")
    [listed] = listing.everything(store, OURS)
    assert "is not to be believed: it is not signed; revoke it" in str(listed.problem)
    # without signing, as documented
    assert authenticate(store, f"Bearer amaas_{'0' * 12}_{SECRET}").scopes == ["admin"]


def test_one_signed_with_another_key(store: MemoryStore) -> None:
    body = sealed.attach(key("another"), keys.token("0" * 12), forged())
    refused(store, put(store, body), "this deployment does not trust")


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "scopes": lambda body: body.replace(b'["infer"]', b'["admin"]'),
    "a blank": lambda body: body.replace(b'{"format"', b'{ "format"', 1),
    "expiry": lambda body: body.replace(b'"expires_at":', b'"expires_at":9'),
    "a second member in front": lambda body: body.replace(b"{", b'{"scopes":["admin"],', 1),
    "a second member behind": lambda body: body[:-1] + b',"scopes":["admin"]}',
    "a second seal": lambda body: body[:-1] + b',"seal":null}',
    "a member before the seal": lambda body: body.replace(b',"seal"', b',"scopes":["admin"],"seal"'),
    "the same seal twice": lambda body: body[:-1] + body[body.index(b',"seal"') :],
    "no seal": lambda body: body[: body.index(b',"seal"')] + b"}",
    "an empty seal": lambda body: body[: body.index(b',"seal"')] + b',"seal":{}}',
    "half a seal": lambda body: body[:-30] + b'"}}',
    "cut": lambda body: body[: len(body) // 2],
    "nothing": lambda body: b"",
    "a line behind": lambda body: body + b"\n",
    "the seal's name escaped": lambda body: body.replace(b'"seal"', b'"\\u0073eal"'),
    "the digest": lambda body: body.replace(b'"content":"', b'"content":"0', 1),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("seals", [OURS, GRACE], ids=["refuse", "accept unsigned"])
def test_edited_records(store: MemoryStore, edit: Callable[[bytes], bytes], seals: Seals) -> None:
    identity, header = signed(store)
    edited = edit(record(store, identity))
    assert edited != record(store, identity)
    store.put(keys.token(identity), edited)
    if edit is EDITS["no seal"] and seals is GRACE:
        assert authenticate(store, header, seals).scopes == ["infer"]  # that is what accept means
    else:
        refused(store, header, "", seals)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit(place: float, bit: int) -> None:
    store = MemoryStore()
    identity, header = signed(store)
    body = bytearray(record(store, identity))
    body[int(place * len(body))] ^= 1 << bit
    store.put(keys.token(identity), bytes(body))
    refused(store, header, "")


def test_records_of_two_tokens_exchanged(store: MemoryStore) -> None:
    (low, header), (admin, _) = signed(store), signed(store, scopes=("admin",))
    store.put(keys.token(low), record(store, admin))
    refused(store, header, "its signature is wrong")
    # with the secret of the record that is there
    _, secret = tokens.create(store, "x", ["admin"], seals=OURS)
    source = secret.split("_")[1]
    store.put(keys.token(low), record(store, source))
    refused(store, f"Bearer amaas_{low}_{secret.split('_', 2)[2]}", "its signature is wrong")


def test_a_record_is_of_its_own_id_even_where_nothing_is_signed(store: MemoryStore) -> None:
    with pytest.raises(Unauthenticated, match="is of another token"):
        authenticate(store, put(store, forged(OTHER)))


def test_a_signature_of_the_registry_is_none_of_a_token(store: MemoryStore) -> None:
    """Also where both keys were one: the messages are apart."""
    content = forged()
    signature = signatures.sign(key("tokens"), "m", content, b"{}")
    refused(store, put(store, signatures.attach(content, signature)), "")
    same_key = sealed.attach(key("tokens"), keys.token("0" * 12), forged())
    assert signatures.record_problem(same_key, "m", OURS.trusted)
    # the registry's signature over the same digest, in the form of a seal
    digest = signature.content
    seal = {"key": base.fingerprint(key("tokens").public), "content": digest, "signature": signature.signature}
    body = content[:-1] + b',"seal":' + json.dumps(seal, separators=(",", ":")).encode() + b"}"
    refused(store, put(store, body), "its signature is wrong")


# ---- revocations


def test_a_record_that_is_put_back_stays_revoked(store: MemoryStore) -> None:
    identity, header = signed(store)
    before = record(store, identity)
    assert tokens.revoke(store, identity, by="ann", seals=OURS).revoked
    refused(store, header, "revoked")
    store.put(keys.token(identity), before)
    refused(store, header, "revoked")
    [listed] = listing.everything(store, OURS)
    assert (listed.revoked, listed.revoked_by, listed.problem) == (True, "ann", None)


def test_release_0_1_refuses_what_was_revoked(store: MemoryStore) -> None:
    identity, _ = signed(store)
    tokens.revoke(store, identity, seals=OURS)
    assert json.loads(record(store, identity))["revoked"] is True
    assert OURS.problem(record(store, identity), keys.token(identity)) is None


def test_revoking_signs_no_forged_record(store: MemoryStore) -> None:
    header = put(store, forged(OTHER), OTHER)
    tokens.revoke(store, OTHER, seals=OURS)
    assert OURS.problem(record(store, OTHER), keys.token(OTHER)) == "it is not signed"
    refused(store, header, "", GRACE)


DOUBTFUL = {
    "empty": b"",
    "not JSON": b"{",
    "unsigned, in the future": b'{"format":1,"id":"ID","by":"x","at":"","since":9999999999}',
    "of a later release": b'{"format":2,"id":"ID","more":1}',
}


@pytest.mark.parametrize("body", DOUBTFUL.values(), ids=DOUBTFUL.keys())
@pytest.mark.parametrize("seals", [OURS, GRACE], ids=["refuse", "accept unsigned"])
def test_a_doubtful_revocation_is_one(store: MemoryStore, body: bytes, seals: Seals) -> None:
    identity, header = signed(store)
    store.put(keys.token(identity, keys.REVOKED), body.replace(b"ID", identity.encode()))
    refused(store, header, "revoked", seals)
    assert listing.everything(store, seals)[0].revoked


def test_a_revocation_of_another_token_is_doubtful_too(store: MemoryStore) -> None:
    first, header = signed(store)
    second, _ = signed(store)
    tokens.rotate(store, second, creator=tokens.Creator(id="ann"), seals=OURS)
    store.put(keys.token(first, keys.REVOKED), store.get(keys.token(second, keys.REVOKED)).body)
    refused(store, header, "revoked")


def test_a_rotation_that_is_put_back_over_a_revocation(store: MemoryStore) -> None:
    """The bucket's policy denies it; where it is got round, the record still says that the token is revoked."""
    identity, header = signed(store)
    tokens.rotate(store, identity, creator=tokens.Creator(id="ann"), overlap_hours=24, seals=OURS)
    rotation = store.get(keys.token(identity, keys.REVOKED)).body
    assert authenticate(store, header, OURS)
    tokens.revoke(store, identity, seals=OURS)
    refused(store, header, "revoked")
    store.put(keys.token(identity, keys.REVOKED), rotation)
    refused(store, header, "revoked")


# ---- tokens of releases that did not sign


def test_unsigned_tokens_work_only_where_they_are_accepted(store: MemoryStore) -> None:
    header = put(store, forged(scopes=["infer"]))
    assert authenticate(store, header, GRACE).scopes == ["infer"]
    refused(store, header, "it is not signed")
    tokens.sign(store, "0" * 12, OURS)
    assert authenticate(store, header, OURS).scopes == ["infer"]
    assert OURS.problem(record(store, "0" * 12), keys.token("0" * 12)) is None


def test_signing_again_with_another_key(store: MemoryStore) -> None:
    identity, header = signed(store)
    later = Seals(key("later"), (key("later").public,))
    refused(store, header, "does not trust", later)
    tokens.sign(store, identity, later)
    assert authenticate(store, header, later).id == identity
    assert record(store, identity).count(b'"seal"') == 1


@pytest.mark.parametrize("scope", ["infer:wine admin", "infer:[a-z]*", "root", "infer:a\nadmin"])
def test_a_stored_scope_that_does_not_fit_opens_nothing(store: MemoryStore, scope: str) -> None:
    body = OURS.attach(keys.token("0" * 12), forged(scopes=["read", scope]))
    refused(store, put(store, body), "do not fit")
    [listed] = listing.everything(store, OURS)
    assert "is not a scope" in str(listed.problem)
    with pytest.raises(Exception, match="is not a scope"):
        tokens.sign(store, "0" * 12, OURS)


def test_a_record_of_another_id_is_not_signed(store: MemoryStore) -> None:
    put(store, forged(OTHER))
    with pytest.raises(Unusable, match="of another token"):
        tokens.sign(store, "0" * 12, OURS)


def test_the_time_of_creation_lets_nothing_in(store: MemoryStore) -> None:
    refused(store, put(store, forged(created_at="2000-01-01T00:00:00.000Z", expires_at=time.time() + 60)), "not signed")
