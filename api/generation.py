"""The contract of the function that generates text: answers in OpenAI's and Triton's forms.

Types of responses; those of requests are what the routes read. What each route takes and gives: generation_routes.py.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Reason = Literal["stop", "length", "tool_calls"]


class PromptDetails(Struct):
    """cached_tokens: of the prompt's beginning, that were read for the same token's call before."""

    cached_tokens: int


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class CalledFunction(Struct):
    """arguments: JSON, as text."""

    name: str
    arguments: str


class ToolCall(Struct):
    id: str
    type: Literal["function"]
    function: CalledFunction


class Answer(Struct, kw_only=True):
    role: Literal["assistant"]
    content: str | None
    tool_calls: list[ToolCall] | UnsetType = UNSET


class ChatChoice(Struct):
    index: int
    message: Answer
    logprobs: dict[str, Any] | None
    finish_reason: Reason


class ChatCompletion(Struct):
    """system_fingerprint: the version that answered."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(Struct):
    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: Reason


class TextCompletion(Struct):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage


class SoundUsage(Struct):
    """seconds: of the sound."""

    type: Literal["duration"]
    seconds: int


class SpokenSegment(Struct):
    """start, end: in seconds. The last four are of the window of the sound that it is in."""

    id: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class SpokenText(Struct, kw_only=True):
    """usage: of `json`; the members after it: of `verbose_json`."""

    text: str
    usage: SoundUsage | UnsetType = UNSET
    task: Literal["transcribe", "translate"] | UnsetType = UNSET
    language: str | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    segments: list[SpokenSegment] | UnsetType = UNSET


class OpenaiModel(Struct):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenaiModels(Struct):
    object: Literal["list"]
    data: list[OpenaiModel]


class Generated(Struct, kw_only=True):
    model_name: str
    model_version: str
    id: str | UnsetType = UNSET
    text_output: str
    finish_reason: Reason
