"""Where a model's bytes come from: the models layer, where weights are mapped, or the store. Verified either way.

The layer holds models with their weights apart (local/served.py). ONNX Runtime maps such weights instead of copying
them: that makes a session in half the time, of which the digests, computed beside it, take none.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from shared.errors import Unavailable
from shared.registry import blobs
from shared.runtime import onnx
from shared.storage.base import Store

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


class Later(Generic[Made]):
    """A result that another thread is at. An error there is raised where the result is taken."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._made = self._make()
        except BaseException as error:
            self._error = error

    def result(self) -> Made:
        self._thread.join()
        if hasattr(self, "_error"):
            raise self._error
        return self._made


class Bundled(msgspec.Struct, frozen=True):
    """A model of the layer. model: the digest that the registry knows; graph, weights: digests of the files there."""

    model: str
    graph: str
    weights: str | None = None


class Sources:
    """The layer and the store of one process. Safe to share between threads."""

    def __init__(self, models_dir: str, store: Store, threads: int = 1) -> None:
        self._folder = os.path.join(models_dir, "blobs", "sha256")
        self._store = store
        self._threads = threads
        self._begun: dict[str, Later[tuple[onnx.Session, int]]] = {}
        try:
            with open(os.path.join(models_dir, "index.json"), "rb") as file:
                self.bundled = msgspec.json.decode(file.read(), type=dict[str, Bundled])
        except (OSError, msgspec.DecodeError):
            self.bundled = {}
        self._by_digest = {found.model: found for found in self.bundled.values()}

    def begin(self, digest: str) -> None:
        """Start to open a model that will be asked for."""
        self._begun[digest] = Later(lambda: self._open(digest))

    def settle(self) -> None:
        """Let go of what was begun and nobody asked for."""
        self._begun.clear()

    def open(self, digest: str) -> tuple[onnx.Session, int]:
        """A session of the model, and its size in bytes. Raises Unavailable."""
        begun = self._begun.pop(digest, None)
        return begun.result() if begun else self._open(digest)

    def read(self, digest: str) -> bytes:
        """A blob from the layer where it is there and intact, else from the store. Raises Unavailable."""
        path = os.path.join(self._folder, digest)
        try:
            with open(path, "rb") as file:
                body = file.read()
        except OSError:
            return blobs.read(self._store, digest)
        if hashlib.sha256(body).hexdigest() == digest:
            return body
        logger.error("a blob of the models layer is corrupt: the store's is used", extra={"path": path})
        return blobs.read(self._store, digest)

    def _open(self, digest: str) -> tuple[onnx.Session, int]:
        found = self._by_digest.get(digest)
        if found is not None:
            try:
                return self._open_bundled(found)
            except (OSError, Unavailable, onnx.Unloadable) as error:
                logger.error("a model of the models layer is damaged: the store's is used", extra={"why": str(error)})
        body = blobs.read(self._store, digest)
        return onnx.load(body, threads=self._threads), len(body)

    def _open_bundled(self, found: Bundled) -> tuple[onnx.Session, int]:
        files = [name for name in (found.weights, found.graph) if name]
        sizes = Later(lambda: [self._verified(name) for name in files])
        session = onnx.load(os.path.join(self._folder, found.graph), threads=self._threads)
        return session, sum(sizes.result())

    def _verified(self, name: str) -> int:
        """The size of an intact file. Raises Unavailable, OSError."""
        with (
            open(os.path.join(self._folder, name), "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            if hashlib.sha256(mapped).hexdigest() != name:
                raise Unavailable(f"{name} has another digest")
            return len(mapped)
