"""Our registry under load: one subject per way to it, which all do the same to the same models.

Models: model-00000 and so on, with two versions each, `production` at version 1; and `hot`, which all clients share.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Protocol

from bench import gateway
from bench.http_client import Connection
from bench.load import Client, Turn, turn
from shared.registry.log import Log

# asks by method, URL and body; answers with a status and a body
Ask = Callable[[str, str, bytes], tuple[int, bytes]]
# a new client: how it asks, and how it ends
Connect = Callable[[], tuple[Ask, Callable[[], None]]]


class Subject(Protocol):
    """One way to a registry."""

    def seed(self, models: list[str]) -> None:
        """Make the models, with two versions each."""
        ...

    def turn(self, operation: str, names: list[str], number: int, seconds: float, most: int) -> Turn:
        """Have `number` clients do an operation. names: each client's model; of `get`, all models to ask for."""
        ...

    def cpu(self) -> float:
        """Seconds used so far by whatever does the work; the clients of HTTP servers are left out."""
        ...


class Calls:
    """A registry that is asked by method, path and body: the clients of a turn, and how they ask."""

    def __init__(self, connect: Connect, cpu: Callable[[], float]) -> None:
        self.connect, self.cpu, self.moves = connect, cpu, dict[str, int]()

    def turn(self, operation: str, names: list[str], number: int, seconds: float, most: int) -> Turn:
        connections = [self.connect() for _ in range(number)]
        try:
            made = [getattr(self, operation)(ask, names, n) for n, (ask, _) in enumerate(connections)]
            return turn(made, seconds, most)
        finally:
            for _, close in connections:
                close()

    def next(self, name: str) -> int:
        """The version that an alias does not name now: 2, 1, 2 and so on, as every alias starts at 1."""
        self.moves[name] = self.moves.get(name, 0) + 1
        return 1 + self.moves[name] % 2


class Amaas(Calls):
    """Our registry function, asked in the way that `connect` says."""

    def seed(self, models: list[str]) -> None:
        ask, close = self.connect()
        for model in models:
            for n in range(2):
                self.register(ask, [model], 0)(n)
        close()

    def register(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: fine(ask("POST", f"/models/{names[number]}/versions", version()))

    def move(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: self._point(ask, names[number], "production")

    def contend(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: self._point(ask, names[0], f"client-{number}")

    def get(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: fine(ask("GET", f"/models/{names[n % len(names)]}/versions/production", b""))

    def page(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: fine(ask("GET", "/models?limit=100", b""))

    def _point(self, ask: Ask, name: str, alias: str) -> None:
        body = b'{"version":%d}' % self.next(f"{name}/{alias}")
        fine(ask("PUT", f"/models/{name}/aliases/{alias}", body))


def in_process(log: Log) -> Connect:
    """Calls of the handlers in this process."""

    def connect() -> tuple[Ask, Callable[[], None]]:
        gateway.use(log)
        return lambda method, url, body: gateway.answer(gateway.event(method, url, body)), lambda: None

    return connect


def keep_alive(port: int) -> Connect:
    """Calls over HTTP; one connection per client, opened before the turn."""

    def connect() -> tuple[Ask, Callable[[], None]]:
        connection = Connection(port)
        return connection.ask, connection.close

    return connect


def version() -> bytes:
    """What the ingest function would commit for a new upload."""
    upload = f"{int(time.time() * 1000):011x}-{secrets.token_hex(8)}"
    made = {"version": 0, "task": "tensor", "manifest": gateway.MANIFEST_DIGEST, "source": "1" * 64}
    return json.dumps(made | {"model": "2" * 64, "size": 1_000_000, "upload": upload}).encode()


def fine(answer: tuple[int, bytes]) -> None:
    """Raises RuntimeError for an answer that is no success."""
    if answer[0] not in (200, 201):
        raise RuntimeError(f"{answer[0]}: {answer[1][:200].decode(errors='replace')}")
