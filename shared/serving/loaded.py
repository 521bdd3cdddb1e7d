"""A model that can answer: what tasks, explanations and observers work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from shared.errors import Unavailable
from shared.package.manifest import Manifest
from shared.registry.state import Version
from shared.serving.wall import Wall

if TYPE_CHECKING:
    from shared.runtime.signature import Session
    from shared.runtime.zygotes import Cutting

Part = TypeVar("Part")


def _confine(version: Version, raw: bytes, cutting: Cutting) -> Session:
    """Whoever does not say otherwise has a stranger's tokenizer."""
    return Wall().open_tokenizer(raw, cutting, direct=False)


class Loaded(Struct, frozen=True):
    """One version of a model, for one call. revision: of the model's log, by which the version was resolved.

    parts: what was parsed of the package's other files, shared by all calls for as long as the model is loaded.
    read: a blob by its digest. shadow: the alias' shadow version, if it has one. stale: seconds since the revision was
    known to be the present one, where the store could not be asked. open_tokenizer: a session of a tokenizer.json.
    """

    name: str
    version: Version
    revision: int
    manifest: Manifest
    session: Session
    parts: dict[str, Any] = {}
    read: Callable[[str], bytes] | None = None
    shadow: int | None = None
    stale: int | None = None
    open_tokenizer: Callable[[Version, bytes, Cutting], Session] = _confine

    def part(self, name: str, parse: Callable[[bytes], Part]) -> Part:
        """Another file of the package, parsed once for as long as the model is loaded.

        Raises Unavailable for a version that was registered without it.
        """
        if name not in self.parts:
            digest = self.version.files.get(name)
            if digest is None or self.read is None:
                raise Unavailable(f"version {self.version.version} of {self.name!r} came without {name}: push it again")
            self.parts[name] = parse(self.read(digest))
        part: Part = self.parts[name]
        return part
