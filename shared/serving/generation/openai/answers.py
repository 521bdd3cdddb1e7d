"""From pieces of text to an answer: what chats, completions and Triton's form have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from shared.clock import new_id
from shared.serving.generation.engine import Engine
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.sampling import Choice


class Heading(Struct, frozen=True):
    """What each part of an answer begins with. model: as the caller named it. version: that answered."""

    id: str
    model: str
    version: int
    created: int

    @classmethod
    def of(cls, prefix: str, model: str, version: int) -> Heading:
        return cls(f"{prefix}-{new_id().replace('-', '')}", model, version, int(time.time()))

    def members(self, kind: str) -> dict[str, Any]:
        """In OpenAI's form, where `system_fingerprint` says what has answered."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": f"version-{self.version}",
        }


class Timed(Struct):
    """What a call's pieces took: in seconds from its beginning. prompt: its tokens. pieces: so far. end: None where
    they broke off.
    """

    begun: float
    prompt: int = 0
    pieces: int = 0
    first: float | None = None
    last: float = 0.0
    end: End | None = None


def timed(pieces: Iterator[Piece | End], times: Timed) -> Iterator[Piece | End]:
    """The same pieces, noted in `times` as they come."""
    for piece in pieces:
        times.last = time.monotonic() - times.begun
        if isinstance(piece, End):
            times.end = piece
        else:
            times.pieces += 1
            times.first = times.last if times.first is None else times.first
        yield piece


def usage(end: End) -> dict[str, Any]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": end.prompt_tokens + end.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": end.cached_tokens},
    }


def likely(engine: Engine, choice: Choice) -> dict[str, Any]:
    """A token and the likeliest ones in its place, as chats have them."""
    described = _described(engine, choice.token, choice.logprob or 0.0)
    return described | {"top_logprobs": [_described(engine, token, logprob) for token, logprob in choice.likely]}


def text_of(engine: Engine, token: int) -> str:
    return engine.texts.decode([token])[1]


def _described(engine: Engine, token: int, logprob: float) -> dict[str, Any]:
    text = text_of(engine, token)
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
