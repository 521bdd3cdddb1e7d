"""Transfer of files to presigned URLs: whole, or in parts, in parallel. No request here carries the token."""

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

from amaas.api import network, transport
from amaas.api.journal import WHOLE, Journal
from amaas.errors import AmaasError, ApiError, NotConnected

CHUNK = 256 * 1024
PARALLEL = 4
ATTEMPTS = 4
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
TEMPORARY = {408, 409, 429, 500, 502, 503, 504}  # 409: two conditional writes at once; S3 says to retry
Progress = Callable[[int, int], None]
Destination = dict[str, Any]  # as the API answers it: where one file is sent to


@dataclass
class Meter:
    """Adds up the bytes sent, of all parts, and reports them to on_progress(sent, total)."""

    total: int
    on_progress: Progress | None
    sent: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, count: int) -> None:
        if not count:
            return
        with self.lock:
            self.sent += count
            if self.on_progress:
                self.on_progress(self.sent, self.total)


@dataclass(frozen=True)
class Piece:
    """A range of a file, in bytes."""

    path: Path
    start: int
    length: int

    def chunks(self, on_chunk: Callable[[int], None], stop: Event) -> Iterator[bytes]:
        left = self.length
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise AmaasError(f"{self.path} became shorter during the upload: push it again")
                if stop.is_set():
                    raise AmaasError(f"the upload of {self.path} was interrupted")
                left -= len(chunk)
                yield chunk
                on_chunk(len(chunk))


def send(
    destinations: list[Destination],
    package: dict[str, Path],
    on_progress: Progress | None = None,
    journal: Journal | None = None,
) -> None:
    """Send every file to its destination, but for what has arrived already, by the journal. Raises AmaasError.

    Without a journal, a multipart upload that fails or is interrupted is aborted.
    """
    meter = Meter(sum(path.stat().st_size for path in package.values()), on_progress)
    timeout = httpx.Timeout(30, read=300, write=300)
    with network.client(timeout=timeout) as http:
        for destination in destinations:
            name, path = destination["name"], package[destination["name"]]
            size = path.stat().st_size
            if journal and journal.tag(name):
                meter.add(size)
                continue
            sender = Sender(http, meter)
            if "parts" in destination:
                _send_parts(sender, destination, path, journal)
            else:
                sender.put(destination["url"], destination["headers"], Piece(path, 0, size))
            if journal:
                journal.note(name, WHOLE)


def _send_parts(sender: Sender, destination: Destination, path: Path, journal: Journal | None) -> None:
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="part")

    def tag_of(number: int, url: str, piece: Piece) -> str:
        name, part = destination["name"], str(number)
        if journal and (arrived := journal.tag(name, part)):
            sender.meter.add(piece.length)
            return arrived
        tag = sender.put_part(url, piece)
        if journal:
            journal.note(name, tag, part)
        return tag

    try:
        parts = [pool.submit(tag_of, number, *one) for number, one in enumerate(_pieces(destination, path), 1)]
        _complete(sender.http, destination, path, [part.result() for part in parts])
    except BaseException:
        sender.stop.set()
        pool.shutdown(cancel_futures=True)  # an abort frees only the parts that arrived before it
        if journal is None:
            with suppress(httpx.HTTPError):
                sender.http.request(destination["abort"]["method"], destination["abort"]["url"])
        raise
    pool.shutdown()


def _pieces(destination: Destination, path: Path) -> Iterator[tuple[str, Piece]]:
    size, step = path.stat().st_size, destination["part_size"]
    for number, url in enumerate(destination["parts"]):
        yield url, Piece(path, number * step, min(step, size - number * step))


@dataclass(frozen=True)
class Sender:
    """Sends the pieces of one file. stop: ends those in transfer."""

    http: httpx.Client
    meter: Meter
    stop: Event = field(default_factory=Event)

    def put(self, url: str, headers: dict[str, str], piece: Piece) -> httpx.Response:
        """PUT a piece with exactly these headers. Raises ApiError, NotConnected."""
        # Content-Length makes httpx stream without chunked encoding, which S3 refuses
        signed = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        signed["Content-Length"] = str(piece.length)
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                response = self._attempt(url, signed, piece, repeated=attempt > 0)
            except httpx.TransportError as error:
                if last:
                    message = f"storage stopped answering during the upload of {piece.path.name}: {error}"
                    raise NotConnected(message) from error
            else:
                if _arrived(response, repeated=attempt > 0):
                    return response
                if last or not _is_temporary(response):
                    raise ApiError(response.status_code, f"storage refused {piece.path.name}: {_reason(response)}")
            self.stop.wait(transport.backoff(attempt))
        raise AssertionError("the last attempt returns or raises")

    def put_part(self, url: str, piece: Piece) -> str:
        """Returns the part's ETag."""
        tag = self.put(url, {}, piece).headers.get("etag")
        if not tag:
            raise AmaasError(f"storage took a part of {piece.path.name}, but answered no ETag for it: push it again")
        return str(tag)

    def _attempt(self, url: str, headers: dict[str, str], piece: Piece, *, repeated: bool) -> httpx.Response:
        """One attempt; what it sent is not counted if it failed."""
        sent = 0

        def count(length: int) -> None:
            nonlocal sent
            sent += length
            self.meter.add(length)

        try:
            response = self.http.put(url, content=piece.chunks(count, self.stop), headers=headers)
        except httpx.TransportError:
            self.meter.add(-sent)
            raise
        # storage may answer before it has read all of the body
        self.meter.add((piece.length if _arrived(response, repeated) else 0) - sent)
        return response


def _arrived(response: httpx.Response, repeated: bool) -> bool:
    """Also a repeated create-if-absent that meets the object: an earlier attempt arrived, only its answer was lost."""
    return response.is_success or (repeated and response.status_code == 412)


def _is_temporary(response: httpx.Response) -> bool:
    return response.status_code in TEMPORARY or b"<Code>RequestTimeout</Code>" in response.content


def _complete(http: httpx.Client, destination: Destination, path: Path, tags: list[str]) -> None:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{escape(t)}</ETag></Part>" for n, t in enumerate(tags, 1))
    body = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{rows}</CompleteMultipartUpload>'
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            response = http.request(destination["complete"]["method"], destination["complete"]["url"], content=body)
        except httpx.TransportError as error:
            if last:
                message = f"storage stopped answering while it assembled {path.name}: {error}"
                raise NotConnected(message) from error
        else:
            # S3 answers 200 at once, to keep the connection open, and may still say <Error> afterwards
            if response.is_success and b"<Error>" not in response.content:
                return
            if last or (response.is_error and not _is_temporary(response)):
                raise ApiError(response.status_code, f"storage did not assemble {path.name}: {_reason(response)}")
        time.sleep(transport.backoff(attempt))


def _reason(response: httpx.Response) -> str:
    """The message in S3's XML, else the beginning of the body."""
    message = re.search(r"<Message>(.*?)</Message>", response.text, re.DOTALL)
    return f"{response.status_code} {unescape(message[1]) if message else response.text[:200]}"
