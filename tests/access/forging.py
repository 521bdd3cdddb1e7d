"""Keys that are made once, and what somebody who can write the bucket, and no more, can put there."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from shared import keys
from shared.access import tokens
from shared.access.authenticate import hash_secret
from shared.access.records import Seals
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore

SECRET = "s" * 43


@cache
def key(name: str) -> LocalKey:
    """A key of its own for each name."""
    return LocalKey(ec.generate_private_key(ec.SECP256R1()))


OURS = Seals(key("tokens"), (key("tokens").public,))


def forged(identity: str = "0" * 12, **members: Any) -> bytes:
    """The record of an administrator whose secret is SECRET."""
    record = {"format": 1, "id": identity, "name": "forged", "scopes": ["admin"], "salt": "00" * 16}
    record |= {"hash": hash_secret("00" * 16, SECRET), "created_at": "2020-01-01T00:00:00.000Z", "expires_at": None}
    return json.dumps(record | {"revoked": False} | members, separators=(",", ":")).encode()


def put(store: MemoryStore, body: bytes, identity: str = "0" * 12) -> str:
    """Store a record, and return the header that logs in with it."""
    store.put(keys.token(identity), body)
    return f"Bearer amaas_{identity}_{SECRET}"


def signed(store: MemoryStore, name: str = "ci", scopes: tuple[str, ...] = ("infer",)) -> tuple[str, str]:
    """A token of the deployment: its id and its header."""
    token, secret = tokens.create(store, name, scopes, seals=OURS)
    return token.id, f"Bearer {secret}"
