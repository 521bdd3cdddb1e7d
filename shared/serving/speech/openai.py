"""POST /v1/audio/transcriptions and /translations in the form of OpenAI's API: a form in, a text in one of five forms.

What its own service has and is not here: `stream` (the answer comes whole), times of words, and log-probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.serving.content import JSON
from shared.serving.inputs import multipart
from shared.serving.speech.engine import Engine
from shared.serving.speech.transcribe import Ask, Text

Form = Literal["json", "text", "srt", "verbose_json", "vtt"]
MEDIA: dict[Form, str] = {
    "json": JSON,
    "verbose_json": JSON,
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
GRANULARITIES = "timestamp_granularities[]"


class SpeechRequest(Struct, frozen=True, kw_only=True):
    """Fields of the form beside `file`. language: its code, such as `en`; without it, the model finds it out.

    prompt: a text before the sound, for names and style. temperature: 0, or omitted, takes the likeliest words, and
    others where these repeat themselves or are not believed in.
    """

    model: Annotated[str, Meta(min_length=1, max_length=300)]
    language: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    prompt: Annotated[str, Meta(max_length=20_000)] = ""
    response_format: Form = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.0


def read(body: bytes, content_type: str) -> tuple[SpeechRequest, bytes]:
    """The fields, and the file. Raises BadInput, Unsupported. Fields that are not known are ignored."""
    parts = multipart.parse(body, content_type)
    files = [part.content for part in parts if part.name == "file"]
    if len(files) != 1:
        raise BadInput(f"the form has {len(files)} fields `file`: send one sound (WAV, FLAC, OGG or MP3)")
    try:
        fields = {part.name: part.content.decode() for part in parts if part.name != "file"}
        words = [part.content for part in parts if part.name == GRANULARITIES and part.content != b"segment"]
        known = {name: fields[name] for name in SpeechRequest.__struct_fields__ if fields.get(name)}
        request = msgspec.convert(known, SpeechRequest, strict=False)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadInput(f"the form does not fit: {error}") from error
    if words:
        raise BadInput(f"{GRANULARITIES} may be `segment` only: there are no times of words here")
    return request, files[0]


def transcribe(engine: Engine, request: SpeechRequest, sound: bytes, task: Literal["transcribe", "translate"]) -> Text:
    """Raises what Engine.transcribe raises."""
    language = request.language.lower() if request.language else None
    prompt, temperature = engine.prompt(request.prompt), request.temperature or None
    return engine.transcribe(sound, Ask(language=language, task=task, prompt=prompt, temperature=temperature))


def answer(text: Text, form: Form, task: str) -> Any:
    """The body: an object, or bytes."""
    if form == "json":
        usage = {"type": "duration", "seconds": round(text.duration)}
        return {"text": text.text, "usage": usage}
    if form == "verbose_json":
        segments = [{"id": number, **segment} for number, segment in enumerate(described(text))]
        heading = {"task": task, "language": text.language or "", "duration": text.duration}
        return heading | {"text": text.text, "segments": segments}
    if form == "text":
        return f"{text.text}\n".encode()
    return "".join(_srt(text) if form == "srt" else _vtt(text)).encode()


def described(text: Text) -> list[dict[str, Any]]:
    """Segments with all that is known of them."""
    return [msgspec.to_builtins(segment) for segment in text.segments]


def _srt(text: Text) -> Iterable[str]:
    for number, segment in enumerate(text.segments, 1):
        start, end = (_clock(seconds, ",") for seconds in (segment.start, segment.end))
        yield f"{number}\n{start} --> {end}\n{_cue(segment.text)}\n\n"


def _vtt(text: Text) -> Iterable[str]:
    yield "WEBVTT\n\n"
    for segment in text.segments:
        start, end = (_clock(seconds, ".") for seconds in (segment.start, segment.end))
        yield f"{start} --> {end}\n{_cue(segment.text)}\n\n"


def _cue(text: str) -> str:
    """A text without what would end a cue, or begin another one."""
    return " ".join(text.split()).replace("-->", "->")


def _clock(seconds: float, point: str) -> str:
    """HH:MM:SS, and thousandths behind `point`."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
