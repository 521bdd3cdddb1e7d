"""What a token uses of its limits on generated text: how many at the same time, and how many text tokens in a minute.

Markers in the bucket, as of slots.py: a call puts its own before it lists all, and takes it away when it is over. One
whose process died stays, and counts no more when it is older than a text may last. Text tokens are known when a text is
over: a call is let in while the minute has room, so that the calls of a moment may use more together.

    limits/{owner}/texts/{id}/{marker}
    limits/{owner}/text_tokens/{minute}/{id}.{count}/{marker}
"""

from __future__ import annotations

import time

from shared import keys
from shared.access.limits import TEXT_TOKENS, TEXTS, Limits
from shared.access.slots import REMEDY, count_in, put_marker, remove_marker
from shared.errors import TooMany
from shared.storage.base import Store, list_all

LONGEST = 330.0  # seconds: more than the function that generates text may take for a call
MINUTE = 60


def begin(store: Store, owner: str, identity: str, limits: Limits) -> str | None:
    """Take a place for a text, if its limits have one. Returns the place, for `end`; None where nothing is limited.

    owner: whose limits they are. identity: of the call. Raises TooMany.
    """
    if limits.text_tokens is not None:
        _require_tokens(store, owner, limits.text_tokens)
    if limits.texts is None:
        return None
    folder = keys.slots(owner, TEXTS)
    own = put_marker(store, f"{folder}{identity}")
    try:
        running = [one for one in list_all(store, folder) if time.time() - one.modified < LONGEST]
    except Exception:
        remove_marker(store, own)
        raise
    if len(running) > limits.texts:
        remove_marker(store, own)
        raise TooMany(
            f"limit {TEXTS}: {limits.texts} texts may be generated at the same time for this token, and that many are: "
            f"wait until one of them is over, {REMEDY}",
            2,
        )
    return own


def end(store: Store, owner: str, identity: str, limits: Limits, place: str | None, used: int) -> None:
    """Give the place back, and count text tokens. used: of the prompt and the answer. Raises Unavailable."""
    if place is not None:
        remove_marker(store, place)
    if limits.text_tokens is not None and used:
        put_marker(store, f"{_minute(owner, time.time())}{identity}.{used}")


def _require_tokens(store: Store, owner: str, most: int) -> None:
    now = time.time()
    folder = _minute(owner, now)
    used = sum(count_in(folder, marker) for marker in list_all(store, folder))
    if used >= most:
        raise TooMany(
            f"limit {TEXT_TOKENS}: {used:,} tokens of text were read and generated in this minute, and this token may "
            f"use {most:,}: wait until it is over, {REMEDY}",
            int(MINUTE - now % MINUTE) + 1,
        )


def _minute(owner: str, at: float) -> str:
    return f"{keys.slots(owner, TEXT_TOKENS)}{int(at // MINUTE)}/"
