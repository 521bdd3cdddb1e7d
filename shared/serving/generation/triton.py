"""Triton's `generate` extension: a text in, a text out, or one event for each piece of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared import json_faults
from shared.errors import BadInput
from shared.serving import whole_numbers
from shared.serving.generation.engine import Ask
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.openai.options import MOST_STOPS, Stop, event


class Parameters(Struct, frozen=True, kw_only=True):
    """What callers may ask for; other members of `parameters` are ignored. stop_words: as `stop`."""

    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=MOST_STOPS)] | None = None
    stop_words: Annotated[list[Stop], Meta(max_length=MOST_STOPS)] | None = None

    def ask(self) -> Ask:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or self.stop_words or ())
        names = ("max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")
        return Ask(stop=stop, **{name: getattr(self, name) for name in names})


class GenerateRequest(Struct, frozen=True, kw_only=True):
    """id: the caller's own. stream: of both routes, whether pieces are wanted; the route says so, too."""

    text_input: str
    parameters: dict[str, Any] = {}
    id: str | None = None
    stream: bool | None = None


def read(body: bytes) -> tuple[GenerateRequest, Ask]:
    """The request, and what it asks for, in `parameters` or beside them, as Triton's clients send it.

    Raises BadInput.
    """
    try:
        members = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        request = msgspec.convert(members, GenerateRequest)
        beside = {name: value for name, value in members.items() if name in Parameters.__struct_fields__}
        return request, whole_numbers.converted(beside | request.parameters, Parameters).ask()
    except msgspec.ValidationError as error:
        raise BadInput(f'the body does not fit: {error}; send {{"text_input": …}}') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not valid JSON: {json_faults.reason(body, error)}") from error


def heading(name: str, version: int, request: GenerateRequest) -> dict[str, Any]:
    return {"model_name": name, "model_version": str(version)} | ({"id": request.id} if request.id else {})


def answer(head: dict[str, Any], pieces: Iterator[Piece | End]) -> dict[str, Any]:
    """The whole answer."""
    text, end = gathered(pieces)
    return head | {"text_output": text, "finish_reason": end.reason}


def stream(head: dict[str, Any], pieces: Iterator[Piece | End]) -> Iterator[bytes]:
    """Server-sent events: one for each piece that has a text, and a last one that says why there is no more."""
    for piece in pieces:
        if isinstance(piece, End):
            yield event(head | {"text_output": "", "finish_reason": piece.reason})
        elif piece.text:
            yield event(head | {"text_output": piece.text})


def gathered(pieces: Iterator[Piece | End]) -> tuple[str, End]:
    """The whole text, and its end."""
    text = ""
    for piece in pieces:
        if isinstance(piece, End):
            return text, piece
        text += piece.text
    raise AssertionError("an End is the last piece")
