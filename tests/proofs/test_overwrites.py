"""An upload that is overwritten all the time while it is checked: what was checked is registered, and is served.

By somebody who can write the bucket below uploads/, on a real S3 server: no URL of an upload can replace what is there.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.candidate import Candidate
from shared.ingest.verdict import Limits
from shared.registry import blobs
from shared.registry.log import Log
from shared.runtime import onnx
from shared.storage.base import Store
from shared.storage.s3 import S3Store
from shared.uploads import forms, states
from tests.support import linear

VALUES = (5.0, 6.0)
BODIES = [linear([[value], [0.0]]) for value in VALUES]
DIGESTS = {hashlib.sha256(body).hexdigest(): value for body, value in zip(BODIES, VALUES, strict=True)}
WRITERS = 4


class Overwriters:
    """Threads that write one of two models to an object, again and again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.writes = 0

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        over = threading.Event()

        def write(number: int) -> None:
            while not over.is_set():
                number += 1
                self._store.put(key, BODIES[number % 2])
                with self._lock:
                    self.writes += 1

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


def race(store: Store, overwrites: int) -> tuple[list[str], int, Counter[float]]:
    """Problems; how many overwrites there were, and what was registered, by value."""
    log, writers = Log(store), Overwriters(store)
    problems: list[str] = []
    registered: Counter[float] = Counter()
    while writers.writes < overwrites:
        session = states.open_session(store, "m", [forms.File("model.onnx")], "ann")
        key = session.keys["model.onnx"]
        store.put(key, BODIES[0])
        with writers.of(key):
            upload = pipeline.on_object(log, Config(bucket="unused"), key, {}, Limits())
        if upload is None or upload.version is None:
            problems.append(f"{session.upload_id} is not registered: {upload}")
            continue
        version = log.read("m").versions[upload.version]
        served = blobs.read(store, version.model)  # of another digest than the record's, it would raise
        [answer] = onnx.load(served).run(None, {"x": np.array([[1, 0]], np.float32)})
        value = DIGESTS.get(version.source)
        if value is None or answer.tolist() != [[value]]:
            problems.append(f"checked was {value}, and served is {answer.tolist()}")
        registered[value or 0.0] += 1
    return problems, writers.writes, registered


def show(figures: Any) -> None:
    problems, writes, registered = figures
    assert problems == []
    print(f"{writes} overwrites, {registered.total()} uploads: {dict(registered)}")


def test_what_was_checked_is_served(new_store: Callable[[str], S3Store]) -> None:
    show(race(new_store("seaweedfs"), 100))


@pytest.mark.soak
def test_a_thousand_overwrites(new_store: Callable[[str], S3Store]) -> None:
    show(race(new_store("seaweedfs"), 1000))


def test_negative_control_a_gate_that_reads_twice(
    new_store: Callable[[str], S3Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It checks one copy, and serves what it reads after that."""
    store = new_store("seaweedfs")
    store_blobs = pipeline.store_blobs

    def read_again(log: Log, candidate: Candidate, upload: str) -> Any:
        while (present := store.get(f"uploads/{upload}/files/model.onnx").body) == candidate.source:
            pass  # the other one is there in a moment
        return store_blobs(log, replace(candidate, model=present), upload)

    monkeypatch.setattr(pipeline, "store_blobs", read_again)
    problems, _, registered = race(store, 20)
    assert len([problem for problem in problems if "checked was" in problem]) == registered.total() > 0
