"""A model that can answer: what tasks, explanations and observers work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec import Struct

from shared.errors import Unavailable
from shared.package.manifest import Manifest
from shared.registry.state import PRODUCTION, Head, Version
from shared.serving.wall import Wall

if TYPE_CHECKING:
    from shared.runtime.signature import Session
    from shared.runtime.zygotes import Cutting

Part = TypeVar("Part")


def _confine(version: Version, raw: bytes, cutting: Cutting) -> Session:
    """Whoever does not say otherwise has a stranger's tokenizer."""
    return Wall().open_tokenizer(raw, cutting, direct=False)


class Resolved(NamedTuple):
    """By which state a call is answered, and by which version.

    stale: seconds since the state was known to be the present one, where the store cannot be asked; else None.
    alias: by which the version was found, `production` where the caller named none; empty for a version's number.
    since: the revision that set the alias to its target, 0 without an alias.
    """

    head: Head
    version: Version
    stale: int | None = None
    alias: str = ""
    since: int = 0

    @classmethod
    def of(cls, head: Head, version: Version, reference: str | None, stale: int | None = None) -> Resolved:
        """reference: by which the version was found in this state."""
        alias = reference or PRODUCTION
        if alias not in head.aliases:  # a number, or it would not have been found
            return cls(head, version, stale)
        return cls(head, version, stale, alias, head.aliases[alias].since)


class Loaded(Struct, frozen=True):
    """One version of a model, for one call. revision: of the model's log, by which the version was resolved.

    parts: what was parsed of the package's other files, shared by all calls for as long as the model is loaded.
    read: a blob by its digest. shadow: the alias' shadow version, if it has one. stale: seconds since the revision was
    known to be the present one, where the store could not be asked. open_tokenizer: a session of a tokenizer.json.

    alias, since: as Resolved has them. resolve_ns, load_ns: what finding and loading it took this call. fresh: it was
    not loaded before. items: to be filled with the inputs of the call as their kind has them, rows, texts or samples,
    where somebody wants to see them; see features.py.
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
    alias: str = ""
    since: int = 0
    resolve_ns: int = 0
    load_ns: int = 0
    fresh: bool = False
    items: list[Any] | None = None

    def note(self, items: list[Any]) -> None:
        """Inputs of the call, for who wants to see them after the answer."""
        if self.items is not None:
            self.items.extend(items)

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
