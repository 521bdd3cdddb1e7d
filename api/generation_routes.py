"""What each route of the function that generates text takes and gives, by its operation id: see generation.py."""

from __future__ import annotations

from typing import Any

from api import generation as types
from api.contract import ENCODED, KEY, Contract
from shared.entry.http import JSON
from shared.serving.generation.openai.chat import ChatRequest
from shared.serving.generation.openai.completions import CompletionRequest
from shared.serving.generation.triton import GenerateRequest

EVENTS: dict[str, Any] = {"text/event-stream": {"type": "string"}}
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
    "listOpenaiModels": Contract(gives={200: types.OpenaiModels}),
    "getOpenaiModel": Contract(gives={200: types.OpenaiModel}),
    "generate": GENERATE,
    "generateVersion": GENERATE,
    "generateStream": STREAM,
    "generateVersionStream": STREAM,
}
