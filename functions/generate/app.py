"""Text generation: chats and completions as OpenAI's clients send them, and Triton's generate; and text of speech.

Text is streamed where asked. A function of its own, with memory for language models, so that the others' calls stay as
fast as they are. It only reads the bucket, but for what it counted of calls.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Any, Literal

from functions.generate import calls
from functions.generate.calls import Generating, Hearing
from shared import budget
from shared.config import Config, MiB
from shared.entry import extension, requests
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, reading
from shared.package.tasks import SPEECH_TO_TEXT
from shared.serving.counter import Counter
from shared.serving.generation import triton
from shared.serving.generation.openai import chat as chats
from shared.serving.generation.openai import completions, listing
from shared.serving.generation.openai.answers import Heading
from shared.serving.inputs import form
from shared.serving.inputs.request import Inputs
from shared.serving.loaded import Loaded, Resolved
from shared.serving.models import Models
from shared.serving.observe import FailedLoad
from shared.serving.speech import openai as speech
from shared.serving.wall import Wall
from shared.values.texts import in_utf8

begun_ns = time.perf_counter_ns()
V2 = "/v2/models/{model}"
UNHURRIED = 300.0  # seconds: as the template has them
UNKNOWN_MEMORY = 3008  # MB, where nobody says what the function has
VERSION = "/versions/{version}"


@cache
def models() -> Models:
    settings = config()
    budget.allow(settings.call_memory)
    return Models(
        reading(),
        ttl=settings.alias_ttl,
        capacity=(settings.memory_mb or UNKNOWN_MEMORY) * MiB * 6 // 10,
        max_stale=settings.max_stale,
        threads=settings.threads,
        wall=Wall.of(settings),
        generates=True,
    )


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    Wall.of(Config.from_env(os.environ)).prepare()
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    from snapshot_restore_py import register_after_restore

    register_after_restore(models().forget)  # aliases move while a snapshot sleeps

after = extension.begin(lambda seconds: calls.observers.work(seconds))
counter = Counter(
    lambda: models().log.store,
    ready_ns=time.perf_counter_ns() - begun_ns,
    afterwards=after is not None,
    memory_mb=lambda: config().memory_mb,
)
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    calls.observe_for_counts(counter)
    if after:
        after.at_end(counter.finish)


class Hurried:
    """Lambda's context, with no more time than who passes a call on has."""

    def __init__(self, context: Any, seconds: float | None) -> None:
        left = context.get_remaining_time_in_millis() / 1000 if context else UNHURRIED
        self._end = time.monotonic() + min(left, UNHURRIED if seconds is None else seconds)

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


class GenerateRoutes(Routes):
    """The routes, and what the inference function passes on: /predict and /explain of a model that generates text."""

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        if "forwarded" in event:
            return forwarded(event["forwarded"], Hurried(context, event.get("seconds")))
        return super().__call__(event, context)


answered = after.answered if after else lambda: None
handler, forwarded = GenerateRoutes("generate", answered), Routes("generate", answered)


@handler.route("POST", "/v1/chat/completions", id="createChatCompletion", scope="infer", models="each")
def chat(request: Request) -> Response:
    """An answer to messages, in the form of OpenAI's API: the body names the model"""
    started_ns = time.perf_counter_ns()
    body = chats.read(requests.body(request))
    call = _begin(request, "chat", started_ns, requests.model_in_body(request, body.model))
    prepared = call.failing(lambda: chats.prepare(call.engine, body))
    heading, usage = Heading.of("chatcmpl", body.model, call.loaded.version.version), body.usage_in_stream
    return call.answer(
        prepared.prompt,
        prepared.ask,
        lambda pieces: chats.answer(call.engine, prepared, heading, pieces),
        lambda pieces: chats.stream(call.engine, prepared, heading, pieces, with_usage=usage),
        streams=bool(body.stream),
    )


@handler.route("POST", "/v1/completions", id="createCompletion", scope="infer", models="each")
def complete(request: Request) -> Response:
    """What follows a text, in the form of OpenAI's API: the body names the model"""
    started_ns = time.perf_counter_ns()
    body = completions.read(requests.body(request))
    call = _begin(request, "completions", started_ns, requests.model_in_body(request, body.model))
    prepared = call.failing(lambda: completions.prepare(call.engine, body))
    heading, usage = Heading.of("cmpl", body.model, call.loaded.version.version), body.usage_in_stream
    return call.answer(
        prepared.prompt,
        prepared.ask,
        lambda pieces: completions.answer(call.engine, heading, pieces),
        lambda pieces: completions.stream(call.engine, heading, pieces, with_usage=usage),
        streams=bool(body.stream),
    )


@handler.route("POST", "/v1/audio/transcriptions", id="createTranscription", scope="infer", models="each")
def transcribe(request: Request) -> Response:
    """The text of speech, in the form of OpenAI's API: the form names the model"""
    return _hear(request, "transcribe")


@handler.route("POST", "/v1/audio/translations", id="createTranslation", scope="infer", models="each")
def translate(request: Request) -> Response:
    """The same in English, of a model that translates"""
    return _hear(request, "translate")


def _hear(request: Request, task: Literal["transcribe", "translate"]) -> Response:
    started_ns = time.perf_counter_ns()
    form, sound = speech.read(requests.body(request), request.headers.get("content-type", ""))
    loaded = _load(request, task, started_ns, requests.model_in_body(request, form.model))
    call = Hearing(request, loaded, task, started_ns)
    text = call.failing(lambda: speech.transcribe(call.engine, form, sound, task))
    content = speech.answer(text, form.response_format, task)
    return call.done(content, {"Content-Type": speech.MEDIA[form.response_format]})


