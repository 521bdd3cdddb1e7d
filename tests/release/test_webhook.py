"""The signed POST, against real servers on this machine: those that answer, refuse, hang, drip and redirect."""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from shared.errors import BadInput, Unavailable
from shared.release import webhook

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BODY = b'{"id":"m/7"}'
Behave = Callable[[socket.socket, threading.Event], None]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.4)
    monkeypatch.setattr(webhook, "PAUSE", 0.001)


class Received(list[bytes]):
    """What the server was sent, one item for each connection."""


@contextmanager
def serving(*behaviors: Behave) -> Iterator[tuple[str, Received]]:
    """A server that treats its first connections so, and all others as the last of them."""
    received, over = Received(), threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def handle(client: socket.socket, behave: Behave) -> None:
            with client:
                received.append(read_all(client))
                behave(client, over)

        def accept() -> None:
            for number in range(100):
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                behave = behaviors[min(number, len(behaviors) - 1)]
                threading.Thread(target=handle, args=(client, behave), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook?team=a", received
        over.set()
        server.shutdown(socket.SHUT_RDWR)


def read_all(client: socket.socket) -> bytes:
    text = b""
    while BODY not in text:
        part = client.recv(4096)
        if not part:
            break
        text += part
    return text


def answers(reply: bytes) -> Behave:
    return lambda client, over: client.sendall(reply)


def hangs(client: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def drips(client: socket.socket, over: threading.Event) -> None:
    """A header without end, a byte at a time: no single read waits for long."""
    client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    with suppress(OSError):  # until the other side ends it
        while not over.wait(0.02):
            client.sendall(b"x")


def test_it_is_signed_over_time_and_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook.time, "time", lambda: 1795888000.9)
    with serving(answers(OK)) as (url, received):
        webhook.send(url, "secret", BODY)
    (request,) = received
    assert request.startswith(b"POST /hook?team=a HTTP/1.1\r\n") and request.endswith(BODY)
    expected = hmac.new(b"secret", b"1795888000." + BODY, "sha256").hexdigest()
    assert f"X-Amaas-Signature: t=1795888000,v1={expected}\r\n".encode() in request
    assert b"secret" not in request


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (hangs, "did not answer within 0.4 s, 3 times"),
        (drips, "did not answer within 0.4 s"),
        (answers(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "answered 500"),
        (answers(b"not http\r\n\r\n"), "could not be reached"),
        (answers(b""), "could not be reached"),
    ],
    ids=["hangs", "drips", "fails", "no HTTP", "hangs up"],
)
def test_whatever_it_does_it_ends(behave: Behave, words: str) -> None:
    with serving(behave) as (url, received):
        with pytest.raises(Unavailable, match=words):
            webhook.send(url, "secret", BODY)
        assert len(received) == webhook.ATTEMPTS


def test_a_failure_that_passes_is_none() -> None:
    with serving(answers(b"HTTP/1.1 503 Later\r\n\r\n"), answers(OK)) as (url, received):
        webhook.send(url, "secret", BODY)
    assert len(received) == 2


def test_redirects_are_not_followed() -> None:
    """Another address might be one that only this function can reach."""
    with serving(answers(OK)) as (elsewhere, unasked):
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(answers(moved)) as (url, _), pytest.raises(Unavailable, match="answered 307"):
            webhook.send(url, "secret", BODY)
    assert unasked == []


def test_nobody_listens() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match=r"could not be reached \(ConnectionRefusedError\)"):
        webhook.send(f"http://127.0.0.1:{port}/", "secret", BODY)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "http://10.0.0.1/",
        "http://127.0.0.1.example.com/",
        "https://ann:word@example.com/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "",
        "example.com",
    ],
)
def test_addresses_that_nothing_is_sent_to(url: str) -> None:
    with pytest.raises(BadInput, match="https://"):
        webhook.send(url, "secret", BODY)


@pytest.mark.parametrize("url", ["https://example.com/x", "http://localhost:8080/", "http://[::1]/"])
def test_addresses_that_something_may_be_sent_to(url: str) -> None:
    assert webhook.check(url).hostname
