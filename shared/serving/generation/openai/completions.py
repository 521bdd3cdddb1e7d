"""POST /v1/completions: a text → what follows it; at once, or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.serving.generation.engine import Ask, Engine
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.openai import answers, options
from shared.serving.generation.openai.answers import Heading
from shared.serving.generation.openai.options import Options
from shared.serving.generation.sampling import Choice

KIND = "text_completion"
Token = Annotated[int, Meta(ge=0, lt=2**31)]


class CompletionRequest(Options, frozen=True, kw_only=True):
    """prompt: a text, or its tokens; or a list of one of them."""

    prompt: str | list[str | Token | list[Token]]
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
    text, told = "", Told(engine)
    for piece in pieces:
        if isinstance(piece, End):
            break
        text += piece.text
        told.add(piece.choice)
    assert isinstance(piece, End), "an End is the last piece"
    choice = {"index": 0, "text": text, "logprobs": told.members, "finish_reason": piece.reason}
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
        told = Told(engine)
        told.add(piece.choice)
        if piece.text or told.members:
            choice = {"index": 0, "text": piece.text, "logprobs": told.members, "finish_reason": None}
            yield options.event(head | {"choices": [choice]})
    yield options.DONE


class Told:
    """What is told of each token, while the text is made: its time is looked at in between. members: None for none."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._end = engine, 0
        self.members: dict[str, Any] | None = None

    def add(self, choice: Choice) -> None:
        if choice.logprob is None:
            return
        if self.members is None:
            self.members = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        text = answers.text_of(self._engine, choice.token)
        likely = {answers.text_of(self._engine, token): logprob for token, logprob in choice.likely}
        values = (text, choice.logprob, likely, self._end)
        for name, value in zip(self.members, values, strict=True):
            self.members[name].append(value)
        self._end += len(text)
