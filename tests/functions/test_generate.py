"""Chats, completions and Triton's generate over a tiny model behind the wall: whole, in events, and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from functions.generate import app, calls
from functions.inference import app as inference
from shared.entry import streamed
from shared.entry.streamed import Streamed
from shared.errors import BadInput
from shared.serving.generation import engine as engines
from shared.serving.observe import Call
from shared.storage.memory import MemoryStore
from tests.decoders import folders
from tests.functions import generating
from tests.functions.test_flow import push as upload
from tests.support import Answer, call, caller, linear, load_event

HI = [{"role": "user", "content": "hi"}]
CHAT, TEXT, GENERATE = "/v1/chat/completions", "/v1/completions", "/v2/models/tiny/generate"
PERSON = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}, "n": {"enum": [1, 2]}},
    "required": ["on", "n"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": PERSON}}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    store = MemoryStore()
    generating.tiny(store, tmp_path_factory.mktemp("tiny"))
    return store


@pytest.fixture(autouse=True)
def models(store: MemoryStore, pushed: MemoryStore) -> None:
    store._objects.update(pushed._objects)


@pytest.fixture
def counted() -> Iterator[list[Call]]:
    seen: list[Call] = []
    calls.observers.subscribe(seen.append)
    yield seen
    calls.observers._observers.remove(seen.append)


def ask_of(path: str = CHAT, **body: Any) -> Answer:
    asked: dict[str, Any] = {CHAT: {"model": "tiny", "messages": HI}, TEXT: {"model": "tiny", "prompt": "hi"}}.get(
        path, {"text_input": "hi"}
    )
    return call(app.handler, "POST", path, {**asked, **body})


ask = ask_of


def events(answer: Answer) -> list[Any]:
    """What the events say; [DONE] is left out, and has to be the last one under /v1."""
    blocks = answer.body.decode().strip().split("\n\n")
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block[6:]) for block in blocks if block != "data: [DONE]"]


def text_of(answer: Answer) -> str:
    return str(answer.json["choices"][0]["message"]["content"])


def test_a_chat_is_answered_in_openais_form() -> None:
    answer = ask(max_tokens=5)
    assert answer.status == 200 and answer.headers["x-amaas-version"] == "1"
    assert answer.json["object"] == "chat.completion" and answer.json["model"] == "tiny"
    [choice] = answer.json["choices"]
    assert choice["message"]["role"] == "assistant" and len(choice["message"]["content"]) == 5
    assert choice["finish_reason"] == "length" and answer.headers["x-amaas-ended"] == "max_tokens"
    usage = answer.json["usage"]
    assert usage["completion_tokens"] == 5 and usage["total_tokens"] == usage["prompt_tokens"] + 5


def test_events_have_the_same_text_and_end_with_usage() -> None:
    whole = ask(max_tokens=6)
    answer = ask(max_tokens=6, stream=True, stream_options={"include_usage": True})
    assert answer.headers["Content-Type"] == "text/event-stream"
    first, *middle, last, usage = events(answer)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(one["choices"][0]["delta"]["content"] for one in middle) == text_of(whole)
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 6
    assert {one["id"] for one in (first, *middle, last)} == {first["id"]}
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_events_leave_while_the_text_is_made(monkeypatch: pytest.MonkeyPatch, counted: list[Call]) -> None:
    monkeypatch.setattr(streamed, "_streams", True)
    event = load_event("apigateway_proxy")
    event |= {"httpMethod": "POST", "path": CHAT, "headers": {}, "isBase64Encoded": False}
    event["body"] = json.dumps({"model": "tiny", "messages": HI, "max_tokens": 20, "stream": True})
    event["requestContext"]["authorizer"] = caller("infer")
    answer = app.handler(event, None)
    assert isinstance(answer, Streamed)
    assert b"assistant" in next(answer.parts) and b"content" in next(answer.parts)
    assert counted == [], "the call goes on"
    answer.close()
    [done] = counted
    assert (done.route, done.error) == ("chat", None), "a client that leaves is no fault of the version"
    assert ask(max_tokens=1).status == 200, "and holds up no other"


def test_a_text_is_gone_on_with() -> None:
    answer = ask(TEXT, max_tokens=4, logprobs=2)
    [choice] = answer.json["choices"]
    told = choice["logprobs"]
    assert "".join(told["tokens"]) == choice["text"] and told["text_offset"] == [0, 1, 2, 3]
    assert all(len(likely) == 2 for likely in told["top_logprobs"]) and max(told["token_logprobs"]) < 0
    parts = events(ask(TEXT, max_tokens=4, stream=True))
    assert "".join(part["choices"][0]["text"] for part in parts) == choice["text"]
    assert ask(TEXT, prompt=["hi"], max_tokens=4).json["choices"][0]["text"] == choice["text"]


def test_triton_s_generate() -> None:
    answer = call(app.handler, "POST", GENERATE, {"text_input": "hi", "parameters": {"max_tokens": 4}, "id": "mine"})
    assert answer.json["model_name"] == "tiny" and answer.json["id"] == "mine"
    assert answer.json["text_output"] == ask(TEXT, max_tokens=4).json["choices"][0]["text"]
    stream = call(app.handler, "POST", GENERATE + "_stream", {"text_input": "hi", "max_tokens": 4})
    assert "".join(part["text_output"] for part in events(stream)) == answer.json["text_output"]
    assert events(stream)[-1]["finish_reason"] == "length"
    version = call(app.handler, "POST", "/v2/models/tiny/versions/1/generate", {"text_input": "hi", "max_tokens": 1})
    assert version.status == 200


def test_seeds_repeat_and_chance_does_not() -> None:
    texts = [text_of(ask(max_tokens=12, temperature=1.5, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert text_of(ask(max_tokens=12)) == text_of(ask(max_tokens=12)), "without a temperature, the likeliest"


def test_a_stop_string_ends_the_text() -> None:
    text = text_of(ask(max_tokens=12))
    place = next(place for place in range(1, 12) if text[place] not in text[:place])
    answer = ask(max_tokens=12, stop=[text[place]])
    assert text_of(answer) == text[:place] and answer.json["choices"][0]["finish_reason"] == "stop"
    never = ask(max_tokens=12, stop=["never"])
    assert text_of(never) == text


def test_json_by_schema_and_json_of_any_kind() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "switch", "schema": PERSON}}
    answer = json.loads(text_of(ask(max_tokens=60, temperature=1, response_format=schema)))
    assert set(answer) == {"on", "n"} and isinstance(answer["on"], bool) and answer["n"] in (1, 2)
    assert text_of(ask(max_tokens=1, response_format={"type": "json_object"})) == "{"


def test_a_tool_is_called_with_arguments_by_its_schema(store: MemoryStore, tmp_path: Path) -> None:
    # its positions are computed: it has no table that would end
    generating.push(store, folders.write(tmp_path / "long", "llama-optimum", context=2000), "long")
    ask = partial(ask_of, model="long")
    answer = ask(max_tokens=100, tools=[TOOL], tool_choice="required")
    [choice] = answer.json["choices"]
    [made] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert made["function"]["name"] == "look" and set(json.loads(made["function"]["arguments"])) == {"on", "n"}
    streams = events(ask(max_tokens=100, tools=[TOOL], tool_choice="required", stream=True))
    deltas = [part["choices"][0]["delta"] for part in streams]
    [told] = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert told["index"] == 0 and told["function"] == made["function"]
    assert streams[-1]["choices"][0]["finish_reason"] == "tool_calls"
    back = [*HI, {"role": "assistant", "content": None, "tool_calls": [made]}]
    back += [{"role": "tool", "tool_call_id": made["id"], "content": "lit"}]
    assert ask(messages=back, max_tokens=1).status == 200
    assert "tool_calls" not in ask(max_tokens=3, tools=[TOOL], tool_choice="none").json["choices"][0]["message"]


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
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "one of them"),
        ({"functions": [{}]}, "tools"),
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


def test_models_are_listed_and_unknown_ones_are_not_found() -> None:
    listing = call(app.handler, "GET", "/v1/models").json
    assert [one["id"] for one in listing["data"]] == ["tiny"]
    assert call(app.handler, "GET", "/v1/models/tiny").json["id"] == "tiny"
    assert call(app.handler, "GET", "/v1/models", scopes="infer:other*").json["data"] == []
    assert ask(model="nobody").status == call(app.handler, "GET", "/v1/models/nobody").status == 404
    assert ask(model="tiny@2").status == 404 and ask(model="tiny@1", max_tokens=1).status == 200
    assert ask(model="tiny@production", max_tokens=1).status == 200


def test_each_function_names_the_other_for_what_it_does_not_serve(store: MemoryStore) -> None:
    upload(store, "plain", {"model.onnx": linear([[1.0], [0.0]])})
    answer = ask(model="plain")
    assert answer.status == 400 and "/models/plain/predict" in answer.json["error"]["message"]
    infer = call(inference.handler, "POST", "/v2/models/tiny/infer", {"inputs": []})
    assert infer.status == 400 and "/v1/chat/completions" in infer.json["error"]


def test_predict_takes_a_text_and_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the inference function passes it on."""
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": "/models/tiny/predict"}
    event["requestContext"]["authorizer"] = caller("infer")

    def predict(body: Any, kind: str = "application/json") -> Any:
        raw = body if isinstance(body, str) else json.dumps(body)
        sent = event | {"headers": {"Content-Type": kind}, "body": raw, "isBase64Encoded": False}
        return json.loads(app.handler({"forwarded": sent}, None)["body"])

    one = predict({"input": "hi", "parameters": {"max_tokens": 4}})
    assert (one["model"], one["version"], len(one["text"]), one["finish_reason"]) == ("tiny", 1, 4, "length")
    many = predict({"inputs": ["hi", {"messages": HI}], "parameters": {"max_tokens": 4}})
    assert [result["text"] for result in many["results"]] == [one["text"], one["text"]]
    hurried = event | {"headers": {}, "body": json.dumps({"input": "hi"}), "isBase64Encoded": False}
    late = json.loads(app.handler({"forwarded": hurried, "seconds": 1.5}, None)["body"])
    assert "could be read in the time" in late["error"], "of who passes it on"
    assert "max_tokens" in predict({"input": "hi", "parameters": {"max_tokens": 0}})["error"]
    assert "input" in predict({})["error"] and "not" in predict("x", "image/png")["error"]


