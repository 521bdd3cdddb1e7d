"""Tokens: `amaas_<id>_<secret>`. Only a salted hash of the secret is stored: who reads the bucket cannot log in.

Here they are created, replaced and revoked, which only the tokens function does; listing.py lists them. Who calls is
authenticate.py's.
"""

from __future__ import annotations

import logging
import time
import unicodedata
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared import formats, keys
from shared.access import listing, people, views
from shared.access import scopes as scope_rules
from shared.access.authenticate import hash_secret
from shared.access.limits import NONE, Limits, Plans
from shared.access.records import JSON, MEMBERS, UNSIGNED, Revocation, Seals, Token, decode, revoked_since
from shared.clock import now
from shared.errors import AmaasError, BadInput, Conflict, NotFound
from shared.storage.base import AlreadyExists, Object, ObjectNotFound, PreconditionFailed, Store, get_many

DEFAULT_DAYS = 90.0
MAX_DAYS = 3650
MAX_NAME, MAX_ANCESTORS = 100, 64
MAX_OVERLAP = 30 * 24.0  # hours
DAY, HOUR = 86400, 3600
CREATED = (
    "the first call with this Idempotency-Key has created token {0}, and answered its secret, which is stored nowhere: "
    "if that answer was lost, rotate the token (amaas token rotate {0}) or revoke it"
)
ENDED = "token {} is expired, revoked or replaced already: create a new one"
logger = logging.getLogger(__name__)
NOT_IN_NAMES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible and direction marks, line ends


class Creator(Struct, frozen=True, kw_only=True):
    """Who creates a token: the id of a token, or OPERATOR. ancestors: of that token; or the person it is made for."""

    id: str = ""
    ancestors: tuple[str, ...] = ()


class Keyring(Struct, frozen=True):
    """What a deployment counts calls with. plans: None where all tokens share one key. defaults: its own limits."""

    plans: Plans | None = None
    defaults: Limits = NONE

    def require_possible(self, limits: Limits) -> None:
        """Raises BadInput."""
        if limits.of_calls and self.plans is None:
            raise BadInput("this deployment has no usage plans, so it cannot hold rate, burst and quota: omit them")


def create(
    store: Store,
    name: str,
    scopes: Sequence[str],
    *,
    expires_in_days: float = DEFAULT_DAYS,
    creator: Creator = Creator(),  # noqa: B008 - it is frozen
    seals: Seals = UNSIGNED,
    limits: Limits = NONE,
    keyring: Keyring = Keyring(),  # noqa: B008 - it is frozen
    identity: str = "",
) -> tuple[Token, str]:
    """Create a token, of this id or a new one. Returns it with its plain text, which is not stored.

    Raises BadInput, Conflict, Unavailable.
    """
    keyring.require_possible(limits)
    if identity and get_many(store, [keys.token(identity)], missing=b"")[0].body:
        raise Conflict(CREATED.format(identity))
    token = Token(
        id="",
        name=require_name(name),
        scopes=scope_rules.normalize(scopes),
        salt="",
        hash="",
        created_at=now(),
        expires_at=_expiry(expires_in_days),
        creator=creator.id,
        ancestors=_ancestors([creator.id], creator.ancestors),
        limits=limits,
    )
    try:
        return _store(store, token, seals, keyring, identity)
    except AlreadyExists:  # a call at the same time
        raise Conflict(CREATED.format(identity)) from None


