"""Uploads on a clock of their own: days pass in no time, looks come by their schedule, files expire by their rules."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.ingest import app as ingest
from shared.config import Config
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.ingest.candidate import Rejected
from shared.registry import versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.storage.memory import MemoryStore
from shared.uploads import forms, listing, states
from tests.support import s3_event

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
TEMPLATE = (Path(__file__).parents[2] / "template.yaml").read_text()
LOOK = 60.0 * int(re.search(r"Unfinished: .*rate\((\d+) minutes\)", TEMPLATE)[1])  # type: ignore[index]
EXPIRY = DAY * int(re.search(r"Id: uploads-expire.*?ExpirationInDays: (\d+)", TEMPLATE)[1])  # type: ignore[index]
TIMEOUT = float(re.search(r"functions\.ingest\.app.*?Timeout: (\d+)", TEMPLATE, re.DOTALL)[1])  # type: ignore[index]
ENDED_WITHIN = 4 * HOUR  # after the last file; docs/operations/README.md states it


class Killed(BaseException):
    """The function's process ended here. No part of the product catches it."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Context:
    """Lambda's, of an invocation that has just started."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._started = clock, clock.now

    def get_remaining_time_in_millis(self) -> float:
        return (TIMEOUT - (self._clock.now - self._started)) * 1000


class World:
    """The ingest function on a store in memory. faults: what a check of a model does instead of registering it.

    seconds: that each check takes on the clock.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.store = Clock(), MemoryStore()
        self.log = Log(self.store)
        self.faults: dict[str, Any] = {}
        self.seconds = 1.5
        self.checked: list[str] = []
        self.opened = 0
        monkeypatch.setattr("time.time", self.clock)
        monkeypatch.setattr(pipeline, "time", SimpleNamespace(time=self.clock, monotonic=self.clock))
        monkeypatch.setattr(ingest, "log", lambda: self.log)
        monkeypatch.setattr(ingest, "config", lambda: Config(bucket="unused"))
        monkeypatch.setattr(pipeline, "_register", self._register)

    def _register(self, log: Log, config: Config, session: forms.UploadSession, limits: Any) -> Version:
        """In the place of the checks, which are not what is proved here."""
        self.checked.append(session.upload_id)
        self.clock.now += self.seconds
        fault = self.faults.get(session.model) or self.faults.get(session.upload_id)
        if callable(fault):
            fault = fault(session)
        if fault is not None:
            raise fault
        version = Version(
            version=0,
            task="tensor",
            manifest="a" * 64,
            source="b" * 64,
            model="b" * 64,
            size=1,
            upload=session.upload_id,
        )
        return versions.register(log, session.model, version, Change(by=session.by))

    def send(self, model: str, *names: str, missing: tuple[str, ...] = ()) -> str:
        """Open a session and send its files, but for the missing ones; no event comes. Returns the upload's id."""
        self.opened += 1
        identity = f"{int(self.clock.now * 1000):011x}-{self.opened:016x}"
        files = [forms.File(name) for name in names or ("model.onnx",)]
        session = states.open_session(self.store, model, files, "ann", identity)
        for name, key in session.keys.items():
            if name not in missing:
                self.store.put(key, b"x")
        return identity

    def deliver(self, upload: str, deliveries: int = 3) -> None:
        """An event as Lambda delivers it: again after one and two minutes, where it raises or is killed."""
        for pause in (MINUTE, 2 * MINUTE, 0.0)[3 - deliveries :]:
            try:
                ingest.handler(s3_event(f"uploads/{upload}/files/model.onnx"), Context(self.clock))
                return
            except (Exception, Killed):
                self.clock.now += pause

    def look(self) -> dict[str, Any]:
        """One look by the schedule: Lambda invokes it again, after one and two minutes, where it was killed."""
        for pause in (MINUTE, 2 * MINUTE, 0.0):
            try:
                return ingest.handler({"look": "uploads"}, Context(self.clock))
            except Killed:
                self.clock.now += pause
        return {"handled": []}

    def pass_time(self, seconds: float) -> None:
        """Looks come by their schedule, and files expire."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            begun = self.clock.now
            self._expire()
            self.look()
            self.clock.now = max(self.clock.now, begun + LOOK)

    def _expire(self) -> None:
        for info in list(self.store.list_page("uploads/", limit=100_000).objects):
            if self.clock.now - info.modified > EXPIRY:
                self.store.delete(info.key)

    def states(self, model: str) -> Counter[str]:
        return Counter(upload.state for upload in self.uploads(model))

    def uploads(self, model: str) -> list[forms.Upload]:
        return listing.of_model(self.store, model, limit=1000)[0]

    def upload(self, model: str) -> forms.Upload:
        [upload] = self.uploads(model)
        return upload

    def unfinished(self) -> list[str]:
        return [info.key for info in self.store.list_page("unfinished/", limit=100_000).objects]


def figures(captured: str, name: str) -> list[float]:
    """The values of a metric among the lines of standard output."""
    lines = [json.loads(line) for line in captured.splitlines() if line.startswith("{")]
    return [line[name] for line in lines if name in line]


FAULTS = {
    "unavailable": lambda _: Unavailable("the store does not answer"),
    "disk full": lambda _: OSError(28, "No space left on device"),
    "killed": lambda _: Killed(),
    "rejected": lambda _: Rejected("not_onnx", "this is no model: export it again"),
    "fault of ours": lambda _: ZeroDivisionError("a fault"),
    "memory": lambda _: MemoryError(),
}
