"""What a log's records say and what they add up to: pure data, no storage."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from shared.errors import NotFound

PRODUCTION = "production"


class Version(Struct, frozen=True, kw_only=True):
    """An immutable version. Digests are SHA-256 of blobs: the manifest, the model as uploaded, the model served.

    size: bytes of the served model. upload: the upload that became this version.
    """

    version: int
    task: str
    manifest: str
    source: str
    model: str
    size: int
    upload: str
    created_at: str = ""
    by: str = ""


class Alias(Struct, frozen=True, kw_only=True):
    """A movable name. since: the revision that set it. previous: the version it named before."""

    version: int
    since: int = 0
    previous: int | None = None


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition. previous: the digest of the record before it. write_id tells equal-looking writers apart."""

    kind: Literal["register", "alias", "unalias"]
    by: str
    revision: int = 0
    at: str = ""
    previous: str = ""
    write_id: str = ""
    reason: str | None = None
    version: Version | None = None
    aliases: dict[str, int | None] = field(default_factory=dict)


class Head(Struct, frozen=True, kw_only=True):
    """A model's state at a revision. digest: that of the last record."""

    model: str
    revision: int = 0
    digest: str = ""
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)

    @property
    def latest(self) -> int:
        return max(self.versions, default=0)

    def exists(self) -> Head:
        if not self.versions:
            raise NotFound(f"there is no model {self.model!r}: GET /models lists those there are")
        return self

    def resolve(self, reference: str | None) -> Version:
        """The version that a number or an alias names; `production` when there is no reference.

        Raises NotFound that lists what there is.
        """
        self.exists()
        reference = reference or PRODUCTION
        number = int(reference) if reference.isascii() and reference.isdigit() else self._alias(reference).version
        if number not in self.versions:
            raise NotFound(f"model {self.model!r} has no version {number}: it has {_brief(sorted(self.versions))}")
        return self.versions[number]

    def _alias(self, name: str) -> Alias:
        if name not in self.aliases:
            raise NotFound(
                f"model {self.model!r} has no version or alias {name[:120]!r}: its aliases are {sorted(self.aliases)}, "
                f"its versions {_brief(sorted(self.versions))}"
            )
        return self.aliases[name]

    def version_of_upload(self, upload: str) -> Version | None:
        return next((v for v in self.versions.values() if v.upload == upload), None)


def fold(head: Head, record: Record, digest: str) -> Head:
    """The state after one more record."""
    if record.revision != head.revision + 1:
        raise ValueError(f"record {record.revision} of {head.model!r} does not follow revision {head.revision}")
    versions, aliases = head.versions, dict(head.aliases)
    if record.version is not None:
        version = msgspec.structs.replace(record.version, created_at=record.at, by=record.by)
        versions = versions | {version.version: version}
    for name, number in record.aliases.items():
        _move(aliases, name, number, record.revision)
    return Head(model=head.model, revision=record.revision, digest=digest, versions=versions, aliases=aliases)


def _move(aliases: dict[str, Alias], name: str, number: int | None, revision: int) -> None:
    before = aliases.pop(name, None)
    if number is not None:
        aliases[name] = Alias(version=number, since=revision, previous=before.version if before else None)


def _brief(numbers: list[int]) -> Any:
    return numbers if len(numbers) <= 10 else f"{numbers[0]} to {numbers[-1]}"
