"""/predict of a model that generates text: inference passes it on, and answers as the other function did."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from functions.inference import app as inference
from shared.config import Config
from shared.entry import forward
from tests.functions.generating import app, models, pushed
from tests.support import Answer, call

__all__ = ["models", "pushed"]  # fixtures


class Lambda:
    """Lambda's client, which calls the handler in this process. answer: what is returned instead."""

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.names: list[str] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:
        self.names.append(FunctionName)
        if self.answer is None:
            return {"Payload": io.BytesIO(json.dumps(app.handler(json.loads(Payload), None)).encode())}
        return {"Payload": io.BytesIO(self.answer)}


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    remote = Lambda()
    monkeypatch.setattr(forward, "_client", lambda endpoint_url: remote)
    monkeypatch.setattr(inference, "config", lambda: Config(bucket="amaas", generate_function="the-other"))
    return remote


def predict(body: Any = None, **more: Any) -> Answer:
    asked = {"input": "hi", "parameters": {"max_tokens": 3}} if body is None else body
    return call(inference.handler, "POST", "/models/tiny/predict", asked, **more)


def test_the_answer_is_the_other_function_s(remote: Lambda) -> None:
    answer = predict()
    assert answer.status == 200 and len(answer.json["text"]) == 3 and answer.headers["x-amaas-version"] == "1"
    assert remote.names == ["the-other"]


def test_so_is_a_refusal(remote: Lambda) -> None:
    assert predict({"input": 7}).status == 400
    long = predict({"input": "x" * 500})
    assert long.status == 413 and "128 with its answer" in long.json["error"]
    assert predict(scopes="infer:other").status == 403 and len(remote.names) == 2, "who may not call, calls nothing"


@pytest.mark.parametrize("answer", [b"", b"null", b'{"errorMessage": "Task timed out"}', b"no JSON"])
def test_a_function_that_gives_no_answer_is_503(remote: Lambda, answer: bytes) -> None:
    remote.answer = answer
    refused = predict()
    assert refused.status == 503 and "try again" in refused.json["error"]


def test_where_there_is_no_other_function_the_routes_are_named(remote: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "config", lambda: Config(bucket="amaas"))
    refused = predict()
    assert refused.status == 400 and "/v1/chat/completions" in refused.json["error"] and not remote.names
