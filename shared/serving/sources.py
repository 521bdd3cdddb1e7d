"""Where a version's files come from: the models layer where it has them intact, else the store."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from shared.errors import Unavailable
from shared.package import processing
from shared.package.generation import Generation
from shared.package.speech import Transcription
from shared.registry import blobs
from shared.serving.layer import Layer
from shared.serving.wall import Wall
from shared.storage.base import Store

if TYPE_CHECKING:
    from shared.package.manifest import Manifest
    from shared.registry.state import Version
    from shared.runtime.signature import Session
    from shared.runtime.zygotes import Cutting

logger = logging.getLogger(__name__)

# Bytes of the disk that mapped models leave free: the largest model can still be downloaded, then to be read.
RESERVE = 256 << 20


class Permit:
    """Whether a model may be loaded, which its manifest says while the model is still on its way.

    Loading runs what a model computes of constants, so a model that is not served is not loaded either.
    """

    def __init__(self) -> None:
        self._settled = threading.Event()
        self._granted = False

    def grant(self) -> None:
        self._granted = True

    def close(self) -> None:
        """End the waiting, with or without a grant."""
        self._settled.set()

    def wait(self) -> None:
        """Raises Unavailable where the permit was closed without being granted."""
        self._settled.wait()
        if not self._granted:
            raise Unavailable("the version is not loaded: its manifest cannot be read, or it is not served")


class Sources:
    """The layer and the store of one process. Safe to share between threads.

    threads: of one operator of a session. wall: around models that are not trusted.
    """

    def __init__(self, layer: Layer, store: Store, threads: int = 1, wall: Wall | None = None) -> None:
        self.layer = layer
        self._store = store
        self._threads = threads
        self._wall = wall or Wall()

    def open(self, digest: str, permit: Permit | None = None, *, trusted: bool = False) -> tuple[Session, int]:
        """A session of the model, and its size in bytes. Raises Unavailable, also without the permit.

        trusted: it runs in this process, also if it comes from the store.
        """
        try:
            opened = self.layer.open(digest)
        except Unavailable as error:
            logger.error("a model of the models layer is damaged: the store's is used", extra={"why": str(error)})
            opened = None
        return opened or self._open_stored(digest, permit, trusted)

    def has_room(self, size: int) -> bool:
        """Whether the disk has room for files of so many bytes."""
        disk = os.statvfs(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - nothing is written
        return disk.f_bavail * disk.f_frsize >= size

    def open_decoder(self, version: Version, manifest: Manifest) -> tuple[Session, int]:
        """A session of a version that generates text (reading.Reading), or hears it (hearer.Listening), and its size.

        In bytes. Raises Unavailable.
        """
        from shared.runtime.zygotes import Decoding

        after = manifest.postprocess
        if not isinstance(after, Generation | Transcription):
            after = Generation()
        beside = processing.files(manifest.preprocess, manifest.postprocess)
        names = [name for name in version.files if name not in beside]
        facts = (manifest.gate or {}).get("generation") or {}
        decoding = Decoding(
            tuple(names), after.heads, after.width, facts.get("context"), isinstance(after, Transcription)
        )
        trusted = self._wall.trusts(version, self.read)
        folder = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - as below
        from tempfile import TemporaryDirectory  # which no other model needs

        with TemporaryDirectory(prefix="amaas-decoder-", dir=folder) as room:
            path, data = os.path.join(room, "model.onnx"), {name: os.path.join(room, name) for name in names}
            blobs.download(self._store, version.model, path)
            for name, place in data.items():
                blobs.download(self._store, version.files[name], place)
            session = self._wall.open_decoder(path, data, decoding, direct=trusted, threads=self._threads)
        return session, version.size

    def read(self, digest: str) -> bytes:
        """Another file of the package. Raises Unavailable."""
        try:
            body = self.layer.read(digest)
        except (Unavailable, OSError) as error:
            logger.error("a file of the models layer is damaged: the store's is used", extra={"why": str(error)})
            body = None
        return blobs.read(self._store, digest) if body is None else body

    def open_tokenizer(self, version: Version, raw: bytes, cutting: Cutting) -> Session:
        """A session of a version's tokenizer.json. Raises Unloadable, and what Confined does.

        It is trusted for what it is: a model of the layer may come with another tokenizer in a stranger's package.
        """
        of_layer = self._wall.layer_is_trusted and self.layer.models  # else no digest is computed
        shipped = bool(of_layer) and self.layer.holds(hashlib.sha256(raw).hexdigest())
        direct = shipped or self._wall.trusts(version, self.read)
        return self._wall.open_tokenizer(raw, cutting, direct=direct)

    def _open_stored(self, digest: str, permit: Permit | None, trusted: bool) -> tuple[Session, int]:
        """By way of a file: ONNX Runtime takes a third less time over a file than over the same bytes in memory."""
        folder = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - the file is created anew, under a name nobody can guess
        path = os.path.join(folder, f"amaas-{digest[:16]}-{os.urandom(8).hex()}")
        try:
            blobs.download(self._store, digest, path)
            if permit:
                permit.wait()  # the manifest is here by now: it is smaller, and nothing was imported for it
            disk = os.statvfs(folder)
            room = disk.f_bavail * disk.f_frsize >= RESERVE
            session = self._wall.open(path, direct=trusted, threads=self._threads, mapped=room)
            return session, os.path.getsize(path)
        finally:
            with suppress(OSError):
                os.unlink(path)
