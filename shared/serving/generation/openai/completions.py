"""POST /v1/completions: a text → what follows it; at once, or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from shared.errors import BadInput
from shared.serving.generation.engine import Ask, Engine
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.openai import answers, options
from shared.serving.generation.openai.answers import Heading
from shared.serving.generation.openai.options import Options
from shared.serving.generation.sampling import Choice

KIND = "text_completion"


class CompletionRequest(Options, frozen=True, kw_only=True):
    """prompt: a text, or its tokens; or a list of one of them."""

    prompt: str | list[str | int | list[int]]
    logprobs: int | None = None
    echo: bool | None = None
    suffix: str | None = None


class Completion(Struct, frozen=True):
    prompt: list[int]
    ask: Ask


def read(body: bytes) -> CompletionRequest:
    """Raises BadInput."""
    request: CompletionRequest = options.read(body, CompletionRequest)
    if request.echo or request.suffix:
        raise BadInput("echo and suffix are not supported: put the texts together yourself")
    return request


def prepare(engine: Engine, request: CompletionRequest) -> Completion:
    """The prompt's tokens, and what is asked for. Raises BadInput."""
    ask = request.ask(logprobs=options.checked_logprobs(request.logprobs))
    return Completion(_tokens(engine, request.prompt), ask)


def _tokens(engine: Engine, prompt: Any) -> list[int]:
    """Raises BadInput for what is no prompt, or several."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        if len(prompt) != 1:
            raise BadInput(f"there are {len(prompt)} prompts in the call: send one, or a batch job for many")
        prompt = prompt[0]
    if isinstance(prompt, str):
        return engine.texts.encode(prompt, whole=True)
    if not all(isinstance(token, int) for token in prompt):
        raise BadInput("the prompt is neither a text nor a list of numbers of tokens")
    return list(prompt)


def answer(engine: Engine, heading: Heading, pieces: Iterator[Piece | End]) -> dict[str, Any]:
    """The whole answer."""
    text, choices = "", []
    for piece in pieces:
        if isinstance(piece, End):
            break
        text += piece.text
        choices.append(piece.choice)
    assert isinstance(piece, End), "an End is the last piece"
    choice = {"index": 0, "text": text, "logprobs": _told(engine, choices), "finish_reason": piece.reason}
    return heading.members(KIND) | {"choices": [choice], "usage": answers.usage(piece)}


def stream(engine: Engine, heading: Heading, pieces: Iterator[Piece | End], *, with_usage: bool) -> Iterator[bytes]:
    """Server-sent events, as the text comes."""
    head = heading.members(KIND) | ({"usage": None} if with_usage else {})
    for piece in pieces:
        if isinstance(piece, End):
            choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": piece.reason}
            yield options.event(head | {"choices": [choice]})
            if with_usage:
                yield options.event(head | {"choices": [], "usage": answers.usage(piece)})
            break
        told = _told(engine, [piece.choice])
        if piece.text or told:
            choice = {"index": 0, "text": piece.text, "logprobs": told, "finish_reason": None}
            yield options.event(head | {"choices": [choice]})
    yield options.DONE


def _told(engine: Engine, choices: list[Choice]) -> dict[str, Any] | None:
    if not choices or choices[0].logprob is None:
        return None
    texts = [answers.text_of(engine, choice.token) for choice in choices]
    offsets = [sum(map(len, texts[:place])) for place in range(len(texts))]
    return {
        "tokens": texts,
        "token_logprobs": [choice.logprob for choice in choices],
        "top_logprobs": [{answers.text_of(engine, t): p for t, p in choice.likely} for choice in choices],
        "text_offset": offsets,
    }
