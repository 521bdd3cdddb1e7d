"""Texts of a language model by the client: whole, and as they come."""

from __future__ import annotations

import json

import pytest
from amaas import AmaasError, ApiError, Client, NotConnected
from amaas.api import generation

from functions.generate import app as generate
from shared.errors import Unavailable
from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.client.texts import Held, streaming, writing

HELLO = [{"role": "user", "content": "Hello"}]
EVENTS = {"Content-Type": "text/event-stream"}


@pytest.fixture(autouse=True)
def writer(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming(monkeypatch)
    writing(log)


def test_an_answer_is_the_same_at_once_and_as_it_comes(client: Client, service: Service) -> None:
    options = {"max_tokens": 12, "seed": 3, "temperature": None}
    whole = client.chat("writer", HELLO, version=1, key="k", **options)
    text = whole["choices"][0]["message"]["content"]
    assert text and whole["usage"]["completion_tokens"] == 12
    sent = service.calls[-1]
    assert sent.json() == {"model": "writer@1", "messages": HELLO, "max_tokens": 12, "seed": 3}
    assert sent.headers["x-request-key"] == "k"
    with client.chat("writer", HELLO, stream=True, **options) as events:
        parts = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(parts) == text and len(parts) > 10
    assert service.calls[-1].headers["accept"] == "text/event-stream"


def test_what_follows_a_text(client: Client) -> None:
    whole = client.complete("writer", "Once", max_tokens=5, seed=1)["choices"][0]
    parts = client.complete("writer", "Once", stream=True, max_tokens=5, seed=1)
    assert "".join(part["choices"][0]["text"] for part in parts) == whole["text"]
    assert whole["finish_reason"] == "length"


def test_the_first_words_are_there_before_the_last_are_made(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    events = client.chat("writer", HELLO, stream=True, max_tokens=12, seed=3)
    first = [next(events)["choices"][0]["delta"] for _ in range(3)]
    assert first[1]["content"] and held.made == 3, "nothing more is made"
    held.go.set()
    assert len(list(events)) > 8 and held.made > 11


def test_closing_the_iterator_ends_the_work_behind_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    with client.chat("writer", HELLO, stream=True, max_tokens=100, seed=3) as events:
        next(events)
    held.go.set()
    assert held.over.wait(60) and held.made < 90, "the service has seen it"
    assert client.chat("writer", HELLO, max_tokens=2)["usage"]["completion_tokens"] == 2, "the model is free"


def test_errors_before_the_first_byte_are_those_of_any_call(client: Client, service: Service) -> None:
    with pytest.raises(ApiError, match="there is no model 'nobody'") as refused:
        client.chat("nobody", HELLO, stream=True)
    assert refused.value.status == 404
    with pytest.raises(ApiError, match="max_tokens") as refused:
        client.chat("writer", HELLO, stream=True, max_tokens=0)
    assert refused.value.status == 400
    service.trouble.append(Trouble("POST", "/chat/", 503, times=2))
    assert list(client.chat("writer", HELLO, stream=True, max_tokens=2))
    service.trouble.append(Trouble("POST", "/chat/", 0, times=9))
    with pytest.raises(NotConnected, match="does not answer"):
        client.chat("writer", HELLO, stream=True)


def test_a_slow_failure_is_not_repeated(client: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "LONGEST", 0.05)
    service.trouble.append(Trouble("POST", "/chat/", 504, times=9, delay=0.1))
    for stream in (True, False):
        with pytest.raises(ApiError, match="not now"):
            client.chat("writer", HELLO, stream=stream)
    assert len(service.received("POST", "/chat/")) == 2


def test_an_answer_that_is_cut_says_so(client: Client, service: Service) -> None:
    service.trouble.append(Trouble("POST", "/chat/", 0, after=True))
    events = client.chat("writer", HELLO, stream=True, max_tokens=5)
    with pytest.raises(AmaasError, match=r"the answer broke off .*: try again"):
        list(events)
    assert len(service.received("POST", "/chat/")) == 1, "what has begun is not repeated"


def test_an_error_in_the_middle_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generate.chats.stream

    def broken(*arguments: object, **options: object) -> object:
        yield next(whole(*arguments, **options))
        raise Unavailable("the model's process has died")

    monkeypatch.setattr(generate.chats, "stream", broken)
    events = client.chat("writer", HELLO, stream=True)
    assert next(events)["choices"][0]["delta"]["role"] == "assistant"
    with pytest.raises(AmaasError, match=r"^the answer broke off: the model's process has died"):
        next(events)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"data: {}\n\n", "before its end"),
        (b"data: {\n\n", "not JSON"),
        (b"data: []\n\n", "no object"),
        (b"data: " + b"x" * (5 << 20), "more than 4 MiB"),
        (b'data: {"error": "no more"}\n\n', "broke off: no more"),
    ],
)
def test_what_is_no_stream_of_ours(client: Client, service: Service, body: bytes, problem: str) -> None:
    service.trouble.append(Trouble("POST", "/chat/", 200, body, EVENTS))
    with pytest.raises(AmaasError, match=problem):
        list(client.chat("writer", HELLO, stream=True))


def test_events_end_at_empty_lines_alone(client: Client, service: Service) -> None:
    text = "one\u2028two\x85three"
    data = json.dumps({"text": text}, ensure_ascii=False).encode()
    body = b": a comment\r\nevent: x\r\ndata: " + data + b'\r\n\r\ndata:{"two":\ndata: 2}\n\ndata: [DONE]\n\n'
    service.trouble.append(Trouble("POST", "/chat/", 200, body, EVENTS))
    assert list(client.chat("writer", HELLO, stream=True)) == [{"text": text}, {"two": 2}]
    service.trouble.append(Trouble("POST", "/chat/", 200, b"<html>", {"Content-Type": "text/html"}))
    with pytest.raises(NotConnected, match="is the address right"):
        client.chat("writer", HELLO, stream=True)
