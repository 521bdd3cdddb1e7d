"""A decoder's session, in this process or behind the wall, as what a conversation reads with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shared.runtime.caches import BLOCK
from shared.runtime.signature import Session, Unloadable
from shared.serving.generation.loop import Forgotten


class Packing(Struct, frozen=True):
    """How many sequences can be read at once. longest: tokens of a row. tokens: of rows times the longest of them.

    Zeros where the model takes no rows; see shared.runtime.rows.Rows.
    """

    tokens: int
    longest: int


class SessionReader:
    """As loop.Reader, over a session of shared.runtime.reading.Reading. length: tokens that it is asked to keep.

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

    def score(self, tokens: Sequence[int]) -> np.ndarray:
        """Read two tokens or more. Returns the log-probability of each but the first: [tokens - 1], of float64.

        Raises as `extend` does.
        """
        scores = self._ask("scores", tokens)
        if scores.shape != (len(tokens) - 1,):
            raise Forgotten
        self.length += len(tokens)
        return scores

    def rewind(self, length: int) -> None:
        """Keep the first so many only, from the next call on."""
        self.length = min(length, self.length)

    def packing(self) -> Packing:
        """What rows there can be; it is tried when it is first asked for, and what was read is forgotten then."""
        tokens, longest = self._ask("packing", []).tolist()
        return Packing(tokens, longest)

    def hold(self, row: int) -> None:
        """What was read becomes a row: the next one, or in the place of one that is over. Row 0 may be the first one.

        Raises Forgotten where the rows before it are not there any more, and what the session raises.
        """
        if int(self._ask("rows", [], hold=[row])[0]) <= row:
            raise Forgotten

    def drop(self, row: int) -> None:
        """Forget a row; the last one takes its place."""
        self._ask("rows", [], drop=[row])

    def drop_all(self) -> None:
        self._ask("rows", [], drop=[-1])

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        """Read a token behind each row. Returns the logits behind it: [rows, vocabulary], of float32.

        Raises Forgotten where there are not so many rows any more, and what the session raises.
        """
        logits = self._ask("row_logits", [], step=tokens)
        if logits.shape != (len(tokens), self.vocabulary):
            raise Forgotten
        return logits

    def _ask(self, output: str, tokens: Sequence[int], **rows: Sequence[int]) -> np.ndarray:
        feeds = {"tokens": tokens, "keep": [self.length], **rows}
        return self._session.run([output], {name: np.array(values, np.int64) for name, values in feeds.items()})[0]


class Texts:
    """A decoder's texts: the session of shared.runtime.language.Language."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def encode(self, text: str, *, whole: bool = False) -> list[int]:
        """The text's tokens. whole: with those that the tokenizer puts before and behind it. Raises BadInput."""
        return self._ids({"prompt" if whole else "text": np.array([text], object)})

    def chat(self, template: str, messages: list[dict[str, Any]], variables: dict[str, Any]) -> list[int]:
        """The tokens of what a template makes of messages. Raises BadInput, with the template's own words."""
        body = msgspec.json.encode({"template": template, "messages": messages, "variables": variables})
        return self._ids({"chat": np.array([body.decode()], object)})

    def decode(self, tokens: list[int], known: int = 0) -> tuple[str, str]:
        """The text of the first `known` tokens, and of all of them, without special ones. Raises BadInput."""
        feeds = {"ids": np.array(tokens, np.int64), "known": np.array([known], np.int64)}
        first, text = self._session.run(["text"], feeds)[0].tolist()
        return str(first), str(text)

    def mask(self, grammar: str, chosen: list[int]) -> np.ndarray:
        """Which tokens may follow the chosen ones: [vocabulary], of bool. Raises BadInput."""
        feeds: dict[str, Any] = {"grammar": np.array([grammar], object), "chosen": np.array(chosen, np.int64)}
        return self._session.run(["mask"], feeds)[0].astype(bool)

    def size(self) -> int:
        """The highest number of a token, and one."""
        return int(self._session.run(["facts"], {})[0][0])

    def _ids(self, feeds: dict[str, Any]) -> list[int]:
        tokens: list[int] = self._session.run(["ids"], feeds)[0].tolist()
        return tokens
