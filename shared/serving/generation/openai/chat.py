"""POST /v1/chat/completions: messages → a text, or calls of tools; at once, or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.serving.generation.engine import Ask, Engine, json_grammar
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.openai import answers, messages, options, tools
from shared.serving.generation.openai.answers import Heading
from shared.serving.generation.openai.messages import MOST_MESSAGES, Message
from shared.serving.generation.openai.options import Options
from shared.serving.generation.openai.tools import MARKERS, MOST_TOOLS, Call, Choice, Splitter, Tool

ANSWER, CHUNK = "chat.completion", "chat.completion.chunk"


class Schema(Struct, frozen=True):
    name: str = "answer"
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class Format(Struct, frozen=True):
    """type `json_schema`: JSON by a schema; `json_object`: any; `text`: as it comes."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None


class ChatRequest(Options, frozen=True, kw_only=True):
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MOST_MESSAGES)]
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: Annotated[list[Tool], Meta(max_length=MOST_TOOLS)] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    functions: list[Any] | None = None
    modalities: list[str] | None = None


class Chat(Struct, frozen=True):
    """A call that was read. markers: around calls of tools; None where none may be called. names: of these tools.

    alone: a call has no text beside it, as the answer is either calls or JSON.
    """

    prompt: list[int]
    ask: Ask
    markers: tuple[str, str] | None
    names: frozenset[str]
    alone: bool = False

    def splitter(self) -> Splitter | None:
        return Splitter(self.markers, self.names, alone=self.alone) if self.markers else None


def read(body: bytes) -> ChatRequest:
    """Raises BadInput."""
    request: ChatRequest = options.read(body, ChatRequest)
    if request.functions:
        raise BadInput("functions are called by `tools` now: send them there")
    if request.modalities and request.modalities != ["text"]:
        raise BadInput(f"modalities are {request.modalities}: this server answers in text")
    return request


def prepare(engine: Engine, request: ChatRequest) -> Chat:
    """The prompt's tokens, and what is asked for. Raises BadInput, also with the words of the chat template."""
    available, required = tools.chosen(request.tools or [], request.tool_choice)
    native = engine.before.tools is not None
    markers = tuple(engine.before.tools) if engine.before.tools else MARKERS
    assert len(markers) == 2, "the manifest has two"
    prepared = messages.for_template(request.messages, available, markers, native=native)
    prompt = engine.chat(prepared, tools.described(available) if native else None)
    schema = _schema(request.response_format)
    several = request.parallel_tool_calls is not False
    grammar: tuple[str, str] | None = None
    alone = bool(available) and not required and schema is not None
    if alone and schema is not None:
        grammar = tools.either(available, markers, schema, several=several)
    elif available:
        grammar = tools.grammar(available, markers, required=required, several=several)
    elif schema is not None:
        grammar = json_grammar(schema)
    count = options.checked_logprobs(request.top_logprobs)
    ask = request.ask(
        max_tokens=request.max_completion_tokens or request.max_tokens,
        logprobs=(count or 0) if request.logprobs else None,
        grammar=grammar,
    )
    names = frozenset(tool.function.name for tool in available)
    return Chat(prompt, ask, markers if available else None, names, alone)


def _schema(wanted: Format | None) -> dict[str, Any] | None:
    """Of an answer that is no call. Raises BadInput."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        raise BadInput("response_format json_schema has no schema: send json_schema.schema")
    return wanted.json_schema.schema


def answer(engine: Engine, chat: Chat, heading: Heading, pieces: Iterator[Piece | End]) -> dict[str, Any]:
    """The whole answer."""
    splitter = chat.splitter()
    text, told = "", []
    for piece in pieces:
        if isinstance(piece, End):
            break
        text += splitter.push(piece.text) if splitter else piece.text
        if piece.choice.logprob is not None:
            told.append(answers.likely(engine, piece.choice))
    assert isinstance(piece, End), "an End is the last piece"
    text += splitter.rest() if splitter else ""
    calls = splitter.calls if splitter else []
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    message |= {"tool_calls": [call.described() for call in calls]} if calls else {}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": told} if told else None,
        "finish_reason": "tool_calls" if calls else piece.reason,
    }
    return heading.members(ANSWER) | {"choices": [choice], "usage": answers.usage(piece)}


def stream(
    engine: Engine, chat: Chat, heading: Heading, pieces: Iterator[Piece | End], *, with_usage: bool
) -> Iterator[bytes]:
    """Server-sent events, as the text comes; a call of a tool is one, when it is whole."""
    splitter, head = chat.splitter(), heading.members(CHUNK)
    head |= {"usage": None} if with_usage else {}
    given = 0  # calls

    def chunk(delta: dict[str, Any], told: Any = None, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": reason}
        return options.event(head | {"choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces:
        if isinstance(piece, End):
            if splitter and (rest := splitter.rest()):
                yield chunk({"content": rest})
            yield chunk({}, reason="tool_calls" if given else piece.reason)
            if with_usage:
                yield options.event(head | {"choices": [], "usage": answers.usage(piece)})
            break
        text = splitter.push(piece.text) if splitter else piece.text
        told = {"content": [answers.likely(engine, piece.choice)]} if piece.choice.logprob is not None else None
        if text or told:
            yield chunk({"content": text}, told)
        for call in _new(splitter, given):
            yield chunk({"tool_calls": [call.described(given)]})
            given += 1
    yield options.DONE


def _new(splitter: Splitter | None, given: int) -> list[Call]:
    return splitter.calls[given:] if splitter else []
