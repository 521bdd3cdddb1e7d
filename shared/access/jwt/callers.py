"""Callers with a JWT of the deployment's issuer (OpenID Connect), as the tokens that functions know.

Who calls is named by a digest of issuer and subject: a model's log keeps for ever who did what, and subjects are often
addresses of people. Whoever knows a subject can compute its name, and so find what it did: `identity`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from shared.access import scopes as scope_rules
from shared.access.jwt import signed
from shared.access.jwt.issuer import Issuer
from shared.access.people import person
from shared.access.records import Token
from shared.errors import BadInput, Unauthenticated, Unavailable
from shared.formats import DAMAGED

SKEW = 60.0  # seconds by which the issuer's clock may differ
LONGEST = 86400.0  # seconds: what its issuer takes back is valid until then
OIDC = {"openid", "profile", "email", "phone", "address", "offline_access"}  # scopes of OpenID Connect itself


class Rules(Struct, frozen=True):
    """What a deployment asks of JWTs. claim: that holds scopes, or groups where `groups` has their scopes, in JSON."""

    audience: str
    claim: str
    groups: str = ""


class Claims(Struct, frozen=True):
    """The registered claims (RFC 7519, section 4.1) that are looked at."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: int | float
    nbf: int | float = 0
    iat: int | float = 0


def authenticate(text: str, issuer: Issuer, rules: Rules, clock: Callable[[], float] = time.time) -> Token:
    """The token that a JWT stands for, with the scopes in it. Raises Unauthenticated, Unavailable."""
    token = signed.parse(text)
    signed.require_signature(token, issuer.key(token.header.kid))
    try:
        members = msgspec.json.decode(token.claims, type=dict[str, Any])
        claims = msgspec.convert(members, Claims)
    except DAMAGED as error:
        raise Unauthenticated("the JWT lacks a claim, or one has a type that it must not have") from error
    _require_valid(claims, issuer.address, rules.audience, clock())
    caller = identity(claims.iss, claims.sub)
    return Token(
        id=caller,
        name=issuer.address.partition("://")[2][:100],
        scopes=_scopes(members, rules),
        salt="",
        hash="",
        created_at="",
        expires_at=float(claims.exp),
        ancestors=[person(caller)],
    )


def identity(issuer: str, subject: str) -> str:
    """The name of a subject in records: see people.SUBJECT."""
    return "jwt" + hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:29]


def _require_valid(claims: Claims, issuer: str, audience: str, now: float) -> None:
    """Raises Unauthenticated."""
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    problems = {
        "is of another issuer": claims.iss != issuer,
        "names no subject": not 0 < len(claims.sub) <= 1000,
        "is for another audience": audience not in audiences,
        "has expired": not now - SKEW < claims.exp,
        "is valid for longer than a day": not claims.exp <= now + LONGEST + SKEW,
        "is not valid yet": not max(claims.nbf, claims.iat) <= now + SKEW,
    }
    for problem, applies in problems.items():
        if applies:
            raise Unauthenticated(f"the JWT {problem}")


def _scopes(members: Mapping[str, Any], rules: Rules) -> list[str]:
    """Raises Unauthenticated for a token without scopes, or with some that do not fit."""
    claim = members.get(rules.claim)
    words = claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Unauthenticated(f"the JWT has no claim {rules.claim!r} that is a list")
    if rules.groups:
        of_groups = _groups(rules.groups)
        granted = [scope for word in words for scope in of_groups.get(word, ())]
    else:
        granted = [word for word in words if word not in OIDC]
    try:
        return scope_rules.normalize(granted)
    except BadInput as error:  # which quotes what a caller sent, and the log does not
        raise Unauthenticated(
            f"the JWT's claim {rules.claim!r} gives no scopes, too many, or some that do not fit"
        ) from error


@lru_cache(maxsize=8)
def _groups(text: str) -> dict[str, list[str]]:
    """The scopes of each group. Raises Unavailable for a parameter that does not fit."""
    try:
        groups = msgspec.json.decode(text, type=dict[str, list[str]])
        return {group: scope_rules.normalize(scopes) for group, scopes in groups.items()}
    except (BadInput, *DAMAGED) as error:
        raise Unavailable(
            f'JwtGroups does not fit ({error}): deploy with JSON as {{"data-team": ["infer", "read"]}}'
        ) from error
