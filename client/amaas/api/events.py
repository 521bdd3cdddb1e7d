"""Server-sent events of a response, read as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx

from amaas.errors import AmaasError, NotConnected

KIND = "text/event-stream"
DONE = b"[DONE]"
LONGEST = 4 << 20  # bytes of an event


class Events:
    """The JSON of each event, until the service says that there are no more. Closing it ends the work behind it.

    The iterator raises AmaasError for an answer that the service breaks off, or that is cut on its way.
    """

    def __init__(self, response: httpx.Response) -> None:
        """response: open, and successful. Raises NotConnected where it is no stream of events."""
        self._response = response
        if response.headers.get("content-type", "").split(";")[0].strip() != KIND:
            response.close()
            raise NotConnected(f"{response.url} answers, but not with events as Amaas does: is the address right?")
        self._events = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            for data in _data(self._response.iter_bytes()):
                if data == DONE:
                    return
                yield _content(data)
        except (httpx.TransportError, httpx.StreamClosed) as error:
            raise AmaasError(f"the answer broke off ({error}): try again") from error
        finally:
            self.close()
        raise AmaasError("the answer broke off before its end: try again")


def _data(parts: Iterator[bytes]) -> Iterator[bytes]:
    """What each event carries. Lines end at line feeds only: texts have other characters that Python splits at."""
    rest, lines = b"", list[bytes]()
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                lines.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and lines:
                yield b"\n".join(lines)
                lines = []
        if len(rest) + sum(map(len, lines)) > LONGEST:
            raise AmaasError(f"the service sent an event of more than {LONGEST >> 20} MiB")


def _content(data: bytes) -> dict[str, Any]:
    """Raises AmaasError for an event that is an error, or that is none of ours."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AmaasError(f"the service sent an event that is not JSON: {data[:100]!r}") from error
    if not isinstance(content, dict):
        raise AmaasError(f"the service sent an event that is no object: {data[:100]!r}")
    if "error" in content:
        failure = content["error"]
        message = failure.get("message", failure) if isinstance(failure, dict) else failure
        raise AmaasError(f"the answer broke off: {message}")
    return content
