"""Speech to text in the product's own terms: a sound in, a text out, with its segments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared import json_faults
from shared.errors import BadInput
from shared.serving.inputs import request
from shared.serving.inputs.request import Inputs
from shared.serving.loaded import Loaded
from shared.serving.speech import engine as engines
from shared.serving.speech.engine import Engine
from shared.serving.speech.transcribe import Ask
from shared.serving.tasks.base import Task

MOST = 16  # sounds of a call: each of them takes seconds


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """In the query, or as the body's `parameters`. See openai.SpeechRequest."""

    language: Annotated[str, Meta(max_length=20)] | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: Annotated[str, Meta(max_length=20_000)] = ""
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None


class Item(Struct, frozen=True):
    sound: bytes
    options: Options


def read(body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
    """The sounds in a body. Raises BadInput, Unsupported."""
    request.no_nulls(query)
    parameters: dict[str, Any] = {}
    if "json" in content_type:
        try:
            decoded = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            why = json_faults.reason(body, error)
            raise BadInput(f'the body must be JSON like {{"input": "a file in base64"}}: {why}') from error
        given = decoded.pop("parameters", {})
        parameters, body = given if isinstance(given, dict) else {}, msgspec.json.encode(decoded)
    inputs = request.read(body, content_type, "audio", {})
    if len(inputs.items) > MOST:
        raise BadInput(f"the body has {len(inputs.items):,} sounds: send up to {MOST}, or a batch job for more")
    try:
        options = msgspec.convert({**query, **parameters}, Options, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"the options do not fit: {error}; there are {', '.join(Options.__struct_fields__)}") from error
    return Inputs([Item(item, options) for item in inputs.items], inputs.many, inputs.options)


def answer_one(engine: Engine, item: Item) -> dict[str, Any]:
    """Raises BadInput, TooLarge, OutOfTime."""
    options = item.options
    temperature = options.temperature or None
    prompt = engine.prompt(options.prompt)
    ask = Ask(language=options.language, task=options.task, prompt=prompt, temperature=temperature)
    text = engine.transcribe(item.sound, ask)
    segments = [{"start": one.start, "end": one.end, "text": one.text} for one in text.segments]
    return {"text": text.text, "language": text.language, "duration": text.duration, "segments": segments}


class SpeechToText(Task):
    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        return read(body, content_type, query)

    def per_run(self, loaded: Loaded) -> int:
        return 1

    def answer(self, loaded: Loaded, items: list[Any], options: request.Options) -> list[dict[str, Any]]:
        return [answer_one(engines.of(loaded), item) for item in items]


TASK = SpeechToText()
