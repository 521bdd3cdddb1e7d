"""Sending files to presigned URLs: whole, or in parts that go in parallel. No call here carries the token."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any
from xml.sax.saxutils import escape, unescape

import httpx

from amaas.api import transport
from amaas.errors import AmaasError, ApiError, NotConnected

CHUNK = 256 * 1024
PARALLEL = 4
ATTEMPTS = 4
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PASSING = {408, 409, 429, 500, 502, 503, 504}  # 409: two conditional writes at once; S3 asks to come again
Progress = Callable[[int, int], None]


@dataclass
class Meter:
    """Adds up the bytes that went out, of all parts, and tells on_progress(sent, total)."""

    total: int
    report: Progress | None
    sent: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, count: int) -> None:
        if not count:
            return
        with self.lock:
            self.sent += count
            if self.report:
                self.report(self.sent, self.total)


@dataclass(frozen=True)
class Piece:
    """A stretch of a file, in bytes."""

    path: Path
    start: int
    length: int

    def chunks(self, sent: Callable[[int], None], stop: Event) -> Iterator[bytes]:
        left = self.length
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise AmaasError(f"{self.path} became shorter while it was sent: send it again")
                if stop.is_set():
                    raise AmaasError(f"sending {self.path} was interrupted")
                left -= len(chunk)
                yield chunk
                sent(len(chunk))


def send(targets: list[dict[str, Any]], package: dict[str, Path], on_progress: Progress | None = None) -> None:
    """Bring every file to its target. Raises AmaasError; a multipart upload that fails or is interrupted is aborted."""
    meter = Meter(sum(path.stat().st_size for path in package.values()), on_progress)
    timeout = httpx.Timeout(30, read=300, write=300)
    with httpx.Client(timeout=timeout, verify=transport.certificates()) as http:
        for target in targets:
            path = package[target["name"]]
            if "parts" in target:
                _in_parts(http, target, path, meter)
            else:
                _put(http, target["url"], target["headers"], Piece(path, 0, path.stat().st_size), meter, Event())


def _in_parts(http: httpx.Client, target: dict[str, Any], path: Path, meter: Meter) -> None:
    stop = Event()
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="part")
    try:
        sent = [pool.submit(_part, http, url, piece, meter, stop) for url, piece in _pieces(target, path)]
        _complete(http, target, path, [part.result() for part in sent])
    except BaseException:
        stop.set()
        pool.shutdown(cancel_futures=True)  # an abort frees only the parts that arrived before it
        with suppress(httpx.HTTPError):
            http.request(target["abort"]["method"], target["abort"]["url"])
        raise
    pool.shutdown()


def _pieces(target: dict[str, Any], path: Path) -> Iterator[tuple[str, Piece]]:
    size, step = path.stat().st_size, target["part_size"]
    for number, url in enumerate(target["parts"]):
        yield url, Piece(path, number * step, min(step, size - number * step))


def _part(http: httpx.Client, url: str, piece: Piece, meter: Meter, stop: Event) -> str:
    tag = _put(http, url, {}, piece, meter, stop).headers.get("etag")
    if not tag:
        raise AmaasError(f"storage took a part of {piece.path.name}, but gave no ETag for it: try again")
    return str(tag)


def _put(
    http: httpx.Client, url: str, headers: dict[str, str], piece: Piece, meter: Meter, stop: Event
) -> httpx.Response:
    """PUT a piece with exactly these headers. Raises ApiError, NotConnected."""
    # Content-Length makes httpx stream without chunked encoding, which S3 refuses
    given = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    given["Content-Length"] = str(piece.length)
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            answer = _once(http, url, given, piece, meter, stop, repeated=attempt > 0)
        except httpx.TransportError as error:
            if last:
                raise NotConnected(f"storage stopped answering while {piece.path.name} was sent: {error}") from error
        else:
            if answer.is_success or _landed(answer, attempt > 0):
                return answer
            if last or not _passing(answer):
                raise ApiError(answer.status_code, f"storage did not take {piece.path.name}: {_said(answer)}")
        stop.wait(transport.backoff(attempt))
    raise AssertionError("the last attempt returns or raises")


def _once(
    http: httpx.Client,
    url: str,
    headers: dict[str, str],
    piece: Piece,
    meter: Meter,
    stop: Event,
    *,
    repeated: bool,
) -> httpx.Response:
    """One attempt; what it sent does not count when it came to nothing."""
    sent = 0

    def told(count: int) -> None:
        nonlocal sent
        sent += count
        meter.add(count)

    try:
        answer = http.put(url, content=piece.chunks(told, stop), headers=headers)
    except httpx.TransportError:
        meter.add(-sent)
        raise
    # storage may answer before it took in all of the body
    meter.add((piece.length if answer.is_success or _landed(answer, repeated) else 0) - sent)
    return answer


def _landed(answer: httpx.Response, repeated: bool) -> bool:
    """A repeated create-if-absent that finds the object: the earlier attempt arrived, only its answer got lost."""
    return repeated and answer.status_code == 412


def _passing(answer: httpx.Response) -> bool:
    return answer.status_code in PASSING or b"<Code>RequestTimeout</Code>" in answer.content


def _complete(http: httpx.Client, target: dict[str, Any], path: Path, tags: list[str]) -> None:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{escape(t)}</ETag></Part>" for n, t in enumerate(tags, 1))
    body = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{rows}</CompleteMultipartUpload>'
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            answer = http.request(target["complete"]["method"], target["complete"]["url"], content=body)
        except httpx.TransportError as error:
            if last:
                raise NotConnected(f"storage stopped answering while it put {path.name} together: {error}") from error
        else:
            # S3 answers 200 at once, to keep the connection open, and may still say <Error> afterwards
            failed = answer.is_error or b"<Error>" in answer.content
            if not failed:
                return
            if last or (answer.is_error and not _passing(answer)):
                raise ApiError(answer.status_code, f"storage did not put {path.name} together: {_said(answer)}")
        time.sleep(transport.backoff(attempt))


def _said(answer: httpx.Response) -> str:
    """The message in S3's XML, else the answer's beginning."""
    found = re.search(r"<Message>(.*?)</Message>", answer.text, re.DOTALL)
    return f"{answer.status_code} {unescape(found[1]) if found else answer.text[:200]}"
