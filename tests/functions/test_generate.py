"""Chats, completions and Triton's generate over a tiny model behind the wall: whole, in events, and refused."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from functions.generate import app
from functions.inference import app as inference
from shared.entry import streamed
from shared.entry.streamed import Streamed
from shared.registry.log import Log
from shared.serving import tasks
from shared.serving.models import Models
from shared.serving.observe import Call
from shared.storage.memory import MemoryStore
from tests.decoders import folders
from tests.functions import generating
from tests.functions.generating import (
    CHAT,
    GENERATE,
    HI,
    PERSON,
    TEXT,
    TOOL,
    ask,
    ask_of,
    counted,
    events,
    models,
    pushed,
    text_of,
)
from tests.functions.test_flow import push as upload
from tests.support import call, caller, linear, load_event

__all__ = ["counted", "models", "pushed"]  # fixtures


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


def test_an_answer_is_a_call_or_json_by_the_schema(store: MemoryStore, tmp_path: Path) -> None:
    generating.push(store, folders.write(tmp_path / "long", "llama-optimum", context=2000), "long")
    form = {"type": "json_schema", "json_schema": {"schema": {"enum": ["yes", "no"]}}}
    ask = partial(ask_of, model="long", tools=[TOOL], response_format=form, max_tokens=150, temperature=2)
    ended = Counter[str]()
    for seed in range(12):
        [choice] = ask(seed=seed).json["choices"]
        ended[choice["finish_reason"]] += 1
        parts = [part["choices"][0]["delta"] for part in events(ask(seed=seed, stream=True))]
        told = "".join(delta.get("content") or "" for delta in parts)
        assert told == (choice["message"]["content"] or "")
        if choice["finish_reason"] == "tool_calls":
            assert not told and choice["message"]["tool_calls"][0]["function"]["name"] == "look"
        elif choice["finish_reason"] == "stop":
            assert told in ('"yes"', '"no"') and "tool_calls" not in choice["message"]
    assert ended["tool_calls"] and ended["stop"], ended


def test_whole_numbers_may_come_as_floats() -> None:
    whole = {"max_tokens": 3.0, "n": 1.0, "seed": 5.0, "top_k": 4.0, "temperature": 1}
    assert text_of(ask(**whole)) == text_of(ask(max_tokens=3, n=1, seed=5, top_k=4, temperature=1))
    tokens = ask(TEXT, prompt=[5.0, 6.0], max_tokens=2.0)
    assert tokens.json["usage"]["prompt_tokens"] == 2 and tokens.json["usage"]["completion_tokens"] == 2
    generated = ask_of(GENERATE, text_input="x", parameters={"max_tokens": 2.0, "seed": 1.0})
    assert generated.status == 200, generated.json
    refused = ask_of(GENERATE, text_input="x", parameters={"max_tokens": 2.5})
    assert refused.status == 400 and "max_tokens" in refused.json["error"]


def test_models_are_listed_and_unknown_ones_are_not_found() -> None:
    listing = call(app.handler, "GET", "/v1/models").json
    assert [one["id"] for one in listing["data"]] == ["tiny"]
    assert call(app.handler, "GET", "/v1/models/tiny").json["id"] == "tiny"
    assert call(app.handler, "GET", "/v1/models", scopes="infer:other*").json["data"] == []
    assert ask(model="nobody").status == call(app.handler, "GET", "/v1/models/nobody").status == 404
    assert ask(model="tiny@2").status == 404 and ask(model="tiny@1", max_tokens=1).status == 200
    assert ask(model="tiny@production", max_tokens=1).status == 200


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


def test_a_prompt_s_beginning_is_kept_for_its_caller_and_for_no_other() -> None:
    def cached(token: str) -> int:
        body = {"model": "tiny", "messages": HI, "max_tokens": 1}
        answer = call(app.handler, "POST", CHAT, body, authorizer={"principalId": token})
        return int(answer.json["usage"]["prompt_tokens_details"]["cached_tokens"])

    assert cached("ann") == 0 and cached("ann") > 3
    assert cached("bob") == 0, "time would tell what ann has asked"


def test_batch_jobs_serve_models_of_both_kinds(store: MemoryStore) -> None:
    upload(store, "plain", {"model.onnx": linear([[1.0], [0.0]])})
    both = Models(Log(store), ttl=0, capacity=10**9, generates=None)
    body = json.dumps({"input": "hi", "parameters": {"max_tokens": 3}}).encode()
    answer = tasks.predict(both.load("tiny", None), body, "application/json", {})
    assert (answer["model"], len(answer["text"])) == ("tiny", 3)
    tensors = json.dumps({"inputs": {"x": [[1.0, 2.0]]}}).encode()
    assert tasks.predict(both.load("plain", None), tensors, "application/json", {})["outputs"]


def test_readiness_of_a_model_that_another_function_serves() -> None:
    answer = call(inference.handler, "GET", "/v2/models/tiny/ready")
    assert (answer.status, answer.json) == (200, {"name": "tiny", "ready": True})
    assert call(inference.handler, "GET", "/v2/models/tiny").json["inputs"][0]["name"] == "text_input"


def test_models_make_room_on_the_disk_for_the_next_one(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generating.tiny(store, tmp_path, "second")
    assert ask(max_tokens=1).status == 200
    kept = app.models()._kept
    monkeypatch.setattr(app.models().sources, "has_room", lambda size: False)
    assert ask(model="second", max_tokens=1).status == 200
    assert [entry.manifest.name for entry in kept.entries()] == ["second"]
    assert ask(max_tokens=1).status == 200, "it is loaded again"
