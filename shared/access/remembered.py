"""Tokens that this process has seen to be valid: they are let in for a while when the store cannot be asked.

What it costs: a token that is revoked while this process cannot reach the store works until `seconds` have passed since
it was last seen to be valid. While the store is away for all, no token can be revoked either.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from shared.access.authenticate import REFUSED
from shared.access.records import Token
from shared.errors import Unauthenticated
from shared.storage.base import Unavailable

MOST = 1000  # tokens


class Remembered:
    """seconds: for which a token is let in after it was last valid; 0 for none."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._tokens: OrderedDict[bytes, tuple[float, Token]] = OrderedDict()

    def token(self, header: str | None, authenticate: Callable[[], Token]) -> Token:
        """The token that `authenticate` finds for the header, also while the store is away.

        Raises Unauthenticated, Unavailable.
        """
        # its digest, so that no secret stays in memory for longer than its call
        name = hashlib.sha256((header or "").encode()).digest()
        try:
            token = authenticate()
        except Unauthenticated:
            self._tokens.pop(name, None)
            raise
        except Unavailable:
            if name not in self._tokens:
                raise
            confirmed, token = self._tokens[name]
            if self._clock() - confirmed >= self._seconds:
                raise
            if token.expires_at is not None and token.expires_at < time.time():
                raise Unauthenticated(REFUSED) from None
            return token
        self._tokens[name] = (self._clock(), token)
        self._tokens.move_to_end(name)
        if len(self._tokens) > MOST:
            self._tokens.popitem(last=False)
        return token
