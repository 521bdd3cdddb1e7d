"""What a call of a model that generates text is refused for, and what breaks off: in words, and as whose fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.generate import app
from functions.inference import app as inference
from shared.entry import streamed
from shared.errors import BadInput
from shared.serving.generation import engine as engines
from shared.serving.generation.openai import options
from shared.serving.observe import Call
from shared.storage.memory import MemoryStore
from tests.decoders import folders
from tests.functions import generating
from tests.functions.generating import (
    CHAT,
    HI,
    TEXT,
    TOOL,
    ask,
    counted,
    models,
    pushed,
)
from tests.functions.test_flow import push as upload
from tests.support import Answer, call, caller, linear, load_event

__all__ = ["counted", "models", "pushed"]  # fixtures


def made(arguments: str) -> list[dict[str, Any]]:
    """Messages with a call of a tool."""
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]}]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"n": 2}, "one answer"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "image_url"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"top_logprobs": 99, "logprobs": True}, "99"),
        ({"response_format": {"type": "json_schema"}}, "no schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "other"),
        ({"tools": [TOOL], "response_format": {"type": "json_schema"}}, "no schema"),
        ({"max_tokens": 256.5}, "max_tokens"),
        ({"max_tokens": "256"}, "max_tokens"),
        ({"seed": 1e30}, "seed"),
        ({"n": 2.0}, "n is 2:"),
        ({"functions": [{}]}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": "look"}}, "tool_choice"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": "x"}]}]}, "tool_calls"),
        ({"messages": made("[" * 5000)}, "not JSON"),
        ({"messages": made('{"a": "\\ud800"}')}, "surrogate"),
        ({"modalities": ["audio"]}, "text"),
    ],
)
def test_what_cannot_be_is_said_in_openais_form(body: dict[str, Any], reason: str) -> None:
    answer = ask(**body)
    assert answer.status == 400 and reason in answer.json["error"]["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_a_schema_that_no_text_can_be_of_is_refused_before_the_first_byte() -> None:
    schema = {"type": "string", "minLength": 5, "maxLength": 2}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = ask(response_format=wanted, stream=True)
    assert answer.status == 400 and "minLength" in answer.json["error"]["message"]
    assert ask(max_tokens=1).status == 200


def test_a_prompt_beyond_the_context_is_413_with_numbers() -> None:
    answer = ask(messages=[{"role": "user", "content": "x" * 500}])
    assert answer.status == 413
    message = answer.json["error"]["message"]
    assert "the prompt has 50" in message and "can have 128 with its answer" in message
    longest = "x" * 126
    [choice] = ask(TEXT, prompt=longest, max_tokens=50).json["choices"]
    assert len(choice["text"]) == 2 and choice["finish_reason"] == "length", "as much as the context has room for"
    assert ask(TEXT, prompt="x", max_tokens=1).json["usage"]["prompt_tokens"] == 1


def test_a_template_s_own_words_come_to_the_caller(store: MemoryStore, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "strict")
    template = "{% if messages|length > 1 %}{{ raise_exception('one at a time') }}{% endif %}{{ messages[0].content }}"
    (folder / "chat_template.jinja").write_text(template)
    generating.push(store, folder, "strict")
    answer = ask(model="strict", messages=[*HI, *HI])
    assert answer.status == 400 and "one at a time" in answer.json["error"]["message"]


def test_each_function_names_the_other_for_what_it_does_not_serve(store: MemoryStore) -> None:
    upload(store, "plain", {"model.onnx": linear([[1.0], [0.0]])})
    answer = ask(model="plain")
    assert answer.status == 400 and "/models/plain/predict" in answer.json["error"]["message"]
    infer = call(inference.handler, "POST", "/v2/models/tiny/infer", {"inputs": []})
    assert infer.status == 400 and "/v1/chat/completions" in infer.json["error"]


def test_what_breaks_off_says_so_and_is_a_fault_of_the_version(
    monkeypatch: pytest.MonkeyPatch, counted: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    real = engines.Engine.generate

    def broken(self: Any, *arguments: Any) -> Any:
        for number, piece in enumerate(real(self, *arguments)):
            if number == 2:
                raise BadInput("the model answers with what are no numbers")
            yield piece

    monkeypatch.setattr(engines.Engine, "generate", broken)
    whole = ask(max_tokens=6)
    assert whole.status == 400
    buffered = ask(max_tokens=6, stream=True)
    assert b"no numbers" in buffered.body and b"[DONE]" not in buffered.body, "the status was sent already"
    monkeypatch.setattr(streamed, "_streams", True)
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": CHAT, "headers": {}}
    event |= {"body": json.dumps({"model": "tiny", "messages": HI, "stream": True}), "isBase64Encoded": False}
    event["requestContext"]["authorizer"] = caller("infer")
    *_, last = app.handler(event, None).parts
    told = json.loads(last.removeprefix(b"data: "))["error"]
    assert told["message"] == "the model answers with what are no numbers"
    assert (told["code"], told["request_id"]) == ("bad_input", event["requestContext"]["requestId"])
    assert [type(one.error) for one in counted] == [BadInput, BadInput, BadInput]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"message":"call"' in line]
    assert [line["Faults"] for line in lines] == [0, 1, 1], "in the log, too"


def test_time_that_runs_out_ends_a_text_as_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0] * 4 + [0.0] * 100)
    monkeypatch.setattr(engines, "_remaining", lambda: lambda: next(times))
    answer = ask(max_tokens=50)
    assert answer.json["choices"][0]["finish_reason"] == "length" and answer.headers["x-amaas-ended"] == "deadline"


def test_a_token_s_limits_hold(store: MemoryStore) -> None:
    from shared.access import limits

    held = {"limits": limits.encode(limits.Limits(texts=1, text_tokens=20)), "principalId": "0" * 12}

    def chat() -> Answer:
        body = {"model": "tiny", "messages": HI, "max_tokens": 2}
        return call(app.handler, "POST", CHAT, body, authorizer=held)

    assert [chat().status, chat().status] == [200, 200], "12 tokens each: the place was given back"
    refused = chat()
    assert refused.status == 429 and "limit text_tokens: 24" in refused.json["error"]["message"]
    assert refused.json["error"]["type"] == "rate_limit_error" and int(refused.headers["Retry-After"]) <= 61


def test_tokens_that_are_no_numbers_of_any_model_are_refused() -> None:
    for number in (10**30, 2**31, -1):
        assert ask(TEXT, prompt=[number]).status == 400
    assert "vocabulary" in ask(TEXT, prompt=[5000]).json["error"]["message"]


def test_what_breaks_off_outside_of_the_model_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "_streams", True)
    real, sent = options.event, []

    def fails(content: Any) -> bytes:
        sent.append(content)
        if len(sent) == 3:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        return real(content)

    monkeypatch.setattr(options, "event", fails)
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": CHAT, "headers": {}}
    event |= {"body": json.dumps({"model": "tiny", "messages": HI, "stream": True}), "isBase64Encoded": False}
    event["requestContext"]["authorizer"] = caller("infer")
    *_, last = app.handler(event, None).parts
    assert b"internal error" in last
    monkeypatch.setattr(streamed, "_streams", False)
    monkeypatch.setattr(engines, "UNHURRIED", 5.0)
    assert ask(max_tokens=1).status == 200, "not even until the garbage collector comes"


def test_a_client_that_leaves_has_used_its_prompt(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.access import limits

    monkeypatch.setattr(streamed, "_streams", True)
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": CHAT, "headers": {}}
    event |= {"body": json.dumps({"model": "tiny", "messages": HI, "stream": True}), "isBase64Encoded": False}
    held = {"limits": limits.encode(limits.Limits(text_tokens=1000)), "principalId": "0" * 12}
    event["requestContext"]["authorizer"] = caller("infer") | held
    answer = app.handler(event, None)
    next(answer.parts), next(answer.parts)
    answer.close()
    [marker] = [key for key in store._objects if "text_tokens" in key]
    assert int(marker.split("/")[-2].rpartition(".")[2]) >= 11
