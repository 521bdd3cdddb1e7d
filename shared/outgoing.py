"""HTTP to servers of others, bounded in time, whatever they do: an issuer of JWTs, an operator's webhook."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import TypeVar

Result = TypeVar("Result")


def connection(host: str, port: int | None, seconds: float, *, secure: bool) -> HTTPConnection:
    """Not connected yet. port: None for the usual one. seconds: of each wait for the socket."""
    return (HTTPSConnection if secure else HTTPConnection)(host, port, timeout=seconds)


def within(seconds: float, opened: HTTPConnection, work: Callable[[HTTPConnection], Result]) -> Result:
    """What `work` makes of a connection, which is closed afterwards. Raises TimeoutError, and what `work` raises.

    In a thread, as neither a name that is looked up nor a server that sends a line of its headers now and then ends by
    a socket's timeout.
    """
    results: list[Result] = []
    problems: list[Exception] = []

    def run() -> None:
        try:
            results.append(work(opened))
        except Exception as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    is_late = thread.is_alive()  # before the end, which Python's client takes for the end of the headers
    _end(opened)
    if is_late:
        raise TimeoutError
    if problems:
        raise problems[0]
    return results[0]


def _end(opened: HTTPConnection) -> None:
    """Close it, also while the thread waits for the next byte."""
    held = opened.sock
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
    opened.close()