def rotate(
    store: Store,
    identity: str,
    *,
    creator: Creator,
    overlap_hours: float = 24.0,
    expires_in_days: float = DEFAULT_DAYS,
    seals: Seals = UNSIGNED,
) -> tuple[Token, str, float]:
    """Replace a token: a new one with its name and scopes, and the old one ends after the overlap.

    Returns the new one, its plain text, and when the old one ends (seconds since the epoch). Raises NotFound, BadInput,
    Conflict for a token that has ended, Unusable.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP:
        raise BadInput(f"overlap_hours must be 0 to {MAX_OVERLAP:g}: so long both tokens are valid")
    old = read(store, identity, seals)
    expired = old.expires_at is not None and old.expires_at < time.time()
    if old.revoked or expired or listing.revocation(store, identity):
        raise Conflict(ENDED.format(identity))
    token = replace(
        old,
        scopes=scope_rules.normalize(old.scopes),
        created_at=now(),
        expires_at=_expiry(expires_in_days),
        creator=creator.id,
        ancestors=_ancestors([old.id], old.ancestors, [creator.id], creator.ancestors),
        replaces=[old.id, *old.replaces],
    )
    token, secret = _store(store, token, seals)
    since = time.time() + overlap_hours * HOUR
    _replace(store, Revocation(id=identity, by=creator.id, at=now(), since=since, replaced_by=token.id), seals)
    return token, secret, since


def _replace(store: Store, end: Revocation, seals: Seals) -> None:
    """Store that a token ends for another one. Raises Conflict if it has ended already: that one is revoked, then."""
    key = keys.token(end.id, keys.REVOKED)
    try:
        store.put(key, seals.attach(key, msgspec.json.encode(end)), if_absent=True, content_type=JSON)
    except AlreadyExists:  # rotated or revoked by another call at the same time: two would go on in its place
        revoke(store, str(end.replaced_by), by=end.by, reason="another rotation was faster", seals=seals)
        raise Conflict(ENDED.format(end.id)) from None


def _store(
    store: Store, token: Token, seals: Seals, keyring: Keyring | None = None, identity: str = ""
) -> tuple[Token, str]:
    """Store a token under a new id and secret, and with a keyring a new usage key. Returns it with its plain text."""
    import secrets  # with random, for which no caller of another function has to wait

    identity = identity or secrets.token_hex(6)
    secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
    token = replace(token, id=identity, salt=salt, hash=hash_secret(salt, secret))
    if keyring is not None and keyring.plans is not None:  # first: a token whose key is not there opens nothing
        keyring.plans.assign(identity, token.limits, keyring.defaults)
        token = replace(token, usage_key=identity)
    body = seals.attach(keys.token(identity), msgspec.json.encode(token))
    store.put(keys.token(identity), body, if_absent=True, content_type=JSON)
    return token, f"amaas_{identity}_{secret}"


def require_name(name: str) -> str:
    """Raises BadInput for a name that would not look the same wherever it is shown."""
    plain = unicodedata.normalize("NFC", name)
    if not 0 < len(plain) <= MAX_NAME or any(unicodedata.category(one) in NOT_IN_NAMES for one in plain):
        raise BadInput(
            f"{name[:40]!r} is no name for a token: use 1 to {MAX_NAME} characters, without line ends and other "
            "characters that cannot be seen"
        )
    return plain


def _expiry(days: float) -> float:
    """Seconds since the epoch. Raises BadInput."""
    if not 0 < days <= MAX_DAYS:
        raise BadInput(f"expires_in_days must be above 0 and at most {MAX_DAYS}")
    return time.time() + days * DAY


def _ancestors(*parts: Sequence[str]) -> list[str]:
    """Raises BadInput where it gets too long: to forget some of it would make two persons of one."""
    ancestors = list(dict.fromkeys(one for part in parts for one in part if one))
    if len(ancestors) > MAX_ANCESTORS:
        raise BadInput(
            f"this token would descend from more than {MAX_ANCESTORS} others: have an operator create one (make token)"
        )
    return ancestors


def _get(store: Store, identity: str) -> Object:
    """Raises NotFound."""
    try:
        return store.get(keys.token(identity))
    except ObjectNotFound:
        raise NotFound(f"there is no token {identity!r}: GET /tokens lists them") from None


def read(store: Store, identity: str, seals: Seals = UNSIGNED) -> Token:
    """Raises NotFound, Unusable."""
    return decode(_get(store, identity).body, identity, seals)


def revoke(
    store: Store,
    identity: str,
    *,
    by: str = "",
    reason: str | None = None,
    seals: Seals = UNSIGNED,
    keyring: Keyring = Keyring(),  # noqa: B008 - it is frozen
) -> views.Token:
    """Revoke a token. It stays stored: who had access, and when, is part of the audit. Raises NotFound.

    Any can be revoked, also one that cannot be read; and the subject of JWTs, which has no record.
    """
    if people.is_subject(identity):
        _end(store, Revocation(id=identity, by=by, at=now(), since=time.time(), reason=reason), seals)
        return listing.revoked_subject(identity, listing.revocation(store, identity), seals)
    present = _get(store, identity)
    _end(store, Revocation(id=identity, by=by, at=now(), since=time.time(), reason=reason), seals)
    _mark_revoked(store, identity, present, seals)
    _release_key(store, identity, seals, keyring.plans)
    body, end = _get(store, identity).body, listing.revocation(store, identity)
    return listing.listed_token(identity, body, end, "", seals, keyring.defaults)


def _release_key(store: Store, identity: str, seals: Seals, plans: Plans | None) -> None:
    """Delete the usage key of a token that ended, unless another token of its rotations counts against it.

    Best effort: a key that stays lets nobody in, and is one of the 10,000 that an account may have.
    """
    if plans is None:
        return
    try:
        token = read(store, identity, seals)
        end = listing.revocation(store, identity)
        replaced = end is not None and listing.replaced_by(end.body) is not None
        if token.usage_key and not replaced and all(_ended(store, one, seals) for one in token.replaces):
            plans.release(token.usage_key)
    except AmaasError as error:
        logger.warning("a usage key was not deleted", extra={"token": identity, "why": str(error)})


def _ended(store: Store, identity: str, seals: Seals) -> bool:
    end = listing.revocation(store, identity)
    return end is not None and revoked_since(end.body, identity, seals) <= time.time()


def _end(store: Store, revocation: Revocation, seals: Seals) -> None:
    """Store that a token ends. It can be made to end earlier, and never later."""
    key = keys.token(revocation.id, keys.REVOKED)
    while True:
        present = listing.revocation(store, revocation.id)
        if present is not None:
            revocation = replace(revocation, replaced_by=listing.replaced_by(present.body))
        body = seals.attach(key, msgspec.json.encode(revocation))
        try:
            if present is None:
                store.put(key, body, if_absent=True, content_type=JSON)
            elif revoked_since(present.body, revocation.id, seals) > revocation.since:
                store.put(key, body, if_match=present.etag, content_type=JSON)
            return
        except (AlreadyExists, PreconditionFailed):
            continue  # another call revoked it at the same time: whose revocation is the earlier one?


def _mark_revoked(store: Store, identity: str, present: Object, seals: Seals) -> None:
    """Say it in the record, too, for release 0.1: members that are unknown here are written back unchanged.

    Only in one that is believed: a forged record gets no seal. If another call changes it, it says the same.
    """
    key = keys.token(identity)
    try:
        members = MEMBERS.decode(present.body)
    except formats.DAMAGED:
        return
    if seals.problem(present.body, key) is not None or members.get("revoked") is True:
        return
    content = {name: value for name, value in members.items() if name != "seal"} | {"revoked": True}
    try:
        store.put(key, seals.attach(key, msgspec.json.encode(content)), if_match=present.etag, content_type=JSON)
    except PreconditionFailed:
        return


def sign(store: Store, identity: str, seals: Seals) -> Token:
    """Seal a record anew: who asks for it vouches for it. Raises NotFound, BadInput, Unusable."""
    key, present = keys.token(identity), _get(store, identity)
    token = decode(present.body, identity, UNSIGNED)
    scope_rules.normalize(token.scopes)
    content = {name: value for name, value in MEMBERS.decode(present.body).items() if name != "seal"}
    store.put(key, seals.attach(key, msgspec.json.encode(content)), if_match=present.etag, content_type=JSON)
    return token
