"""Text generation in the product's own terms: a text in, a text out."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from shared.errors import BadInput, Unsupported
from shared.serving.generation import engine as engines
from shared.serving.generation import triton
from shared.serving.generation.engine import Ask, Engine
from shared.serving.generation.openai import answers
from shared.serving.generation.openai.messages import Message, for_template
from shared.serving.generation.openai.tools import MARKERS
from shared.serving.generation.triton import Parameters
from shared.serving.inputs.request import Body, Inputs, Options
from shared.serving.loaded import Loaded
from shared.serving.tasks.base import Task

MOST = 16  # texts of a call: each of them takes seconds


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
            return Inputs([Item(body.decode(), [], asked)], False, Options())
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
        raise BadInput(
            f'the body must be JSON like {{"input": "a text"}}, with options in "parameters": {error}'
        ) from error


def _item(item: Any, ask: Ask) -> Item:
    if isinstance(item, str):
        return Item(item, [], ask)
    members = item if isinstance(item, dict) else {}
    return Item(None, msgspec.convert(members.get("messages"), list[Message]), ask)


def answer_one(engine: Engine, item: Item, owner: str) -> dict[str, Any]:
    """Of a text: of a model with chats, the answer to it as a message, else what follows it. Raises BadInput."""
    messages = item.messages
    if item.text is not None and engine.template is not None:
        messages = [Message("user", item.text)]
    if messages:
        native = engine.before.tools is not None
        prompt = engine.chat(for_template(messages, [], MARKERS, native=native))
    else:
        prompt = engine.texts.encode(item.text or "", whole=True)
    text, end = triton.gathered(engine.generate(prompt, item.ask, owner))
    return {"text": text, "finish_reason": end.reason, "usage": answers.usage(end)}


class TextGeneration(Task):
    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        return read(body, content_type, query)

    def per_run(self, loaded: Loaded) -> int:
        return 1

    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        # whose call it is is not known here: nobody's prompt is remembered for another's
        return [answer_one(engines.of(loaded), item, os.urandom(8).hex()) for item in items]


TASK = TextGeneration()
