"""Callers with a JWT: what is let in, as whom, with which scopes; and what is not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.access import context, scopes
from shared.access.jwt import callers
from shared.access.jwt.callers import Rules
from shared.access.jwt.issuer import Issuer
from shared.errors import Unauthenticated, Unavailable
from tests.access.issuing import AUDIENCE, Key, LocalIssuer, by_hmac, serving, text

ENDPOINT = "http://127.0.0.1:4566"  # of an embedded cloud
RULES = Rules(AUDIENCE, "amaas_scopes")
RSA, EC, OTHER = Key("rsa-1", "RS256"), Key("ec-1", "ES256"), Key("rsa-2", "RS256")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalIssuer]:
    with serving(LocalIssuer([RSA, EC])) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def issuer(local: LocalIssuer) -> Issuer:
    return Issuer(local.address, ENDPOINT)


def authenticate(issuer: Issuer, token: str, rules: Rules = RULES):
    return callers.authenticate(token, issuer, rules)


def refused(issuer: Issuer, token: str, why: str, rules: Rules = RULES) -> None:
    with pytest.raises(Unauthenticated, match=why):
        authenticate(issuer, token, rules)


@pytest.mark.parametrize("key", [RSA, EC], ids=lambda key: key.kind)
def test_a_valid_token_is_a_caller(local: LocalIssuer, issuer: Issuer, key: Key) -> None:
    caller = authenticate(issuer, key.token(local.claims()))
    assert caller.scopes == ["infer:fashion-*", "read"]
    assert caller.id == callers.identity(local.address, "ann@example.com")
    assert caller.ancestors == [f"person:{caller.id}"]
    assert "ann" not in json.dumps(context.encode(caller))
    assert authenticate(issuer, key.token(local.claims(sub="bob"))).id != caller.id


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": ["x", AUDIENCE.upper()]}, "another audience"),
        ({"aud": None}, "lacks a claim"),
        ({"exp": 1}, "has expired"),
        ({"exp": lambda now: now - 61}, "has expired"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": "9999999999"}, "type"),
        ({"exp": True}, "type"),
        ({"exp": lambda now: now + 2 * 86400}, "longer than a day"),
        ({"exp": 1e308}, "longer than a day"),
        ({"nbf": lambda now: now + 120}, "not valid yet"),
        ({"iat": lambda now: now + 120}, "not valid yet"),
        ({"sub": ""}, "no subject"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": ["ann"]}, "type"),
        ({"sub": "x" * 1001}, "no subject"),
        ({"amaas_scopes": None}, "no claim 'amaas_scopes'"),
        ({"amaas_scopes": []}, "gives no scopes"),
        ({"amaas_scopes": ["root"]}, "do not fit"),
        ({"amaas_scopes": ["infer:wine admin"]}, "do not fit"),
        ({"amaas_scopes": ["infer"] * 3 + [7]}, "that is a list"),
        ({"amaas_scopes": {"admin": True}}, "that is a list"),
        ({"amaas_scopes": [f"infer:m{n}" for n in range(51)]}, "do not fit"),
    ],
)
def test_claims_that_are_refused(local: LocalIssuer, issuer: Issuer, others: dict[str, Any], why: str) -> None:
    now = time.time()
    values = {name: value(now) if callable(value) else value for name, value in others.items()}
    refused(issuer, EC.token(local.claims(**values)), why)


def test_within_the_skew_of_clocks(local: LocalIssuer, issuer: Issuer) -> None:
    now = time.time()
    for others in ({"exp": now - 50}, {"nbf": now + 50}, {"aud": ["x", AUDIENCE]}, {"exp": now + 86400}):
        authenticate(issuer, EC.token(local.claims(**others)))


def test_scopes_as_words_and_openid_connect_s_own(local: LocalIssuer, issuer: Issuer) -> None:
    caller = authenticate(
        issuer, EC.token(local.claims(scope="openid profile infer:wine read")), Rules(AUDIENCE, "scope")
    )
    assert caller.scopes == ["infer:wine", "read"]


def test_groups_give_the_scopes_that_the_deployment_says(local: LocalIssuer, issuer: Issuer) -> None:
    rules = Rules(AUDIENCE, "groups", '{"data-team": ["infer", "read"], "ops": ["admin"]}')
    token = EC.token(local.claims(groups=["data-team", "unknown", "admin"]))
    assert authenticate(issuer, token, rules).scopes == ["infer", "read"]
    refused(issuer, EC.token(local.claims(groups=["admin"])), "gives no scopes", rules)
    for text_ in ("{", '{"a": "infer"}', '{"a": ["root"]}', '{"a": []}'):
        with pytest.raises(Unavailable, match="JwtGroups does not fit"):
            authenticate(issuer, token, Rules(AUDIENCE, "groups", text_))


# ---- signatures


def test_algorithms_that_are_confused(local: LocalIssuer, issuer: Issuer) -> None:
    claims = local.claims(amaas_scopes=["admin"])
    body = text(json.dumps(claims).encode())
    for algorithm in ("none", "None", "NONE", "nOnE"):
        head = text(json.dumps({"alg": algorithm, "kid": "rsa-1"}).encode())
        refused(issuer, f"{head}.{body}.", "form")
        refused(issuer, f"{head}.{body}.{text(b'no signature')}", "another algorithm")
    public = RSA.private.public_key()
    encodings = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(RSA.jwk()).encode(),
        RSA.jwk()["n"].encode(),
    ]
    for secret in encodings:  # the public key taken for the secret of an HMAC
        refused(issuer, by_hmac(secret, claims, kid="rsa-1"), "another algorithm")
    for key, algorithm in ((RSA, "ES256"), (RSA, "RS384"), (RSA, "PS256"), (EC, "RS256"), (EC, "ES384"), (EC, "HS256")):
        refused(issuer, key.token(claims, alg=algorithm), "another algorithm")


def test_keys_that_are_not_the_issuer_s(local: LocalIssuer, issuer: Issuer) -> None:
    claims = local.claims(amaas_scopes=["admin"])
    forger = Key("rsa-1", "RS256", OTHER.private)
    refused(issuer, forger.token(claims), "signature is wrong")
    refused(
        issuer, forger.token(claims, jwk=OTHER.jwk(), jku=f"{local.address}/mine", x5u="https://x", x5c=["x"]), "wrong"
    )
    refused(issuer, OTHER.token(claims), "none of its issuer's")
    for kid in ("", "../keys", "rsa-1\n", "RSA-1", "rsa-1' OR '1'='1", "\x00", "x" * 500, "file:///dev/null"):
        refused(issuer, forger.token(claims, kid=kid), "none of its issuer's")
    for kid in (None, 7, ["rsa-1"], {"kid": "rsa-1"}):
        refused(issuer, forger.token(claims, kid=kid), "cannot be read")
    refused(issuer, RSA.token(claims, crit=["b64"], b64=False), "extension")
    refused(issuer, RSA.token(claims, crit=None, typ="dpop+jwt"), "type")
    assert authenticate(issuer, RSA.token(claims, typ="at+jwt")).scopes == ["admin"]


@pytest.mark.parametrize("key", [RSA, EC], ids=lambda key: key.kind)
def test_no_changed_character_passes(local: LocalIssuer, issuer: Issuer, key: Key) -> None:
    token = key.token(local.claims())
    assert authenticate(issuer, token)
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            authenticate(issuer, token[:place] + other + token[place + 1 :])
    for changed in (
        token + "A",
        token[:-1],
        token + "=",
        token + ".",
        "." + token,
        token.replace(".", ".."),
        token + "\n",
    ):
        with pytest.raises(Unauthenticated):
            authenticate(issuer, changed)


def test_a_token_has_one_spelling(local: LocalIssuer, issuer: Issuer) -> None:
    """The last character of a signature of 64 bytes has four bits that base64 does not look at."""
    token = EC.token(local.claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(token[-1]) + 1]
    authenticate(issuer, token)
    refused(issuer, token[:-1] + other, "cannot be read")


def test_what_is_too_large_is_refused_before_it_is_read(local: LocalIssuer, issuer: Issuer) -> None:
    refused(issuer, EC.token(local.claims(more="x" * 10_000)), "too long")
    refused(issuer, "eyJ" + "a" * 10_000_000, "too long")
    deep = b"[" * 3000 + b"]" * 3000
    refused(issuer, EC.token(deep), "too long|lacks a claim")
    refused(issuer, EC.token(b'{"iss":' + b"[" * 2000 + b"]" * 2000 + b"}"), "lacks a claim|type")


claims_of_any_kind = st.dictionaries(
    st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "amaas_scopes", "x"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(others=claims_of_any_kind)
def test_whatever_the_claims_are_a_caller_is_valid_or_refused(
    local: LocalIssuer, issuer: Issuer, others: dict[str, Any]
) -> None:
    claims = local.claims() | others
    try:
        caller = authenticate(issuer, EC.token(claims))
    except Unauthenticated:
        return
    assert (claims["iss"], claims["aud"] == AUDIENCE or AUDIENCE in claims["aud"]) == (local.address, True)
    assert time.time() - 61 < claims["exp"] < time.time() + 86461
    assert caller.scopes == scopes.normalize(caller.scopes)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(max_size=200) | st.lists(st.binary(max_size=60).map(text), min_size=1, max_size=4).map(".".join))
def test_whatever_the_token_is_it_is_refused(issuer: Issuer, token: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticate(issuer, token)
