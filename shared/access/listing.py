"""The list of tokens, page by page: revoked, expired and unusable ones, too."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import asdict

from shared import keys
from shared.access import people, usage, views
from shared.access import scopes as scope_rules
from shared.access.limits import NONE, Limits
from shared.access.records import REVOCATION, UNSIGNED, Seals, Token, Unusable, decode, revoked_since, summarize
from shared.errors import BadInput
from shared.formats import DAMAGED
from shared.storage.base import Object, ObjectNotFound, Store, get_many, list_all


def view(token: Token, defaults: Limits = NONE) -> views.Token:
    """defaults: the deployment's limits."""
    return views.Token(
        id=token.id,
        name=token.name,
        scopes=token.scopes,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked=token.revoked,
        creator=token.creator,
        person=people.of(token.id, token.ancestors),
        replaces=next(iter(token.replaces), None),
        limits=limits(token.limits.over(defaults)),
    )


def limits(held: Limits) -> views.Limits:
    return views.Limits(**asdict(held))


def page(
    store: Store, seals: Seals = UNSIGNED, *, after: str | None = None, limit: int = 1000, defaults: Limits = NONE
) -> tuple[list[views.Token], str | None]:
    """At most `limit` tokens whose ids follow `after`, by id, and the cursor of the next page. Raises BadInput."""
    start = keys.token(after) if after is not None else ""
    listed = store.list_page(keys.TOKENS, after=start, limit=limit)
    ids = [info.key.rpartition("/")[2].removesuffix(".json") for info in listed.objects]
    if not ids:
        return [], None
    ended = _ended(store, after, ids[-1])
    bodies = get_many(store, [f"{keys.TOKENS}{one}.json" for one in ids])
    uses = get_many(store, [f"{keys.USED}{one}.json" for one in ids], missing=b"")
    tokens = [
        listed_token(one, record.body, revocation(store, one) if one in ended else None, day, seals, defaults)
        for one, record, day in zip(ids, bodies, map(usage.read, uses), strict=True)
    ]
    return tokens, ids[-1] if listed.next else None


def _ended(store: Store, after: str | None, last: str) -> set[str]:
    """The ids on a page that have a revocation."""
    ended = set()
    for info in list_all(store, keys.REVOKED, after=keys.token(after, keys.REVOKED) if after is not None else ""):
        identity = info.key.rpartition("/")[2].removesuffix(".json")
        if identity > last:
            break
        ended.add(identity)
    return ended


def everything(store: Store, seals: Seals = UNSIGNED, defaults: Limits = NONE) -> list[views.Token]:
    tokens, following = page(store, seals, defaults=defaults)
    while following is not None:
        more, following = page(store, seals, after=following, defaults=defaults)
        tokens += more
    return tokens


def revocation(store: Store, identity: str) -> Object | None:
    try:
        return store.get(keys.token(identity, keys.REVOKED))
    except ObjectNotFound:
        return None


def replaced_by(body: bytes) -> str | None:
    """The token that goes on in the place of a revoked one, as a revocation says it."""
    try:
        return REVOCATION.decode(body).replaced_by
    except DAMAGED:
        return None


def listed_token(
    identity: str, body: bytes, end: Object | None, day: str, seals: Seals, defaults: Limits = NONE
) -> views.Token:
    """A token as it is listed. end: its revocation. day: of its last use."""
    try:
        token = decode(body, identity, seals)
        listed = view(token, defaults)
        scope_rules.normalize(token.scopes)
    except Unusable as error:
        listed = views.Token(id=identity, **asdict(summarize(body)), problem=str(error))
    except BadInput as error:
        listed.problem = f"{error}; revoke it and create another one"
    listed.last_used = day or None
    if end is not None:
        _add_end(listed, end.body, seals)
    return listed


def revoked_subject(identity: str, end: Object | None, seals: Seals) -> views.Token:
    """A subject of JWTs that is locked out, in the form of a token."""
    listed = views.Token(
        id=identity, name="", scopes=[], created_at="", expires_at=None, revoked=False, person=identity
    )
    if end is not None:
        _add_end(listed, end.body, seals)
    return listed


def _add_end(listed: views.Token, body: bytes, seals: Seals) -> None:
    since = revoked_since(body, listed.id, seals)
    listed.revoked, listed.revoked_at = listed.revoked or since <= time.time(), since or None
    if since:
        end: Any = REVOCATION.decode(body)
        listed.revoked_by, listed.reason, listed.replaced_by = end.by, end.reason, end.replaced_by
