"""The gateway's own answers, as the template has them, before clients of both forms of errors, unmodified.

One form has to do for every path: a gateway response knows no conditions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
import tritonclient.http as triton

from tests.cloud.template import deployed, region

__all__ = ["region"]  # a fixture

# by the status of the answer, OpenAI's class
CLASSES: dict[str, type[openai.APIStatusError]] = {
    "UNAUTHORIZED": openai.AuthenticationError,
    "ACCESS_DENIED": openai.PermissionDeniedError,
    "INVALID_API_KEY": openai.PermissionDeniedError,
    "MISSING_AUTHENTICATION_TOKEN": openai.NotFoundError,
    "THROTTLED": openai.RateLimitError,
    "QUOTA_EXCEEDED": openai.RateLimitError,
    "AUTHORIZER_FAILURE": openai.InternalServerError,
    "INTEGRATION_TIMEOUT": openai.InternalServerError,
}


def answers() -> dict[str, Any]:
    found: dict[str, Any] = deployed()["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    return found


@contextmanager
def answering(answer: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives a gateway response to every call. Gives its address, and the paths that were called."""
    paths: list[str] = []
    body = answer["responseTemplates"]["application/json"].encode()
    given = answer.get("responseParameters", {})
    fixed = {name: value for name, value in given.items() if isinstance(value, str)}  # not those of CorsOrigins
    headers = {name.removeprefix("gatewayresponse.header."): value.strip("'") for name, value in fixed.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            paths.append(self.path)
            self.send_response(int(answer["statusCode"]))
            sized = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
            for name, value in {**headers, **sized}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *arguments: Any) -> None:
            pass  # nothing on the tests' terminal

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()
            thread.join()


def chat(address: str, retries: int = 0, stream: bool = False) -> Any:
    with openai.OpenAI(base_url=f"http://{address}/v1", api_key="x", max_retries=retries) as client:
        messages: Any = [{"role": "user", "content": "hi"}]
        return client.chat.completions.create(model="m", messages=messages, stream=stream)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_raises_its_class_with_the_sentence_as_its_body(kind: str, stream: bool) -> None:
    answer = answers()[kind]
    sentence = json.loads(answer["responseTemplates"]["application/json"])["error"]
    with answering(answer) as (address, _), pytest.raises(CLASSES[kind]) as told:
        chat(address, stream=stream)
    assert told.value.status_code == int(answer["statusCode"])
    assert told.value.body == sentence
    assert (told.value.code, told.value.type, told.value.param) == (None, None, None)


@pytest.mark.parametrize("kind", CLASSES)
def test_clients_of_the_open_protocol_show_the_sentence(kind: str) -> None:
    answer = answers()[kind]
    sentence = json.loads(answer["responseTemplates"]["application/json"])["error"]
    with (
        answering(answer) as (address, _),
        triton.InferenceServerClient(address) as client,
        pytest.raises(triton.InferenceServerException) as told,
    ):
        client.get_model_metadata("m")
    assert str(told.value) == f"[{answer['statusCode']}] {sentence}"


def test_of_openais_form_they_would_show_nothing() -> None:
    """Why there is one form, and not the other: an object in its place is a TypeError where the error is shown."""
    answer = answers()["UNAUTHORIZED"]
    changed = json.dumps({"error": {"message": "no", "type": "authentication_error", "param": None, "code": None}})
    with answering({**answer, "responseTemplates": {"application/json": changed}}) as (address, _):
        with triton.InferenceServerClient(address) as client, pytest.raises(triton.InferenceServerException) as told:
            client.get_model_metadata("m")
        with pytest.raises(TypeError):
            str(told.value)
        with pytest.raises(openai.AuthenticationError, match="Error code: 401 - no"):
            chat(address)


def test_openais_client_waits_as_long_as_the_gateway_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", waits.append)
    with answering(answers()["THROTTLED"]) as (address, paths), pytest.raises(openai.RateLimitError):
        chat(address, retries=2)
    assert paths == ["/v1/chat/completions"] * 3 and waits == [1.0, 1.0]
