"""Work after the answer, in Lambda: this process as an internal extension of its own function.

Lambda freezes a process as soon as its answer is out, unless an extension is still at work; the caller has the answer
by then. The extension's interface is plain HTTP on the address that Lambda gives (Extensions API, 2020-01-01); spoken
here with a socket, since importing http.client takes 25 ms of each cold start.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

NAME = "amaas-after"
API = "/2020-01-01/extension"


class AfterAnswer:
    """Calls `work` with the seconds that are left, after each answer and before the process is frozen."""

    def __init__(self, work: Callable[[float], None], address: str) -> None:
        self._work = work
        self._address = address
        self._answered: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._identifier = self._register()
        threading.Thread(target=self._run, name=NAME, daemon=True).start()

    def answered(self) -> None:
        """To be called once per call, when its answer is made."""
        self._answered.put(None)

    def at_end(self, work: Callable[[], None]) -> None:
        """Have `work` done when Lambda ends the process, which it kills 0.5 s after SIGTERM. For the main thread."""

        def end(number: int, frame: object) -> None:
            # in a thread: the main one may be interrupted where it holds a lock that the work needs
            threading.Thread(target=self._end, args=(work, number)).start()

        signal.signal(signal.SIGTERM, end)

    @staticmethod
    def _end(work: Callable[[], None], number: int) -> None:
        try:
            work()
        except Exception as error:
            logger.error("lost at the end", extra={"why": f"{type(error).__name__}: {error}"[:300]})
        finally:
            os._exit(128 + number)

    def _register(self) -> str:
        """Raises OSError when Lambda does not take extensions: it does so only while a function starts."""
        headers, _ = self._ask("POST", "register", f"Lambda-Extension-Name: {NAME}", b'{"events": ["INVOKE"]}')
        return headers["lambda-extension-identifier"]

    def _ask(self, method: str, path: str, header: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
        """One request: the answer's headers, with names in lower case, and its body. Raises OSError."""
        host, _, port = self._address.partition(":")
        head = [
            f"{method} {API}/{path} HTTP/1.0",
            f"Host: {self._address}",
            header,
            f"Content-Length: {len(body)}",
            "",
            "",
        ]
        with socket.create_connection((host, int(port or 80))) as connection:
            connection.sendall("\r\n".join(head).encode() + body)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        status, *lines = said.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        if " 200" not in status:
            raise OSError(f"Lambda does not take the extension: {said[:300]!r}")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return headers, said.partition(b"\r\n\r\n")[2]

    def _run(self) -> None:
        identity = f"Lambda-Extension-Identifier: {self._identifier}"
        while True:
            try:
                event = json.loads(self._ask("GET", "event/next", identity)[1])
            except (OSError, ValueError) as error:
                logger.error("no work is done after answers any more", extra={"why": str(error)})
                return
            until = event["deadlineMs"] / 1000
            try:
                self._answered.get(timeout=max(until - time.time(), 0))
            except queue.Empty:  # the function is out of time, too
                continue
            self._work(until - time.time())


def begin(work: Callable[[float], None]) -> AfterAnswer | None:
    """Register, where this is Lambda; None elsewhere, and where Lambda does not take extensions (a warning says so)."""
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if address is None or os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        return None
    try:
        return AfterAnswer(work, address)
    except (OSError, KeyError) as error:
        logger.warning("no work is done after answers", extra={"why": str(error)})
        return None
