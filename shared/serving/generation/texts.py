"""The text of tokens as they come: never half a character, and nothing of a stop string that may be coming.

A token is no text by itself: some are a part of a character, and what a tokenizer makes of one depends on the one
before. So the last tokens are decoded with those before them, and what is new at the end is what the token adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACED = "\ufffd"  # what decoders give for bytes that are no character (yet)
# A character has four bytes at most, and a token one at least: what is no character after these will not become one.
PARTS = 4
# the text of the first so many tokens, and of all of them, without special ones: asked for at once, of another process
Decode = Callable[[list[int], int], tuple[str, str]]


class TextStream:
    """before: tokens that the text follows: of some tokenizers, the first token of a text loses its space."""

    def __init__(self, decode: Decode, before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._tokens = list(before)
        self._known = len(self._tokens)  # how many of them have given their text: they are the context of the others

    def push(self, token: int) -> str:
        """What is now certain of the text, which may be nothing."""
        self._tokens.append(token)
        before, text = self._decode(self._tokens, self._known)
        waiting = len(self._tokens) - self._known
        if text.endswith(REPLACED) and waiting < PARTS:
            return ""
        added = text[len(before) :]
        self._tokens = self._tokens[self._known :]
        self._known = len(self._tokens)
        return added

    def rest(self) -> str:
        """What was held back, where the text has come to its end by itself: bytes that are no character are shown."""
        before, text = self._decode(self._tokens, self._known)
        return text[len(before) :]


class StopStrings:
    """Holds back what may be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        """stops: none of them empty."""
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What can be given out. `stopped` is set when a stop string is complete; it is not given out."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.stopped = True
            text, self._held = self._held[: min(places)], ""
            return text
        kept = max((overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - kept
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def rest(self) -> str:
        """What was held back, at the end of the text."""
        text, self._held = self._held, ""
        return text


def overlap(text: str, stop: str) -> int:
    """How many characters at the text's end are the beginning of the stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