@handler.route("GET", "/v1/models", id="listOpenaiModels", scope="infer", models="each")
def list_models(request: Request) -> dict[str, Any]:
    """Models that this token may call, in the form of OpenAI's API: the routes under /v1 take their names"""
    return listing.all_models(models().log, request.scopes)


@handler.route("GET", "/v1/models/{model}", id="getOpenaiModel", scope="infer")
def get_model(request: Request) -> dict[str, Any]:
    """One of them"""
    return listing.one(models().resolve(request.params["model"], None).head)


@handler.route("POST", V2 + "/generate", id="generate", scope="infer")
@handler.route("POST", V2 + VERSION + "/generate", id="generateVersion", scope="infer")
def generate(request: Request) -> Response:
    """What follows a text, in the form of Triton's generate extension"""
    return _generate(request, streams=False)


@handler.route("POST", V2 + "/generate_stream", id="generateStream", scope="infer")
@handler.route("POST", V2 + VERSION + "/generate_stream", id="generateVersionStream", scope="infer")
def generate_stream(request: Request) -> Response:
    """The same, an event for each piece of it"""
    return _generate(request, streams=True)


def _generate(request: Request, *, streams: bool) -> Response:
    started_ns = time.perf_counter_ns()
    body, ask = triton.read(requests.body(request))
    call = _begin(request, "generate", started_ns, requests.model_in_path(request))
    prompt = call.failing(lambda: call.engine.texts.encode(body.text_input, whole=True))
    head = triton.heading(call.loaded.name, call.loaded.version.version, body)
    return call.answer(
        prompt,
        ask,
        lambda pieces: triton.answer(head, pieces),
        lambda pieces: triton.stream(head, pieces),
        streams=streams,
    )


@forwarded.route("POST", "/models/{model}/predict", id="predictText", scope="infer")
@forwarded.route("POST", "/models/{model}/versions/{version}/predict", id="predictTextVersion", scope="infer")
def predict(request: Request) -> Response:
    """A text in, a text out: of a model with a chat template, an answer to a message. Of one of speech, a sound in"""
    started_ns = time.perf_counter_ns()
    loaded = _load(request, "predict", started_ns, requests.model_in_path(request))
    sent = requests.sent(request)
    hears = loaded.manifest.served_task == SPEECH_TO_TEXT
    call = (
        Hearing(request, loaded, "predict", started_ns) if hears else Generating(request, loaded, "predict", started_ns)
    )
    inputs, answers = call.failing(lambda: _answers(call, sent, request))
    heading = {"model": loaded.name, "version": loaded.version.version}
    used = sum(answer["usage"]["total_tokens"] for answer in answers if "usage" in answer)
    return call.done(heading | ({"results": answers} if inputs.many else answers[0]), used=used)


@forwarded.route("POST", "/models/{model}/explain", id="explainText", scope="infer")
@forwarded.route("POST", "/models/{model}/versions/{version}/explain", id="explainTextVersion", scope="infer")
def explain(request: Request) -> Response:
    """On which parts of a text its answer depends"""
    from shared.serving import tasks
    from shared.serving.tasks import text_generation as texts

    started_ns = time.perf_counter_ns()
    loaded = _load(request, "explain", started_ns, requests.model_in_path(request))
    tasks.require_explained(loaded.manifest)
    call = Generating(request, loaded, "explain", started_ns)
    sent = requests.sent(request)
    item, options = call.failing(lambda: texts.read_explained(*_plain(sent, request, loaded)))
    explanation, used = call.failing(lambda: texts.explain_one(call.engine, item, options, request.caller))
    heading = {"model": call.loaded.name, "version": call.loaded.version.version}
    return call.done(heading | explanation, used=used)


def _plain(sent: tuple[bytes, str], request: Request, loaded: Loaded) -> tuple[bytes, str, dict[str, str]]:
    """Body, content type and options, also where a form has them; texts are in UTF-8. Raises BadInput, Unsupported."""
    body, kind, query = form.as_raw(*sent, request.query, loaded.manifest.input_kind)
    return *in_utf8(body, kind), query


def _answers(
    call: Hearing | Generating, sent: tuple[bytes, str], request: Request
) -> tuple[Inputs, list[dict[str, Any]]]:
    """Imports here: of each kind of model, other calls do without."""
    plain = _plain(sent, request, call.loaded)
    if isinstance(call, Hearing):
        from shared.serving.tasks import speech_to_text as sounds

        inputs = sounds.read(*plain)
        return inputs, [sounds.answer_one(call.engine, one) for one in inputs.items]
    from shared.serving.tasks import text_generation as texts

    inputs = texts.read(*plain)
    return inputs, [texts.answer_one(call.engine, one, request.caller) for one in inputs.items]


def _begin(request: Request, route: str, started_ns: int, model: tuple[str, str | None]) -> Generating:
    return Generating(request, _load(request, route, started_ns, model), route, started_ns)


def _load(request: Request, route: str, started_ns: int, model: tuple[str, str | None]) -> Loaded:
    def failed(resolved: Resolved, error: Exception) -> None:
        _note(request, resolved.head.model, resolved.version.version, resolved.alias)
        ns, size = time.perf_counter_ns() - started_ns, len(request.body)
        failure = FailedLoad(resolved=resolved, route=route, error=error, ns=ns, bytes_in=size)
        calls.observers.notify_failed_load(failure)

    loaded = models().load(*model, requests.split_key(request), failed)
    _note(request, loaded.name, loaded.version.version, loaded.alias)
    return loaded


def _note(request: Request, model: str, version: int, alias: str) -> None:
    """For the call's line in the log: names that the registry has, and no caller's."""
    request.notes.update(model=model, version=version, alias=alias or None)
