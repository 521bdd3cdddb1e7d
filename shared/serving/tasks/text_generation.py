"""Text generation in the product's own terms: a text in, a text out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from shared import json_faults
from shared.errors import BadInput, TooLarge, Unsupported
from shared.serving.generation import engine as engines
from shared.serving.generation import triton
from shared.serving.generation.engine import Ask, Engine
from shared.serving.generation.loop import End
from shared.serving.generation.openai import answers
from shared.serving.generation.openai.messages import Message, for_template, text_of
from shared.serving.generation.openai.tools import MARKERS
from shared.serving.generation.triton import Parameters
from shared.serving.inputs.request import Body, Inputs, Options
from shared.serving.loaded import Loaded
from shared.serving.tasks.base import Request, Task, Together, one_of
from shared.values.texts import decoded

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions

MOST = 16  # texts of a call: each of them takes seconds


class Asked(Struct, frozen=True):
    """The one member of a body that says how to explain it."""

    parameters: dict[str, Any] = {}


class Item(Struct, frozen=True):
    """One text to answer, or the messages before it."""

    text: str | None
    messages: list[Message]
    ask: Ask


def read(body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
    """The texts in a body. Raises BadInput, Unsupported."""
    try:
        if content_type.startswith("text/"):
            asked = msgspec.convert(query, Parameters, strict=False).ask()
            return Inputs([Item(decoded(body), [], asked)], False, Options())
        if content_type and "json" not in content_type:
            raise Unsupported(f"this model takes text/plain or application/json, not {content_type[:80]!r}")
        request = msgspec.json.decode(body, type=Body)
        asked = msgspec.convert({**query, **request.parameters}, Parameters, strict=False).ask()
        many = isinstance(request.inputs, list)
        items = request.inputs if many else [request.inputs if request.input is UNSET else request.input]
        if items == [UNSET] or not 1 <= len(items) <= MOST:
            raise BadInput(f'send {{"input": …}}, or {{"inputs": […]}} with up to {MOST}, or a batch job for more')
        return Inputs([_item(item, asked) for item in items], many, Options())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = json_faults.reason(body, error)
        raise BadInput(
            f'the body must be JSON like {{"input": "a text"}}, with options in "parameters": {why}'
        ) from error


def _item(item: Any, ask: Ask) -> Item:
    if isinstance(item, str):
        return Item(item, [], ask)
    members = item if isinstance(item, dict) else {}
    return Item(None, msgspec.convert(members.get("messages"), list[Message]), ask)


def prompt_of(engine: Engine, item: Item) -> list[int]:
    """The tokens of a text or of messages: of a model with chats, those of the chat that it begins. Raises BadInput."""
    messages = item.messages
    if item.text is not None and engine.template is not None:
        messages = [Message("user", item.text)]
    if not messages:
        return engine.texts.encode(item.text or "", whole=True)
    native = engine.before.tools is not None
    return engine.chat(for_template(messages, [], MARKERS, native=native))


def read_explained(body: bytes, content_type: str, query: dict[str, str]) -> tuple[Item, ExplainOptions]:
    """The one text to explain, and what is asked of it, in the query or as the body's `parameters`.

    Raises BadInput, Unsupported.
    """
    from shared.serving.explain import read_options

    asked: dict[str, Any] = {}
    if not content_type.startswith("text/"):
        try:
            asked = msgspec.json.decode(body, type=Asked).parameters
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # which `read` tells
    options = read_options({**query, **asked})
    item: Item = one_of(read(body, content_type, {}).items)
    return item, options


def explain_one(engine: Engine, item: Item, options: ExplainOptions, owner: str) -> tuple[dict[str, Any], int]:
    """On which parts of a text, or of messages, an answer depends; and how many tokens were read.

    Raises BadInput, TooLarge, OutOfTime.
    """
    from shared.serving.explain import generated

    if item.text is not None:
        made, read = generated.explain(
            engine, [item.text], lambda texts: prompt_of(engine, Item(texts[0], [], Ask())), options, owner
        )
        for part in made["attributions"]:
            del part["message"]  # there is one text
        return made, read

    def prompt(texts: list[str]) -> list[int]:
        changed = [replace(one, content=text) for one, text in zip(item.messages, texts, strict=True)]
        return prompt_of(engine, Item(None, changed, Ask()))

    contents = [text_of(message.content, place) for place, message in enumerate(item.messages)]
    return generated.explain(engine, contents, prompt, options, owner)


def answer_one(engine: Engine, item: Item, owner: str) -> dict[str, Any]:
    """Of a text: of a model with chats, the answer to it as a message, else what follows it. Raises BadInput."""
    text, end = triton.gathered(engine.generate(prompt_of(engine, item), item.ask, owner))
    return _answer(text, end)


def _answer(text: str, end: End) -> dict[str, Any]:
    return {"text": text, "finish_reason": end.reason, "usage": answers.usage(end)}


def _asked(engine: Engine, request: Request) -> tuple[list[int], Ask] | None:
    """The prompt of a request with one text; None of another one, or one that is to be refused."""
    try:
        inputs = read(*request)
        return None if inputs.many else (prompt_of(engine, inputs.items[0]), inputs.items[0].ask)
    except (BadInput, TooLarge, Unsupported):
        return None


class TextGeneration(Task):
    together = True

    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        return read(body, content_type, query)

    def per_run(self, loaded: Loaded) -> int:
        return 1

    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        # whose call it is is not known here: nobody's prompt is remembered for another's
        return [answer_one(engines.of(loaded), item, os.urandom(8).hex()) for item in items]

    def read_explained(
        self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]
    ) -> tuple[Item, ExplainOptions]:
        return read_explained(body, content_type, query)

    def explain(self, loaded: Loaded, item: Any, options: ExplainOptions) -> dict[str, Any]:
        return explain_one(engines.of(loaded), item, options, os.urandom(8).hex())[0]

    def answer_together(self, loaded: Loaded, requests: Sequence[Request]) -> list[Together | None]:
        engine = engines.of(loaded)
        asked = [_asked(engine, request) for request in requests]
        written = iter(engine.generate_together([one for one in asked if one is not None]))
        texts = [None if one is None else next(written) for one in asked]
        return [
            None if one is None else Together(_answer(one.text, one.end), one.ns, one.end.cause == "deadline")
            for one in texts
        ]


TASK = TextGeneration()
