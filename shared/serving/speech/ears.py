"""A session that hears (runtime/hearer.py), in this process or behind the wall, as texts are made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.errors import Unavailable
from shared.runtime.signature import Session, Unloadable


class Ears:
    """Of one text at a time. tokens: those that were read since the window was heard, or are kept of them.

    mels, frames: of a window, None where the graphs leave it open. Raises Unloadable for a session whose facts make no
    sense, as that of a runner that was taken over.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._features: np.ndarray | None = None
        self._is_new = False  # the features were not given yet
        self.tokens: list[int] = []
        _, self.vocabulary, limit, mels, frames = self._ask("facts", []).tolist()
        if self.vocabulary < 1 or min(limit, mels, frames) < 0:
            raise Unloadable("the decoder says nothing that makes sense of itself; push the model again")
        self.limit, self.mels, self.frames = limit or None, mels or None, frames or None

    def hear(self, features: np.ndarray) -> None:
        """A window, with the next tokens: [mels, frames], of float32."""
        self._features, self._is_new, self.tokens = features, True, []

    def extend(self, tokens: Sequence[int]) -> np.ndarray:
        """Read tokens behind those that are kept. Returns the next one's logits: [vocabulary], of float32.

        Raises what the session raises; Unavailable where its process ends again and again.
        """
        kept, read = (0, [*self.tokens, *tokens]) if self._is_new else (len(self.tokens), list(tokens))
        logits = self._ask("logits", read, kept)
        if logits.shape != (self.vocabulary,):  # its process is another one since: it has heard nothing
            self._is_new = True
            logits = self._ask("logits", [*self.tokens, *tokens])
        if logits.shape != (self.vocabulary,):
            raise Unavailable("the process that runs the model has forgotten what it was told; try again")
        self._is_new = False
        self.tokens += tokens
        return logits

    def rewind(self, length: int) -> None:
        """Keep the first so many tokens only, from the next call on."""
        self.tokens = self.tokens[:length]

    def _ask(self, output: str, tokens: Sequence[int], keep: int = 0) -> np.ndarray:
        feeds: dict[str, Any] = {"tokens": np.array(tokens, np.int64), "keep": np.array([keep], np.int64)}
        if self._is_new:
            feeds["features"] = self._features
        return self._session.run([output], feeds)[0]