def test_what_breaks_off_says_so_and_is_a_fault_of_the_version(
    monkeypatch: pytest.MonkeyPatch, counted: list[Call]
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
    answer = ask(max_tokens=6, stream=True)
    assert answer.status == 500, "as a whole, where nothing streams"
    monkeypatch.setattr(streamed, "_streams", True)
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": CHAT, "headers": {}}
    event |= {"body": json.dumps({"model": "tiny", "messages": HI, "stream": True}), "isBase64Encoded": False}
    event["requestContext"]["authorizer"] = caller("infer")
    told: list[bytes] = []
    kept = map(told.append, app.handler(event, None).parts)
    with pytest.raises(BadInput):
        list(kept)
    assert b"no numbers" in told[-1], "also in words"
    assert [type(one.error) for one in counted] == [BadInput, BadInput, BadInput]


def test_a_prompt_s_beginning_is_kept_for_its_caller_and_for_no_other() -> None:
    def cached(token: str) -> int:
        body = {"model": "tiny", "messages": HI, "max_tokens": 1}
        answer = call(app.handler, "POST", CHAT, body, authorizer={"principalId": token})
        return int(answer.json["usage"]["prompt_tokens_details"]["cached_tokens"])

    assert cached("ann") == 0 and cached("ann") > 3
    assert cached("bob") == 0, "time would tell what ann has asked"


def test_time_that_runs_out_ends_a_text_as_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0] * 4 + [0.0] * 100)
    monkeypatch.setattr(engines, "_remaining", lambda: lambda: next(times))
    answer = ask(max_tokens=50)
    assert answer.json["choices"][0]["finish_reason"] == "length" and answer.headers["x-amaas-ended"] == "deadline"
