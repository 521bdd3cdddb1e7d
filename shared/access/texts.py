"""What a token uses of its limits on generated text: how many at the same time, and how many text tokens in a minute.

Markers in the bucket, as of slots.py: a call puts its own before it lists all, anew while the text is made, and takes
it away when it is over. One whose process died is not put anew, and counts no more after HELD seconds. Text tokens are
known when a text is over: a call is let in while the minute has room, so that the calls of a moment may use more
together.

    limits/{owner}/texts/{id}/{marker}
    limits/{owner}/text_tokens/{minute}/{id}.{count}/{marker}
"""

from __future__ import annotations

import contextlib
import threading
import time

from shared import deadline, keys
from shared.access.limits import TEXT_TOKENS, TEXTS, Limits
from shared.access.slots import REMEDY, count_in, put_marker, remove_marker
from shared.errors import AmaasError, TooMany
from shared.storage.base import Store, list_all

LONGEST = 330.0  # seconds: more than the function that generates text may take for a call
RENEWED, HELD = 20.0, 50.0  # seconds: between two puts of a marker, of which one may fail; from the last one on
PATIENCE = 5.0  # seconds of one put: who gives the place back may have to wait for it
MINUTE = 60


class Place:
    """A place that a text has. key: of its marker."""

    def __init__(self, store: Store, folder: str) -> None:
        """Puts the marker. Raises Unavailable."""
        self.key = put_marker(store, folder)
        self._store, self._turn, self._over = store, threading.Lock(), threading.Event()

    def hold(self) -> None:
        """Put the marker anew from now on, until it is given back: by a thread, as reading a prompt may take long."""
        threading.Thread(target=self._renew, daemon=True, name="place of a text").start()

    def _renew(self) -> None:
        end = time.monotonic() + LONGEST
        while not self._over.wait(RENEWED) and time.monotonic() < end:
            with self._turn, contextlib.suppress(AmaasError), deadline.within(PATIENCE):
                if not self._over.is_set():
                    self._store.put(self.key, b"")

    def give_back(self) -> None:
        self._over.set()
        with self._turn:  # nothing is put behind the removal
            remove_marker(self._store, self.key)


def begin(store: Store, owner: str, identity: str, limits: Limits) -> Place | None:
    """Take a place for a text, if its limits have one. Returns the place, for `end`; None where nothing is limited.

    owner: whose limits they are. identity: of the call. Raises TooMany.
    """
    if limits.text_tokens is not None:
        _require_tokens(store, owner, limits.text_tokens)
    if limits.texts is None:
        return None
    folder = keys.slots(owner, TEXTS)
    own = Place(store, f"{folder}{identity}")
    try:
        running = [one for one in list_all(store, folder) if time.time() - one.modified < HELD]
    except Exception:
        own.give_back()
        raise
    if len(running) > limits.texts:
        own.give_back()
        raise TooMany(
            f"limit {TEXTS}: {limits.texts} texts may be generated at the same time for this token, and that many are: "
            f"wait until one of them is over, {REMEDY}",
            2,
        )
    own.hold()
    return own


def end(store: Store, owner: str, identity: str, limits: Limits, place: Place | None, used: int) -> None:
    """Give the place back, and count text tokens. used: of the prompt and the answer. Raises Unavailable."""
    if place is not None:
        place.give_back()
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
