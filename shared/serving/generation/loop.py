"""Reads a prompt, and gives the text that follows, piece by piece, until there is a reason to end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct

from shared.errors import BadInput, OutOfTime, TooLarge
from shared.serving.generation.sampling import Choice, Sampler, Sampling, logprobs
from shared.serving.generation.texts import Decode, StopStrings, TextStream

RESERVE = 2.0  # seconds kept free for the last words: time to send them, and to end the call
Reason = Literal["stop", "length"]
# an end-of-text token; a stop string; as many tokens as were asked for; as many as the model can have; the time
Cause = Literal["end", "stop", "max_tokens", "context", "deadline"]
REASONS: dict[Cause, Reason] = {
    "end": "stop", "stop": "stop", "max_tokens": "length", "context": "length", "deadline": "length",
}  # fmt: skip
CONTEXT = 6  # tokens of the prompt that the text's first ones are decoded with


class Guide(Protocol):
    """A grammar that the text is to be of."""

    def allowed(self) -> np.ndarray:
        """Which tokens may come next: [vocabulary], of bool."""
        ...

    def accept(self, token: int) -> None: ...


class Reader(Protocol):
    """A decoder: see shared.runtime.decoder.Decoder."""

    length: int
    limit: int | None
    block: int

    def extend(self, tokens: Sequence[int]) -> np.ndarray:
        """Raises Forgotten where what was read before is not there any more."""
        ...

    def score(self, tokens: Sequence[int]) -> np.ndarray: ...

    def rewind(self, length: int) -> None: ...


class Request(Struct, frozen=True, kw_only=True):
    """prompt: tokens. ends: tokens that end the text, and are none of it. stops: strings that end it."""

    prompt: list[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    ends: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()


class Piece(Struct, frozen=True):
    """A token, and the text that is certain with it: none, where it is half a character or may begin a stop string."""

    text: str
    choice: Choice


class End(Struct, frozen=True):
    """reason: as OpenAI has it. tokens: of the prompt, of those that were read for an earlier call, and generated."""

    reason: Reason
    cause: Cause
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Forgotten(Exception):
    """The reader's process is another one since: it has to read all from the beginning."""


