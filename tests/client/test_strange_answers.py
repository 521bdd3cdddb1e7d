"""What a client meets that no service of ours sends, and what its caller should not have done: one error, of ours."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from amaas import AmaasError, ApiError, AsyncClient, Client, NotConnected, Rejected

from tests.client.gateway import Service, Trouble

TOKEN = "amaas_aaaaaaaaaaaa_secret"
CALLS: dict[str, Callable[[Client], Any]] = {
    "a list": lambda client: client.list_models(),
    "a model": lambda client: client.get_model("m"),
    "a prediction": lambda client: client.predict("m", "a text"),
    "a change": lambda client: client.promote("m", 1),
    "whether it is up": lambda client: client.status(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"', b"[" * 100_000], ids=lambda body: str(body[:6]))
def test_json_of_another_shape(client: Client, service: Service, call: str, body: bytes) -> None:
    service.trouble = [Trouble("", "", 200, body, times=99)]
    with pytest.raises(NotConnected, match="answers, but not as Amaas does: is the address right"):
        CALLS[call](client)


@pytest.mark.parametrize("call", ["a list", "whether it is up"])
@pytest.mark.parametrize("body", [b"{}", b"", b'{"models": null}', b'{"models": {}}'])
def test_an_object_of_other_members(client: Client, service: Service, call: str, body: bytes) -> None:
    service.trouble = [Trouble("", "", 200, body, times=99)]
    with pytest.raises(NotConnected, match="answers, but not as Amaas does"):
        CALLS[call](client)


@pytest.mark.parametrize(
    "body", [b'{"error": null}', b'{"error": ""}', b'{"error": {"x": 1}}', b"[" * 100_000, b"\xff"]
)
def test_an_error_without_a_word(client: Client, service: Service, body: bytes) -> None:
    service.trouble = [Trouble("", "", 400, body, times=99)]
    with pytest.raises(ApiError, match=r"answered 400: .*; is the address right\?"):
        client.get_model("m")


def test_a_redirection_is_not_followed_and_says_where_to(client: Client, service: Service) -> None:
    service.trouble = [Trouble("", "", 301, b"", {"Location": "https://other.example/v1"}, times=9)]
    with pytest.raises(ApiError, match=r"answered 301, and sends to 'https://other\.example/v1': is that the address"):
        client.get_model("m")


@pytest.fixture
def drop_by_drop() -> Iterator[str]:
    """The address of a service whose answer never ends: each byte of it comes in time."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                    for _ in range(40):
                        time.sleep(0.1)
                        connection.sendall(b" ")

    Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


def test_a_time_out_is_of_the_whole_answer(drop_by_drop: str) -> None:
    start = time.monotonic()
    with Client(drop_by_drop, TOKEN, timeout=0.4) as client, pytest.raises(NotConnected, match="took too long"):
        client.get_model("m")
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True, 1e9])
def test_a_time_out_that_is_none(timeout: Any) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(AmaasError, match="give seconds, more than 0"):
            kind("http://host", TOKEN, timeout=timeout)


@pytest.mark.parametrize("value", ["ü", "a\nb", " a", "a\x00", 5])
def test_what_no_header_can_have(client: Client, service: Service, value: Any) -> None:
    with pytest.raises(AmaasError, match="cannot be sent as the header x-request-key: give a text of ASCII"):
        client.predict("m", "a text", key=value)
    assert not service.calls


@pytest.mark.parametrize("name", ["a/b", "../x", "/"])
def test_a_name_with_a_slash_is_no_path(client: Client, service: Service, name: str) -> None:
    with pytest.raises(AmaasError, match="is not a model name: names have no /"):
        client.get_model(name)
    assert not service.calls


def test_a_client_that_is_closed(service: Service) -> None:
    client = Client(service.api_url, TOKEN)
    client.close()
    with pytest.raises(AmaasError, match="the client is closed: make another"):
        client.get_model("m")

    async def late() -> None:
        async with AsyncClient(service.api_url, TOKEN) as closed:
            pass
        await closed.get_model("m")

    with pytest.raises(AmaasError, match="the client is closed: make another"):
        asyncio.run(late())


def test_errors_go_from_process_to_process() -> None:
    refused = pickle.loads(pickle.dumps(ApiError(404, "there is no model", code="not_found", request_id="r")))
    assert (str(refused), refused.status, refused.code, refused.request_id) == (
        "there is no model",
        404,
        "not_found",
        "r",
    )
    rejected = copy.deepcopy(Rejected({"reason": "no model", "code": "not_onnx"}))
    assert (str(rejected), rejected.code, rejected.upload["code"]) == ("no model", "not_onnx", "not_onnx")
    assert str(pickle.loads(pickle.dumps(NotConnected("no address")))) == "no address"


def test_a_client_does_not_and_says_so() -> None:
    for send in (pickle.dumps, copy.deepcopy):
        with (
            Client("http://host", TOKEN) as client,
            pytest.raises(TypeError, match="a Client cannot be copied or sent"),
        ):
            send(client)
