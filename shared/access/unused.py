"""Usage keys that no token needs any more: of tokens that expired, or whose creation was interrupted behind the key."""

from __future__ import annotations

import time

from shared import keys
from shared.access import listing
from shared.access.limits import Plans
from shared.access.records import Seals, Unusable, decode, revoked_since
from shared.storage.base import Store, get_many, list_all

SETTLE = 3600.0  # seconds: a key is created before its token's record


def free(store: Store, seals: Seals, plans: Plans) -> list[str]:
    """Delete these keys, and return their names. Raises Unavailable; then call it again."""
    held = plans.keys()  # first: the token of any of these that goes on is listed below
    needed = _needed(store, seals)
    unused = [key for key, created in held.items() if key not in needed and created < time.time() - SETTLE]
    for key in unused:
        plans.release(key)
    return unused


def _needed(store: Store, seals: Seals) -> set[str]:
    ids = [info.key.rpartition("/")[2].removesuffix(".json") for info in list_all(store, keys.TOKENS)]
    ended = {info.key for info in list_all(store, keys.REVOKED)}
    needed = set()
    for identity, record in zip(ids, get_many(store, [keys.token(one) for one in ids]), strict=True):
        try:
            token = decode(record.body, identity, seals)
        except Unusable:  # perhaps another release can use it
            needed.add(identity)
            continue
        revoked = keys.token(identity, keys.REVOKED) in ended and _is_revoked(store, identity, seals)
        expired = token.expires_at is not None and token.expires_at < time.time()
        if not (token.revoked or revoked or expired):
            needed.add(token.usage_key)
    return needed


def _is_revoked(store: Store, identity: str, seals: Seals) -> bool:
    end = listing.revocation(store, identity)
    return end is not None and revoked_since(end.body, identity, seals) <= time.time()
