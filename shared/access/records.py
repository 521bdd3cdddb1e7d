"""What is stored of a token: its record, and that it was revoked. Both are sealed, and written once.

A record does not change when its token ends: that is said by an object of its own, which a record that is put back does
not undo. Where the deployment signs, nothing is believed that its key has not sealed for the object's own key.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from shared import formats, keys
from shared.access.limits import NONE, Limits
from shared.errors import Unavailable
from shared.signing import sealed
from shared.signing.base import Signer

JSON = "application/json"


class Token(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """A stored token. salt and hash in hex; expires_at in seconds since the epoch, None: it does not expire.

    creator: id of the token that created it; "operator" for the operator's command, "" if an earlier release did.
    ancestors: ids of all tokens that it descends from, by creation or replacement, nearest first. replaces: ids of
    those that it replaced, newest first: what these own is its, too. revoked: for release 0.1, which knows no
    revocations. limits: those that it was given; a rotated token has its predecessor's, and counts against the same.
    usage_key: of the usage plan's key that its calls count against; "" for the one that all such tokens share.

    A member that narrows what a token permits needs the next format: a release that ignored it would permit too much.
    Limits need none: the releases that ignore them limit no token at all.
    """

    id: str
    name: str
    scopes: list[str]
    salt: str
    hash: str
    created_at: str
    expires_at: float | None = None
    revoked: bool = False
    creator: str = ""
    ancestors: list[str] = []
    replaces: list[str] = []
    limits: Limits = NONE
    usage_key: str = ""


class Revocation(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """That a token ends. by: id of the token that ended it. since: seconds since the epoch, from which it is refused.

    replaced_by: id of the token that replaces it.
    """

    id: str
    by: str
    at: str
    since: float
    reason: str | None = None
    replaced_by: str | None = None


class Seals(Struct, frozen=True):
    """What a deployment seals with, and believes. trusted: public keys (DER); without any, nothing is verified.

    accept_unsigned: believe records without a seal, as earlier releases wrote them, until they are signed.
    """

    signer: Signer | None = None
    trusted: tuple[bytes, ...] = ()
    accept_unsigned: bool = False

    def attach(self, key: str, content: bytes) -> bytes:
        """What to store under `key`. Raises Unavailable."""
        return content if self.signer is None else sealed.attach(self.signer, key, content)

    def problem(self, body: bytes, key: str) -> str | None:
        """Why what is stored under `key` is not to be believed; None if it is."""
        if not self.trusted or (self.accept_unsigned and sealed.is_unsigned(body)):
            return None
        return sealed.problem(body, key, self.trusted)


class Summary(Struct):
    """The members that can be listed of a token that is not to be believed, or cannot be read."""

    name: str = "?"
    scopes: list[str] = []
    created_at: str = ""
    expires_at: float | None = None
    revoked: bool = False
    creator: str = ""


# created once, before any thread: see registry/state.py
TOKEN = msgspec.json.Decoder(Token)
REVOCATION = msgspec.json.Decoder(Revocation)
SUMMARY = msgspec.json.Decoder(Summary)
MEMBERS = msgspec.json.Decoder(dict[str, Any])
UNSIGNED = Seals()


class Unusable(Unavailable):
    """A stored token is not signed by this deployment, is damaged, or in the format of a later release."""


def decode(body: bytes, identity: str, seals: Seals) -> Token:
    """The token of a record as it is stored under its id. Raises Unusable."""
    problem = seals.problem(body, keys.token(identity))
    if problem is not None:
        raise Unusable(f"token {identity} is not to be believed: {problem}; revoke it and create another one")
    try:
        token = formats.decode(TOKEN, body, f"token {identity}")
    except Unavailable as error:
        raise Unusable(f"{error}; or revoke it and create another one") from error
    if token.id != identity:
        raise Unusable(f"the record of token {identity} is of another token: revoke it and create another one")
    return token


def summarize(body: bytes) -> Summary:
    try:
        return SUMMARY.decode(body)
    except formats.DAMAGED:
        return Summary()


def revoked_since(body: bytes, identity: str, seals: Seals) -> float:
    """The time from which a token is refused, in seconds since the epoch; 0 where its revocation cannot be believed.

    Doubtful revocations count: whoever can write the bucket may end tokens, and not prolong them.
    """
    try:
        revocation = REVOCATION.decode(body)
    except formats.DAMAGED:
        return 0.0
    # no earlier release wrote revocations, so that one without a seal is never of the time before the seals
    strict = Seals(seals.signer, seals.trusted)
    believed = revocation.id == identity and strict.problem(body, keys.token(identity, keys.REVOKED)) is None
    return revocation.since if believed else 0.0
