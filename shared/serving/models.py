"""From a model's name and a version or alias to a session that is verified and ready: resolve, load, keep.

A resolved alias may be reused for `ttl` seconds, so that is how long a rollback takes to be seen; after that, one
request tells whether the model has moved on. While the store is away, the last known state goes on answering: of an
alias for `max_stale` seconds, of a version's number for as long as the process lives. Sessions are kept by bytes, least
recently used out first, and loaded once however many threads ask. Nothing is loaded whose bytes do not have the digest
that the registry recorded.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from shared import deadline, keys
from shared.errors import AmaasError, NotFound, Unavailable
from shared.package import manifest as manifests
from shared.package.manifest import Manifest
from shared.package.tasks import DECODED
from shared.registry import withdrawn
from shared.registry.log import Log
from shared.registry.state import Head, Version
from shared.serving import decoded, forms, vouching
from shared.serving.arriving import Arriving, StillLoading
from shared.serving.decoded import GeneratesText
from shared.serving.kept import OVERHEAD, Entry, Identity, Kept, identity
from shared.serving.layer import EMPTY, Later, Layer
from shared.serving.loaded import Loaded, Resolved
from shared.serving.sources import Permit, Sources
from shared.serving.wall import Wall, counting_deaths, resident, watch
from shared.storage.base import Unavailable as StoreAway

if TYPE_CHECKING:
    from shared.runtime.signature import Session
    from shared.runtime.zygotes import Cutting

logger = logging.getLogger(__name__)

# seconds that a call waits for a newer state where it can do without
REFRESH = 2.0
# seconds that loading before the first call may take
PREFETCH = 25.0


Failed = Callable[[Resolved, Exception], None]


class _Load(Struct):
    """A model that some thread loads. threads: how many load it or wait for it."""

    lock: threading.Lock
    threads: int = 0


class Models:
    """The models one process serves. Safe to share between threads."""

    def __init__(
        self,
        log: Log,
        *,
        ttl: float,
        capacity: int,
        layer: Layer = EMPTY,
        clock: Callable[[], float] = time.monotonic,
        threads: int = 1,
        max_stale: float = 3600.0,
        wall: Wall | None = None,
        generates: bool | None = False,
    ) -> None:
        """max_stale: 0 for none. generates: models that generate text are loaded, and no others; None: all are."""
        self.log = log
        self._wall = wall or Wall()
        self.sources = Sources(layer, log.store, threads, self._wall)
        self._ttl = ttl
        self._max_stale = max_stale
        self._generates = generates
        self._clock = clock
        self._heads: dict[str, tuple[float, Head]] = {}
        self._manifests: dict[str, Manifest] = {}
        self._kept = Kept(capacity)
        self._refused: dict[Identity, str] = {}
        self._prepared = False
        self._lock = threading.Lock()
        self._loading: dict[Identity, _Load] = {}
        self._arriving: Arriving[tuple[Session, int]] = Arriving()

    def resolve(self, model: str, reference: str | None, key: str | None = None) -> Resolved:
        """The model's state, at most `ttl` seconds old, and the version that answers. Raises NotFound, Unavailable.

        While the store is away, the state may be older: see the module's docstring. key: requests with the same key get
        the same version of a split alias; with none, each call draws. What an older state does not know is looked for
        in the present one: a version may be called as soon as it is there.
        """
        keys.model_name(model)
        split_key = key if key is not None else os.urandom(8).hex()
        cached = self._heads.get(model)
        if cached and self._clock() - cached[0] < self._ttl:
            with suppress(NotFound):
                return self._resolved(cached[1], reference, split_key)
        time_of_request = self._clock()
        try:
            with deadline.within(REFRESH if cached else None):
                head = self.log.refresh(cached[1]) if cached else self.log.read(model)
        except StoreAway as error:
            if cached is None:
                raise
            return self._resolve_stale(*cached, reference, split_key, error)
        if head.revision:  # unknown names are not cached: a caller can make up any number of them
            self._heads[model] = (time_of_request, head)
        return self._resolved(head, reference, split_key)

    def _resolved(self, head: Head, reference: str | None, split_key: str, stale: int | None = None) -> Resolved:
        return Resolved.of(head, self.log.version(head, head.number(reference, split_key)), reference, stale)

    def _resolve_stale(
        self, confirmed: float, head: Head, reference: str | None, split_key: str, error: StoreAway
    ) -> Resolved:
        """By an earlier state. confirmed: when it was known to be the present one. Raises Unavailable."""
        stale = self._clock() - confirmed
        is_number = reference is not None and reference.isascii() and reference.isdigit()
        if not is_number and (not self._max_stale or stale > self._max_stale):
            raise error
        try:
            resolved = self._resolved(head, reference, split_key, int(stale))
        except NotFound:  # it may be there by now
            raise error from None
        logger.warning("stale", extra={"model": head.model, "seconds": int(stale), "why": str(error)})
        return resolved

    def manifest(self, version: Version) -> Manifest:
        if version.manifest not in self._manifests:
            body = self.sources.read(version.manifest)
            self._manifests[version.manifest] = manifests.decode_stored(
                body, f"version {version.version} of this model"
            )
        return self._manifests[version.manifest]

    def load(
        self, model: str, reference: str | None, key: str | None = None, failed: Failed = lambda resolved, error: None
    ) -> Loaded:
        """The session of a version, of an alias, or of `production`; see resolve. Raises NotFound, Unavailable.

        failed: is told of a version that was found, and could not be loaded.
        """
        started_ns = time.perf_counter_ns()
        if not self._prepared and self._wall.confines(model, self.sources.layer.models):
            self._prepared = True
            self._wall.prepare()
        resolved = self.resolve(model, reference, key)
        head, version, stale, alias, since = resolved
        decoded.require(self._generates, model, version.task, is_decoder=self._is_decoder(version))
        resolved_ns = time.perf_counter_ns()
        session_key = identity(model, version)
        fresh = session_key not in self._kept
        try:
            entry = self._session(model, version, session_key)
        except StillLoading:  # which says nothing of the version
            raise
        except Exception as error:
            failed(resolved, error)
            raise
        read, shadow = self.sources.read, head.shadow(reference)
        state, opener = (entry.manifest, entry.session, entry.parts), self._open_tokenizer
        times = resolved_ns - started_ns, time.perf_counter_ns() - resolved_ns
        return Loaded(model, version, head.revision, *state, read, shadow, stale, opener, alias, since, *times, fresh)

    def _open_tokenizer(self, version: Version, raw: bytes, cutting: Cutting) -> Session:
        """Raises what Sources.open_tokenizer raises."""
        session = self.sources.open_tokenizer(version, raw, cutting)
        with self._lock:
            self._kept.make_room(resident(session))
        return session

    def _session(self, model: str, version: Version, key: Identity) -> Entry:
        """Single flight: of several threads that need a model at once, one loads it and the others wait.

        Where it fails, the next of them tries, as a later call would.
        """
        with self._lock:
            if entry := self._present(key):
                return entry
            load = self._loading.setdefault(key, _Load(threading.Lock()))
            load.threads += 1
        try:
            with load.lock:
                with self._lock:
                    if entry := self._present(key):
                        return entry
                entry = self._open(model, version)
                with self._lock:
                    self._kept.add(key, entry)
                return entry
        finally:
            with self._lock:
                load.threads -= 1
                if not load.threads:
                    del self._loading[key]

    def _present(self, key: Identity) -> Entry | None:
        """What is kept of it. Raises Unavailable for a version that is not served here."""
        if key in self._refused:
            raise Unavailable(self._refused[key])
        return self._kept.get(key)

    def _open(self, model: str, version: Version) -> Entry:
        started = time.perf_counter()
        if version.manifest in self._manifests:  # a withdrawn version is not downloaded for every call
            self._permitted(version)
        refusal = ""
        for digest in forms.digests(version):
            with counting_deaths(model, version.version):
                session, size, manifest = self._opened(model, version, digest)
            watch(session, model, version.version)
            refusal = vouching.find_refusal(model, version, manifest, session, self.sources.read) or ""
            if not refusal:
                milliseconds = round((time.perf_counter() - started) * 1e3, 1)
                subject = {"model": model, "version": version.version, "digest": digest}
                logger.info("model loaded", extra=subject | {"milliseconds": milliseconds})
                return Entry(manifest, session, size * OVERHEAD)
        # for as long as the process lives: its processor stays the same
        self._refused[identity(model, version)] = refusal
        raise Unavailable(refusal)

    def _is_decoder(self, version: Version) -> bool:
        return version.task in DECODED and self.manifest(version).served_task in DECODED

    def _opened(self, model: str, version: Version, digest: str) -> tuple[Session, int, Manifest]:
        """One form of a version, loaded as soon as the manifest permits it; its size in bytes."""
        if self._is_decoder(version):
            manifest = self._permitted(version)
            key, begin = identity(model, version), lambda: self._begin(version, manifest)
            return *self._arriving.take(key, begin, version.size), manifest
        permit = Permit()
        trusted = self._wall.trusts(version, self.sources.read)
        opening = Later(lambda: self.sources.open(digest, permit, trusted=trusted))
        try:
            manifest = self._permitted(version)
            permit.grant()
        finally:
            permit.close()
        return *opening.result(), manifest

    def _begin(self, version: Version, manifest: Manifest) -> Callable[[], tuple[Session, int]]:
        """What loads a decoder, once there is room on the disk for its files."""
        if not self.sources.has_room(version.size):
            with self._lock:
                self._kept.let_go()
        return lambda: self.sources.open_decoder(version, manifest)

    def _permitted(self, version: Version) -> Manifest:
        """The manifest. Raises Unavailable for a version that holds what is not served any more."""
        manifest = self.manifest(version)
        withdrawn.check(manifest.name or "this model", version.version, manifest.gate)
        return manifest

    def prefetch(self, names: Sequence[str]) -> None:
        """Load the production versions of models before the first call. Best effort: a call reports what is wrong.

        What the layer has is opened before the registry says which version is served: it is nearly always that one.
        """
        self.sources.layer.begin(tuple(names))
        for name in names:
            try:
                with deadline.within(PREFETCH):
                    self.load(name, None)
            except AmaasError as error:
                logger.info("not prefetched", extra={"model": name, "why": str(error)})
        self.sources.layer.settle()

    def forget(self) -> None:
        """Ask the registry anew, whatever the time: the process was asleep, and no clock says for how long."""
        self._heads.clear()

    def is_ready(self, model: str, reference: str | None) -> tuple[bool, int | None]:
        """Whether a call would be answered, which loading it finds out; and `stale`, see Loaded. Raises NotFound."""
        try:
            return True, self.load(model, reference).stale
        except GeneratesText:  # by another function, whose calls load it
            return True, None
        except Unavailable as error:
            logger.warning("not ready", extra={"model": model, "why": str(error)})
            return False, None
