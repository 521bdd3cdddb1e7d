"""The models layer: models as they are served, on the function's own disk, so that their cold start downloads nothing.

tools/models_layer.py makes it. Digests are computed while ONNX Runtime is at the sessions, which costs no time.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from msgspec import Struct

from shared.errors import Unavailable
from shared.serving.wall import Wall

if TYPE_CHECKING:
    from shared.runtime.signature import Session

Result = TypeVar("Result")
SMALL = 4_000_000  # bytes of all models together, which are opened in some milliseconds


class Later(Generic[Result]):
    """A result that another thread is at. An error is raised where the result is taken."""

    def __init__(self, make: Callable[[], Result], context: Context | None = None) -> None:
        """context: None for the present one, with its deadline."""
        self._make = make
        run = (copy_context() if context is None else context).run  # an empty one is falsy
        self._thread = threading.Thread(target=run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._make()
        except BaseException as error:
            self._error = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float | None) -> bool:
        """Whether it is over within so many seconds; None: however long it takes."""
        self._thread.join(None if seconds is None else max(seconds, 0.0))
        return self.is_over

    def result(self) -> Result:
        self._thread.join()
        if hasattr(self, "_error"):
            raise self._error
        return self._result


class Forms(Struct, frozen=True, omit_defaults=True, tag_field="format", tag=1):
    """Digests of one model as it is served; wide: of its second form (forms.py), where it has one."""

    model: str
    wide: str | None = None

    @property
    def all(self) -> set[str]:
        return {self.model, self.wide or self.model}

    def best(self, sums_widely: bool) -> str:
        return self.wide if self.wide and sums_widely else self.model


def _index(body: bytes) -> dict[str, Forms]:
    """The models of an index.json; without those in a format of a later release, which the store has, too."""
    try:
        return msgspec.json.decode(body, type=dict[str, Forms])
    except msgspec.ValidationError:
        entries = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    models: dict[str, Forms] = {}
    for name, entry in entries.items():
        with suppress(msgspec.ValidationError):
            models[name] = msgspec.json.decode(entry, type=Forms)
    return models


class Layer:
    """What lies in a folder, which may be missing: then there is nothing. Safe to share between threads.

    threads: of one operator of a session. wall: says whether the models run in this process.
    """

    def __init__(self, folder: str, threads: int = 1, wall: Wall | None = None) -> None:
        self._folder = os.path.join(folder, "blobs", "sha256")
        self._threads = threads
        self._wall = wall or Wall()
        self._begun: dict[str, Later[tuple[Session, int]]] = {}
        try:
            with open(os.path.join(folder, "index.json"), "rb") as file:
                self.models = _index(file.read())
        except (OSError, msgspec.DecodeError):
            self.models = {}
        self._digests = frozenset(digest for forms in self.models.values() for digest in forms.all)

    def preload_names(self, configured: tuple[str, ...] | None) -> tuple[str, ...]:
        """The models to open before the first call: the configured ones; else the only one here, or all, if small."""
        if configured is not None:
            return configured
        return tuple(self.models) if len(self.models) == 1 or self._size() <= SMALL else ()

    def _size(self) -> int:
        try:
            return sum(os.path.getsize(os.path.join(self._folder, digest)) for digest in self._digests)
        except OSError:  # a damaged layer, which is told when it is asked
            return SMALL + 1

    def begin(self, names: tuple[str, ...]) -> None:
        """Start to open those that are here, in threads of their own."""
        for name in names:
            if name in self.models:
                # imported by the caller: two threads that import only wait for each other
                from shared.runtime import processor

                if self._wall.layer_is_trusted:
                    from shared.runtime import onnx  # noqa: F401 - what the thread needs

                digest = self.models[name].best(processor.sums_widely())
                if digest in self._begun:
                    continue
                self._begun[digest] = Later(partial(self._open, digest))

    def settle(self) -> None:
        """Drop the sessions that were opened in advance and never used."""
        self._begun.clear()

    def open(self, digest: str) -> tuple[Session, int] | None:
        """A session of the model and its size in bytes; None when it is not here. Raises Unavailable when damaged."""
        if digest not in self._digests:
            return None
        begun = self._begun.pop(digest, None)
        return begun.result() if begun else self._open(digest)

    def holds(self, digest: str) -> bool:
        """Whether there is a file of that digest, of whatever kind."""
        return os.path.exists(os.path.join(self._folder, digest))

    def read(self, digest: str) -> bytes | None:
        """Another file of a package; None when it is not here. Raises Unavailable when it is damaged."""
        path = os.path.join(self._folder, digest)
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            body = file.read()
        if hashlib.sha256(body).hexdigest() != digest:
            raise Unavailable(f"{path} has another digest")
        return body

    def _open(self, digest: str) -> tuple[Session, int]:
        from shared.runtime.signature import Unloadable  # 60 ms, with numpy: a download is started before it

        size = Later(lambda: self._verified(digest))
        path = os.path.join(self._folder, digest)
        try:
            session = self._wall.open(path, direct=self._wall.layer_is_trusted, threads=self._threads)
        except OSError as error:
            raise Unavailable(f"{digest} cannot be read: {error}") from error
        except Unloadable as error:
            raise Unavailable(str(error)) from error
        return session, size.result()

    def _verified(self, name: str) -> int:
        """The size of an intact file. Raises Unavailable."""
        try:
            with (
                open(os.path.join(self._folder, name), "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            ):
                if hashlib.sha256(mapped).hexdigest() != name:
                    raise Unavailable(f"{name} has another digest")
                return len(mapped)
        except (OSError, ValueError) as error:  # missing, or empty, which cannot be mapped
            raise Unavailable(f"{name} cannot be read: {error}") from error


EMPTY = Layer("")
