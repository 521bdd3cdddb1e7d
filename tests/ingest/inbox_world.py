"""A bucket with an inbox in memory, its functions, and timers that end when a test says so."""

from __future__ import annotations

import json

from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry import models
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms, listing
from shared.uploads.quiet import QuietFolder
from tests.proofs.stores import age
from tests.support import linear

CONFIG = Config(bucket="unused")
BODY, OTHER = linear([[1.0], [0.0]]), linear([[2.0], [0.0]])
DECLARED = json.dumps({"licence": "MIT"}).encode()


class Timers:
    """The timers of the inbox, whose end comes when a test says so."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.started: dict[tuple[str, bool], QuietFolder] = {}
        self.over: set[tuple[str, bool]] = set()

    def start(self, folder: QuietFolder) -> None:
        self.started.setdefault((folder.seen, folder.last), folder)

    def end(self) -> list[forms.Upload]:
        """All that run end, in the order of their beginning."""
        ended: list[forms.Upload] = []
        for name in [name for name in self.started if name not in self.over]:
            self.over.add(name)
            ended += pipeline.on_quiet(self.log, CONFIG, self.started[name], Limits(), self)
        return ended


class World:
    """A bucket, its functions and its timers."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.log = Log(self.store)
        self.timers = Timers(self.log)

    def put(self, files: dict[str, bytes], folder: str = "inbox/m/") -> None:
        for name, body in files.items():
            self.store.put(folder + name, body)
            self.event(folder + name)

    def event(self, key: str) -> forms.Upload | None:
        return pipeline.on_object(self.log, CONFIG, key, {"principal": "s3:ann"}, Limits(), self.timers)

    def look(self, hours: float = 1) -> None:
        age(self.store, "", hours * 3600)
        pipeline.check_unfinished(self.log, CONFIG, Limits())

    def uploads(self, model: str = "m") -> list[tuple[str, str | None]]:
        return [(one.state, one.code) for one in reversed(listing.of_model(self.store, model)[0])]

    def latest(self, model: str = "m") -> int:
        return self.log.read(model).latest

    def licence(self, version: int) -> str | None:
        head = self.log.read("m")
        return models.manifest(self.log, self.log.version(head, version)).licence
