"""How long a call of the store may take: its time limit, its repetitions, and none at all while the store is away.

One rule for all clients of the store. A call is repeated after an error that may be gone a moment later (a refused or
broken connection, 5xx, SlowDown, no answer in time), with full jitter, for PATIENCE seconds and never beyond the
present deadline; so a burst of errors of a second is not seen by callers. When a call is given up, the store is taken
to be away: for AWAY seconds other calls fail at once, then one of them tries, once. Time limits come in a few steps,
because the clients fix theirs when they are made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from shared import deadline
from shared.storage.base import Unavailable

Result = TypeVar("Result")

# seconds from the first attempt on in which errors lead to another one
PATIENCE = 4.0
LEAST, MOST = 2, 24  # attempts; the second one is made even if the first took longer than PATIENCE
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # upper limits of random pauses; they double
AWAY = 1.0  # seconds
# seconds of one attempt: without a deadline; within one, the longest that is left
UNLIMITED, LIMITS = 30.0, (5.0, 2.0, 1.0, 0.5)
PROBE = 1.0  # seconds, within a deadline, of the attempt that finds out whether the store is back


class Passing(Unavailable):
    """An attempt failed in a way that may be gone a moment later."""


def _jitter(most: float) -> float:
    """Random seconds up to `most`, so that those who were refused together do not come back together."""
    from random import uniform  # only needed after an error: not worth its import at each cold start

    return uniform(0, most)


class Attempts:
    """Of all calls of one store, in one process. Safe to share between threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds),
        jitter: Callable[[float], float] = _jitter,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._lock = threading.Lock()
        # when the next call may try, while the store is taken to be away
        self._next_try: float | None = None

    def make(self, send: Callable[[float], Result]) -> Result:
        """The result of a call. send: one attempt, with its time limit in seconds; raises Passing to be repeated.

        Raises Unavailable when the patience, or the deadline, is over.
        """
        is_probe = self._is_probe()
        started = self._clock()
        attempt = 0
        while True:
            try:
                result = send(self._limit(is_probe))
            except Passing:
                pause = self._jitter(min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
                attempt += 1
                patient = attempt < LEAST or self._clock() - started + pause < PATIENCE
                if is_probe or not patient or attempt >= MOST or not _allows(pause):
                    self._give_up()
                    raise
                self._sleep(pause)
            except Unavailable:  # the attempt did not reach the store, or was refused for good
                raise
            except Exception:  # an answer all the same, such as "no such object"
                self.answered()
                raise
            else:
                self.answered()
                return result

    def answered(self) -> None:
        """The store is there."""
        self._next_try = None

    def _is_probe(self) -> bool:
        """Whether the call is the one that finds out if the store is back. Raises Unavailable for all others."""
        if self._next_try is None:
            return False
        with self._lock:
            if self._next_try is None:
                return False
            now = self._clock()
            if now < self._next_try:
                raise Unavailable("the store did not answer a moment ago; try again in a second")
            self._next_try = now + AWAY
            return True

    def _give_up(self) -> None:
        # a deadline that was nearly over when the call began says nothing about the store
        with self._lock:
            self._next_try = self._clock() + AWAY

    @staticmethod
    def _limit(is_probe: bool) -> float:
        """Raises Unavailable where no time is left."""
        left = deadline.remaining()
        if left is None:
            return LIMITS[0] if is_probe else UNLIMITED
        if left < LIMITS[-1]:
            raise Unavailable("the time of this call is used up; try again")
        return next(limit for limit in LIMITS if limit <= (min(left, PROBE) if is_probe else left))


def _allows(pause: float) -> bool:
    """Whether the deadline allows for another attempt after the pause."""
    left = deadline.remaining()
    return left is None or left - pause >= LIMITS[-1]
