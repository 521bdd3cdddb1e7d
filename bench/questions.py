"""The operations whose requests are counted, each as it would be the first thing that a function is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from bench import gateway, subjects
from bench.counting import CountingStore
from bench.worlds import BENCH, RARE, World, version
from shared import keys
from shared.registry import catalogue, versions
from shared.registry.log import SNAPSHOT, Log
from shared.registry.state import PRODUCTION
from shared.serving.cache import Models

# as many transitions as there are between two compactions on average, and the models that they were of
MARKS, CHANGED = 16, 10
Call = Callable[[], Any]


class Probe:
    """One world, asked through a store that counts; what only prepares or cleans up goes past it."""

    def __init__(self, world: World, store: CountingStore) -> None:
        self.store, self.model = store, world.model
        self.behind = Log(world.store)
        self.undo: list[Call] = []

    def clean(self) -> None:
        self.store.before = lambda kind, key: None
        while self.undo:
            self.undo.pop()()

    def models(self, ttl: float = 0) -> Models:
        """What an instance of the inference function keeps."""
        return Models(Log(self.store), ttl=ttl, capacity=10**9)

    def ask(self, method: str, url: str, body: bytes = b"", expect: bytes = b"") -> Call:
        """A call of the registry function. It never compacts by chance: that is an operation of its own."""
        gateway.use(Log(self.store))
        event = gateway.event(method, url.replace("MODEL", self.model), body)

        def call() -> None:
            answer = gateway.answer(event)
            subjects.fine(answer)
            if expect not in answer[1]:
                raise RuntimeError(f"{url} answered without {expect!r}: {answer[1][:300]!r}")

        return call

    def revision(self) -> int:
        return self.behind.read(self.model).revision

    def lose(self, key: str) -> None:
        """Remove an object, until the call has been made."""
        body = self.behind.store.get(key).body
        self.behind.store.delete(key)
        self.undo.append(lambda: self.behind.store.put(key, body))


@dataclass(frozen=True)
class Operation:
    """prepare: makes the call to count. writes: it is a transition. grows: with what, where that is by design.

    allowed: requests more that it may take in a long history, which do not depend on how long.
    """

    title: str
    prepare: Callable[[Probe], Call]
    writes: bool = False
    grows: str = ""
    allowed: int = 0
    on_s3: bool = True


def cold(reference: str | None) -> Callable[[Probe], Call]:
    def prepare(probe: Probe) -> Call:
        models = probe.models()
        wanted = reference if reference != "latest" else str(probe.behind.read(probe.model).latest)
        return lambda: models.resolve(probe.model, wanted)

    return prepare


def warm(ttl: float) -> Callable[[Probe], Call]:
    def prepare(probe: Probe) -> Call:
        models = probe.models(ttl)
        models.resolve(probe.model, None)
        return lambda: models.resolve(probe.model, None)

    return prepare


def get(url: str, expect: bytes = b"") -> Callable[[Probe], Call]:
    return lambda probe: probe.ask("GET", url, expect=expect)


def middle(probe: Probe) -> Call:
    return probe.ask("GET", f"/models/MODEL/history?limit=50&next={max(probe.revision() // 2, 2)}")


def register(probe: Probe) -> Call:
    return probe.ask("POST", "/models/MODEL/versions", subjects.version())


def register_late(probe: Probe) -> Call:
    """An upload that was opened before any version was made, whose event comes only now."""
    return probe.ask("POST", "/models/MODEL/versions", msgspec.json.encode(version(age=3e9)))


def move(probe: Probe) -> Call:
    head = probe.behind.read(probe.model)
    newest = head.latest - (head.aliases[PRODUCTION].version == head.latest)
    return probe.ask("PUT", "/models/MODEL/aliases/production", b'{"version":%d}' % newest)


def move_to_oldest(probe: Probe) -> Call:
    move(probe)()
    return probe.ask("PUT", "/models/MODEL/aliases/production", b'{"version":1}')


def rollback(probe: Probe) -> Call:
    move(probe)()
    return probe.ask("POST", "/models/MODEL/aliases/production/rollback", b"{}")


def lost_race(probe: Probe) -> Call:
    """A move that somebody else gets ahead of, between its decision and its record."""
    rivals = [version()]

    def before(kind: str, key: str) -> None:
        if kind == "PUT" and key.startswith(keys.log(probe.model)) and rivals:
            versions.register(probe.behind, probe.model, rivals.pop(), BENCH)

    call, probe.store.before = move(probe), before
    return call


def compaction(probe: Probe) -> Call:
    marked(probe)
    return lambda: catalogue.compact(Log(probe.store))


def marked(probe: Probe) -> None:
    """Marks of transitions, of CHANGED models, that the catalogue's index does not know yet."""
    catalogue.compact(probe.behind)
    for number in range(MARKS):
        versions.register(probe.behind, f"model-{number % CHANGED:05d}", version(), BENCH)
    probe.undo.append(lambda: catalogue.compact(probe.behind))


def page(url: str) -> Callable[[Probe], Call]:
    def prepare(probe: Probe) -> Call:
        catalogue.compact(probe.behind)
        return probe.ask("GET", url)

    return prepare


def page_with_marks(probe: Probe) -> Call:
    marked(probe)
    return probe.ask("GET", "/models?limit=100")


def page_without_index(probe: Probe) -> Call:
    catalogue.compact(probe.behind)
    probe.lose(keys.CATALOG)
    return probe.ask("GET", "/models?limit=100")


def without_head(probe: Probe) -> Call:
    probe.lose(keys.head(probe.model))
    return cold(None)(probe)


OPERATIONS = [
    Operation("resolve an alias, cold", cold(None)),
    Operation("resolve an alias, warm, after the TTL", warm(0)),
    Operation("resolve an alias, warm, within the TTL", warm(1e9)),
    Operation("resolve the newest number, cold", cold("latest")),
    Operation("resolve number 2, cold", cold("2"), allowed=1),
    Operation("get a version by alias", get("/models/MODEL/versions/production")),
    Operation("get a model", get("/models/MODEL"), allowed=1),
    Operation("register a version", register, writes=True),
    Operation("register an upload opened long ago", register_late, writes=True, grows="history"),
    Operation("move an alias", move, writes=True),
    Operation("move an alias to version 1", move_to_oldest, writes=True, allowed=1),
    Operation("roll an alias back", rollback, writes=True, allowed=1),
    Operation("move an alias, one race lost", lost_race, writes=True),
    Operation("compact the catalogue", compaction),
    Operation("history, newest 50", get("/models/MODEL/history?limit=50"), allowed=50),
    Operation("history, 50 from the middle", middle, allowed=50),
    Operation("the 100 oldest versions", get("/models/MODEL/versions?limit=100&next=101"), allowed=1),
    Operation("catalogue, 100 models", page("/models?limit=100")),
    Operation("catalogue, filtered by tag", page(f"/models?limit=100&tag={RARE}")),
    Operation("catalogue, searched by name", page("/models?limit=100&search=0007")),
    Operation("catalogue, 10 models changed since", page_with_marks),
    Operation("catalogue, its index lost", page_without_index, grows="models", on_s3=False),
    Operation("verify a model", get("/models/MODEL/history?verify=true", b'"verified":true'), grows="history"),
    Operation("resolve an alias, head.json lost", without_head, allowed=SNAPSHOT),
]