class Conversation:
    """A decoder with what it has read: what a prompt has in common with the one before is not read again.

    Not across owners: the time that a call takes would tell one what another's prompt begins with.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._tokens: list[int] = []
        self._owner: str | None = None

    def begin(self, prompt: Sequence[int], owner: str) -> int:
        """Forget what the prompt does not begin with. Returns how many of its tokens are read already.

        The last one is read in any case: its logits are where the answer begins.
        """
        shared = _common(self._tokens, prompt[:-1]) if owner == self._owner else 0
        self._owner, self._tokens = None, []  # nobody's, if this call ends in between
        self.reader.rewind(shared)
        self._owner, self._tokens = owner, list(prompt[:shared])
        return shared

    def read(self, tokens: Sequence[int]) -> np.ndarray:
        """The logits after these tokens. An error leaves nothing: the caches may have a part of them."""
        return self._keeping(tokens, self.reader.extend, lambda: self.reader.extend([*self._tokens, *tokens]))

    def score(self, tokens: Sequence[int]) -> np.ndarray:
        """Reads two tokens or more: the log-probability of each but the first. An error leaves nothing."""

        def again() -> np.ndarray:
            self.reader.extend(self._tokens)
            return self.reader.score(tokens)

        return self._keeping(tokens, self.reader.score, again)

    def _keeping(
        self, tokens: Sequence[int], read: Callable[[Sequence[int]], np.ndarray], again: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """What `read` gives of these tokens; or `again`, with those before them, where they are forgotten."""
        try:
            try:
                given = read(tokens)
            except Forgotten:
                self.reader.rewind(0)
                given = again()
        except BaseException:
            self._owner, self._tokens = None, []
            raise
        self._tokens += tokens
        return given


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    length = min(len(first), len(second))
    return next((place for place in range(length) if first[place] != second[place]), length)


def generate(
    conversation: Conversation,
    request: Request,
    decode: Decode,
    remaining: Callable[[], float],
    *,
    owner: str = "",
    guide: Guide | None = None,
) -> Iterator[Piece | End]:
    """Reads the prompt. Returns pieces of text as they come, and an End.

    remaining: seconds until the call's deadline: the text ends RESERVE before, as if it had been long enough. Raises
    TooLarge for a prompt that leaves no room for an answer, OutOfTime where not even the prompt could be read, and what
    the reader raises; what that raises later comes out of the iterator.
    """
    logits, cached = read_prompt(conversation, request, remaining, owner)
    limit = conversation.reader.limit
    writing = Writing(request, decode, remaining, limit, cached=cached, guide=guide)
    return _pieces(conversation, writing, logits)


def _pieces(conversation: Conversation, writing: Writing, logits: np.ndarray) -> Iterator[Piece | End]:
    while True:
        piece, end = writing.take(logits)
        yield piece
        if end is not None:
            yield end
            return
        logits = conversation.read([piece.choice.token])


class Writing:
    """A text in the making: takes the logits behind what was read, and gives a token and its text."""

    def __init__(
        self,
        request: Request,
        decode: Decode,
        remaining: Callable[[], float],
        limit: int | None,
        *,
        cached: int = 0,
        guide: Guide | None = None,
    ) -> None:
        self._request, self._remaining, self._limit = request, remaining, limit
        self._guide, self._cached, self._count = guide, cached, 0
        self._last: int | None = None
        self._sampler = Sampler(request.sampling, request.prompt)
        self._text = TextStream(decode, request.prompt[-CONTEXT:])
        self._stops = StopStrings(request.stops)

    def take(self, logits: np.ndarray) -> tuple[Piece, End | None]:
        """The next token, which is to be read before the next logits unless there is an End."""
        if self._guide and self._last is not None:
            self._guide.accept(self._last)
        choice = self._sampler.choose(logits, self._guide.allowed() if self._guide else None)
        self._last, self._count = choice.token, self._count + 1
        cause = self._cause(choice.token)
        # half a character is left out where the text was cut, and shown where the model has ended it so
        text = self._text.rest() if cause == "end" else self._text.push(choice.token)
        certain = self._stops.push(text)
        if self._stops.stopped:
            cause = "stop"
        elif cause is not None:
            certain += self._stops.rest()
        piece = Piece(certain, choice)
        if cause is None:
            return piece, None
        return piece, End(REASONS[cause], cause, len(self._request.prompt), self._cached, self._count)

    def _cause(self, token: int) -> Cause | None:
        """Why no token follows this one."""
        if token in self._request.ends:
            return "end"
        if self._count >= self._request.max_tokens:
            return "max_tokens"
        if self._limit is not None and len(self._request.prompt) + self._count >= self._limit:
            return "context"
        return "deadline" if self._remaining() < RESERVE else None


def read_prompt(
    conversation: Conversation, request: Request, remaining: Callable[[], float], owner: str
) -> tuple[np.ndarray, int]:
    """The logits behind a prompt, and how many of its tokens were read for an earlier call.

    Raises as `generate`.
    """
    prompt, limit = request.prompt, conversation.reader.limit
    if not prompt:
        raise BadInput("the prompt has no tokens: send some text")
    if limit is not None and len(prompt) >= limit:
        raise TooLarge(
            f"the prompt has {len(prompt):,} tokens, and the model can have {limit:,} with its answer: shorten it"
        )
    cached = conversation.begin(prompt, owner)
    return _read_blocks(conversation, prompt[cached:], remaining), cached


def score(
    conversation: Conversation,
    prompt: Sequence[int],
    target: Sequence[int],
    remaining: Callable[[], float],
    *,
    owner: str = "",
) -> tuple[float, int]:
    """The log-probability of the target behind the prompt, both of one token or more; and how many tokens were read.

    Raises TooLarge where the model cannot have both, OutOfTime, and what the reader raises.
    """
    limit = conversation.reader.limit
    if limit is not None and len(prompt) + len(target) > limit:
        raise TooLarge(
            f"the prompt has {len(prompt):,} tokens and the answer {len(target):,}, and the model can have {limit:,} "
            "together: shorten one of them"
        )
    cached = conversation.begin(prompt, owner)
    total, _ = logprobs(_read_blocks(conversation, prompt[cached:], remaining), target[0], 0)
    if len(target) > 1:
        total += float(conversation.score(target).sum())
    if not math.isfinite(total):
        raise BadInput("the model holds a token of the answer for impossible, so that there is nothing to compare")
    return total, len(prompt) - cached + len(target)


def _read_blocks(conversation: Conversation, tokens: Sequence[int], remaining: Callable[[], float]) -> np.ndarray:
    """In blocks, between which the time is looked at."""
    logits, block = np.empty(0, np.float32), conversation.reader.block
    for start in range(0, len(tokens), block):
        if remaining() < RESERVE:
            raise OutOfTime(
                f"{start:,} of the prompt's {len(tokens):,} tokens could be read in the time that a call has: send a "
                "shorter prompt, or have the function given more memory, and so more of a processor"
            )
        logits = conversation.read(tokens[start : start + block])
    return logits
