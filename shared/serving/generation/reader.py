"""A decoder's session, in this process or behind the wall, as what a conversation reads with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.runtime.caches import BLOCK
from shared.runtime.signature import Session, Unloadable
from shared.serving.generation.loop import Forgotten


class SessionReader:
    """As loop.Reader, over a session of shared.runtime.decoder.Reading. length: tokens that it is asked to keep.

    Raises Unloadable for a session whose facts make no sense, as that of a runner that was taken over.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.length, self.block = 0, BLOCK
        _, self.vocabulary, limit = self._ask("facts", []).tolist()
        self.limit = limit or None
        if self.vocabulary < 1 or limit < 0:
            raise Unloadable("the decoder says nothing that makes sense of itself; push the model again")

    def extend(self, tokens: Sequence[int]) -> np.ndarray:
        """Read tokens behind those that are kept. Returns the next one's logits: [vocabulary], of float32.

        Raises Forgotten, and what the session raises.
        """
        logits = self._ask("logits", tokens)
        if logits.shape != (self.vocabulary,):
            raise Forgotten
        self.length += len(tokens)
        return logits

    def rewind(self, length: int) -> None:
        """Keep the first so many only, from the next call on."""
        self.length = min(length, self.length)

    def _ask(self, output: str, tokens: Sequence[int]) -> np.ndarray:
        feeds: dict[str, Any] = {"tokens": np.array(tokens, np.int64), "keep": np.array([self.length], np.int64)}
        return self._session.run([output], feeds)[0]


class Texts:
    """A tokenizer's session (tokens.PlainTokenizer), as texts to tokens and back."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def encode(self, text: str) -> list[int]:
        """Raises BadInput."""
        tokens: list[int] = self._session.run(["ids"], {"text": np.array([text], object)})[0].tolist()
        return tokens

    def decode(self, tokens: list[int]) -> str:
        """Without special tokens. Raises BadInput."""
        return str(self._session.run(["text"], {"ids": np.array(tokens, np.int64)})[0][0])
