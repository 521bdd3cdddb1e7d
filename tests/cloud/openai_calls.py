"""What test_openai_clients asks, through clients as they are: runs in the environment 'openai', with nothing of ours.

{"url", "token", "model", "speech", "sound"} on standard input → one JSON object: for each question what came back.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"LANGSMITH_TRACING": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # nothing is fetched

import litellm
import openai
from langchain_openai import ChatOpenAI

ACCESS = json.load(sys.stdin)
URL, MODEL = f"{ACCESS['url']}/v1", ACCESS["model"]
HI: list[Any] = [{"role": "user", "content": "hi"}]
SCHEMA = {
    "title": "Switch",
    "description": "a switch",
    "type": "object",
    "properties": {"on": {"type": "boolean"}, "n": {"enum": [1, 2]}},
    "required": ["on", "n"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "turn", "description": "turns", "parameters": SCHEMA}}]
FORM: Any = {"type": "json_schema", "json_schema": {"name": "switch", "schema": SCHEMA, "strict": True}}
MOST = 12

client = openai.OpenAI(base_url=URL, api_key=ACCESS["token"], max_retries=0, timeout=120)
patient = openai.AsyncOpenAI(base_url=URL, api_key=ACCESS["token"], max_retries=0, timeout=120)
chain = ChatOpenAI(model=MODEL, base_url=URL, api_key=ACCESS["token"], max_tokens=MOST, max_retries=0)
lite: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": URL, "api_key": ACCESS["token"], "messages": HI}


def chat(**more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=HI, **{"max_tokens": MOST, **more})


def whole() -> Any:
    answer = chat()
    return {"text": answer.choices[0].message.content, "usage": answer.usage.model_dump()}


def streamed() -> Any:
    """The one of three streams that began earliest: a machine that is busy may hold up any, and nothing hastens one."""
    return min((stream_once() for _ in range(3)), key=lambda stream: stream["first"] / stream["last"])


def stream_once() -> Any:
    """Seconds to the first and to the last word."""
    started, times, text, usage = time.monotonic(), [], "", None
    long: Any = {"type": "json_schema", "json_schema": {"name": "long", "schema": {"type": "string", "minLength": 300}}}
    for chunk in chat(stream=True, stream_options={"include_usage": True}, max_tokens=400, response_format=long):
        usage = chunk.usage or usage
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
            times.append(time.monotonic() - started)
    return {"text": text, "tokens": usage.completion_tokens, "first": times[0], "last": times[-1], "parts": len(times)}


async def at_once() -> Any:
    """Several streams at the same time, of the client that waits for none of them."""

    async def one(seed: int) -> str:
        stream = await patient.chat.completions.create(
            model=MODEL, messages=HI, max_tokens=MOST, seed=seed, temperature=1, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    return await asyncio.gather(*(one(seed) for seed in (1, 2, 1, *range(3, 10))))


def with_schema() -> Any:
    return json.loads(chat(response_format=FORM, max_tokens=80, temperature=1).choices[0].message.content)


def tool() -> Any:
    [call] = chat(tools=TOOLS, tool_choice="required", max_tokens=120).choices[0].message.tool_calls
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def logprobs() -> Any:
    told = chat(logprobs=True, top_logprobs=2, max_tokens=2).choices[0].logprobs
    return [[one.token, one.logprob, len(one.top_logprobs)] for one in told.content]


def completion() -> Any:
    text = client.completions.create(model=MODEL, prompt="hi", max_tokens=MOST).choices[0].text
    parts = client.completions.create(model=MODEL, prompt="hi", max_tokens=MOST, stream=True)
    return [text, "".join(part.choices[0].text for part in parts)]


def refusals() -> Any:
    said = {}
    for name, ask in {
        "nobody": lambda: client.chat.completions.create(model="nobody", messages=HI),
        "two": lambda: chat(n=2),
        "long": lambda: client.completions.create(model=MODEL, prompt="x" * 5000),
    }.items():
        try:
            ask()
        except openai.APIStatusError as error:
            said[name] = [type(error).__name__, error.status_code, error.message]
    return said


def stranger() -> Any:
    """What the gateway itself tells a caller whose token it does not know, and one who sends none that can be one."""
    said = []
    for token in ("amaas_f00000000000_" + "x" * 43, "sk-of-another-service"):
        other = openai.OpenAI(base_url=URL, api_key=token, max_retries=0, timeout=120)
        try:
            other.chat.completions.create(model=MODEL, messages=HI)
        except openai.APIStatusError as error:
            said.append([type(error).__name__, error.status_code, error.body])
    return said


def leaves() -> Any:
    """A client that leaves in mid-stream, and the next call."""
    stream = chat(stream=True, max_tokens=1000)
    next(iter(stream))
    stream.close()
    return whole()["text"]


def transcribed() -> Any:
    """In each form of the client's own types, by both clients; and what it makes of a refusal."""
    sound, speech = Path(ACCESS["sound"]), ACCESS["speech"]
    audio, ask = client.audio.transcriptions, {"model": speech, "file": sound, "temperature": 0}
    told = audio.create(**ask, response_format="verbose_json", timestamp_granularities=["segment"])

    async def patiently() -> str:
        async with openai.AsyncOpenAI(base_url=URL, api_key=ACCESS["token"], max_retries=0, timeout=120) as own:
            with sound.open("rb") as file:  # a stream, and not a path
                return (await own.audio.transcriptions.create(model=speech, file=file, temperature=0)).text

    try:
        audio.create(model=speech, file=("noise.wav", b"no sound"))
        refused = None
    except openai.BadRequestError as error:
        refused = error.message
    return {
        "text": audio.create(**ask).text,
        "bytes": audio.create(**ask | {"file": ("a.wav", sound.read_bytes())}).text,
        "patient": asyncio.run(patiently()),
        "verbose": {"text": told.text, "duration": told.duration, "ends": [part.end for part in told.segments]},
        "srt": audio.create(**ask, response_format="srt"),
        "translated": client.audio.translations.create(**ask).text,
        "refused": refused,
    }


def chained() -> Any:
    bound = chain.bind_tools(TOOLS, tool_choice="any").invoke("hi", max_tokens=120)
    structured = chain.with_structured_output(SCHEMA, method="json_schema").invoke("hi", max_tokens=80)
    return {
        "text": chain.invoke("hi").content,
        "stream": "".join(chunk.text for chunk in chain.stream("hi")),
        "tool": [[call["name"], call["args"]] for call in bound.tool_calls],
        "structured": structured,
    }


def lightly() -> Any:
    whole = litellm.completion(**lite, max_tokens=MOST)
    parts = litellm.completion(**lite, max_tokens=MOST, stream=True)
    return {
        "text": whole.choices[0].message.content,
        "stream": "".join(part.choices[0].delta.content or "" for part in parts),
    }


QUESTIONS: dict[str, Callable[[], Any]] = {
    "models": lambda: [model.id for model in client.models.list()],
    "whole": whole,
    "streamed": streamed,
    "at once": lambda: asyncio.run(at_once()),
    "schema": with_schema,
    "tool": tool,
    "logprobs": logprobs,
    "completion": completion,
    "refusals": refusals,
    "stranger": stranger,
    "leaves": leaves,
    "transcribed": transcribed,
    "langchain": chained,
    "litellm": lightly,
}
print(json.dumps({name: ask() for name, ask in QUESTIONS.items()}))
