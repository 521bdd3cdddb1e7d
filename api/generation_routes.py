"""What each route of the function that generates text takes and gives, by its operation id: see generation.py."""

from __future__ import annotations

from typing import Any

from api import generation as types
from api.contract import BYTES, ENCODED, KEY, Contract
from shared.entry.http import JSON
from shared.serving.generation.openai.chat import ChatRequest
from shared.serving.generation.openai.completions import CompletionRequest
from shared.serving.generation.triton import GenerateRequest
from shared.serving.inputs.multipart import KIND as FORM
from shared.serving.speech.openai import MEDIA

# with no type: some tools read one event by it, as an object, and others the whole text, for which they make a class
EVENTS: dict[str, Any] = {"text/event-stream": {"description": "Server-sent events; the data of each is JSON."}}
HELLO = [{"role": "user", "content": "Hello!"}]
GENERATE = Contract(
    gives={200: types.Generated},
    headers=(KEY, ENCODED),
    body={JSON: GenerateRequest},
    examples={"text": {"text_input": "Once upon a time", "parameters": {"max_tokens": 8}}},
    errors=(413, 415),
)
STREAM = Contract(
    gives={200: None},
    media=EVENTS,
    headers=(KEY, ENCODED),
    body={JSON: GenerateRequest},
    examples={"text": {"text_input": "Once upon a time", "parameters": {"max_tokens": 8}}},
    errors=(413, 415),
)
# fields of serving/speech/openai.py
SPEECH: dict[str, Any] = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": {**BYTES, "description": "a sound: WAV, FLAC, OGG or MP3"},
        "model": {"type": "string", "minLength": 1, "maxLength": 300},
        "language": {"type": "string", "description": "its code, such as en; without it, the model finds it out"},
        "prompt": {"type": "string", "description": "a text before the sound, for names and style"},
        "response_format": {
            "type": "string",
            "enum": list(MEDIA),
            "description": "Without it: json.",
        },
        "temperature": {"type": "number", "minimum": 0, "maximum": 1, "description": "Without it: 0."},
        "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": ["segment"]}},
    },
}
TRANSCRIPTION = Contract(
    gives={200: types.SpokenText},
    media={kind: {"type": "string"} for kind in MEDIA.values() if kind != JSON},
    headers=(KEY, ENCODED),
    body={FORM: SPEECH},
    errors=(404, 413, 415),
)
CONTRACTS = {
    "createChatCompletion": Contract(
        gives={200: types.ChatCompletion},
        media=EVENTS,
        headers=(KEY, ENCODED),
        body={JSON: ChatRequest},
        examples={"chat": {"model": "smollm2", "messages": HELLO, "max_tokens": 8}},
        errors=(404, 413, 415),
    ),
    "createCompletion": Contract(
        gives={200: types.TextCompletion},
        media=EVENTS,
        headers=(KEY, ENCODED),
        body={JSON: CompletionRequest},
        examples={"text": {"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 8}},
        errors=(404, 413, 415),
    ),
    "createTranscription": TRANSCRIPTION,
    "createTranslation": TRANSCRIPTION,
    "listOpenaiModels": Contract(gives={200: types.OpenaiModels}),
    "getOpenaiModel": Contract(gives={200: types.OpenaiModel}),
    "generate": GENERATE,
    "generateVersion": GENERATE,
    "generateStream": STREAM,
    "generateVersionStream": STREAM,
}
