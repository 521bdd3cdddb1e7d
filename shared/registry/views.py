"""The registry's responses in their public form, made from the stored state, whose form may change independently.

Members that may be missing are UNSET; members that are always present and may be null are `| None` without a default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from shared.package.manifest import Manifest, TaskName
from shared.paging import NextNumber, NextPage
from shared.registry import catalog, contents, state
from shared.registry.state import Head

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, in hex")]
State = Literal["active", "retired"]


class Target(Struct, kw_only=True):
    """Where an alias points. split: weights by version. shadow: a version that gets a copy of each request."""

    version: int
    split: dict[int, int] | UnsetType = UNSET
    shadow: int | UnsetType = UNSET


class Alias(Target, kw_only=True):
    """since: the revision that set it. previous: the version to which a rollback goes, the first of a split.

    previous_split: the weights, where it goes back to a split.
    """

    since: int
    previous: int | None
    previous_split: dict[int, int] | UnsetType = UNSET


class ReleasePolicy(Struct, kw_only=True):
    """How canaries of an alias are watched: see ReleaseRules."""

    steps: list[int]
    bake_minutes: int
    least_requests: int
    tolerated_loss: float
    alpha: float
    abort: bool
    promote: bool
    metrics: list[str]


class Policy(Struct):
    """protected: only tokens with the scope promote move the alias. two_person: only approved requests do.

    release: how its canaries are watched, if they are.
    """

    protected: bool
    two_person: bool
    release: ReleasePolicy | UnsetType = UNSET


class Proposal(Struct, kw_only=True):
    """The move that a move request asks for."""

    alias: str
    target: Target
    by: str
    name: str | UnsetType = UNSET
    at: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    since: int | UnsetType = UNSET


class MoveRequest(Proposal, kw_only=True):
    """A move of an alias that waits for another person's approval. request: its number.

    policy: what the alias is to have, if the request is for that; its target stays, then.
    """

    request: int
    policy: Policy | UnsetType = UNSET


class Version(Struct, kw_only=True):
    """digest: of the model that is served; source: of the model as it was uploaded. size: bytes of the former."""

    version: int
    state: State
    task: TaskName
    created_at: str
    by: str
    size: int
    digest: Digest
    files: dict[str, Digest]
    source: Digest
    upload: str


class ModelSummary(Struct, kw_only=True):
    name: str
    task: TaskName
    latest: int
    revision: int
    aliases: dict[str, Alias]
    versions: int
    tags: list[str]
    updated_at: str


class ModelList(Struct):
    models: list[ModelSummary]
    next: NextPage


class Model(Struct, kw_only=True):
    """A model, with the newest of its versions and its card (Markdown)."""

    name: str
    task: TaskName
    revision: int
    updated_at: str
    aliases: dict[str, Alias]
    versions: list[Version]
    licence: str | None
    metrics: dict[str, Any]
    tags: list[str]
    card: str | None
    policies: dict[str, Policy]
    requests: list[MoveRequest]


class VersionList(Struct):
    versions: list[Version]
    next: NextNumber


class VersionManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a package, with what the registry knows of the version."""

    version: int
    state: State
    created_at: str
    by: str
    size: int
    digest: Digest
    files: dict[str, Digest]
    source: Digest
    upload: str


class PackageSignature(Struct, kw_only=True):
    """bundle: as OpenSSF's model_signing writes it. files: digests by name. public_keys: of who may have signed."""

    model: str
    version: int
    bundle: dict[str, Any]
    files: dict[str, Digest]
    public_keys: list[str]


class DifferenceRow(Struct, rename={"old": "from", "new": "to"}, kw_only=True):
    """A member that differs, by its dotted path. change: of numbers."""

    path: str
    old: Any
    new: Any
    change: float | UnsetType = UNSET


class VersionDifference(Struct, rename={"old": "from", "new": "to"}, kw_only=True):
    model: str
    old: int
    new: int
    manifest: list[DifferenceRow]
    graph: list[DifferenceRow]
    metrics: list[DifferenceRow]


def target(stored: state.Target) -> Target:
    return msgspec.convert(msgspec.to_builtins(stored), Target)


def alias(stored: state.Alias) -> Alias:
    before = stored.trail[-1].split if stored.trail else {}
    present = asdict(target(stored.target))
    return Alias(since=stored.since, previous=stored.previous, previous_split=before or UNSET, **present)


def aliases(stored: dict[str, state.Alias]) -> dict[str, Alias]:
    return {name: alias(stored[name]) for name in sorted(stored)}


def policy(stored: state.Policy) -> Policy:
    release = UNSET if stored.release is None else msgspec.convert(msgspec.to_builtins(stored.release), ReleasePolicy)
    return Policy(stored.protected or stored.two_person, stored.two_person, release)


def move_request(number: int, stored: state.MoveRequest, wanted: state.Policy | None) -> MoveRequest:
    """wanted: the policy that it asks for, if that is what it does."""
    request = msgspec.convert({"request": number, **msgspec.to_builtins(stored)}, MoveRequest)
    if wanted is not None:
        request.policy = policy(wanted)
    return request


def version(head: Head, stored: state.Version) -> Version:
    return Version(
        version=stored.version,
        state="retired" if stored.version in head.retired else "active",
        task=stored.task,
        created_at=stored.created_at,
        by=stored.by,
        size=stored.size,
        digest=contents.digest(stored),
        files=stored.files,
        source=stored.source,
        upload=stored.upload,
    )


def manifest(head: Head, stored: state.Version, content: Manifest) -> dict[str, Any]:
    """As VersionManifest, without the members that the package did not state."""
    return {**msgspec.to_builtins(content), **msgspec.to_builtins(version(head, stored))}


def summary(stored: catalog.Summary) -> ModelSummary:
    return ModelSummary(
        name=stored.name,
        task=stored.task,
        latest=stored.latest,
        revision=stored.revision,
        aliases=aliases(stored.aliases),
        versions=stored.versions,
        tags=stored.tags,
        updated_at=stored.updated_at,
    )


def model(
    head: Head, content: Manifest, card: str | None, newest: list[state.Version], wanted: dict[int, state.Policy]
) -> Model:
    """content: the manifest of the version that the card is of. newest: the versions to list, of thousands maybe.

    wanted: policies that open requests ask for, by their numbers.
    """
    return Model(
        name=head.model,
        task=content.task,
        revision=head.revision,
        updated_at=head.updated_at,
        aliases=aliases(head.aliases),
        versions=[version(head, one) for one in newest],
        licence=content.licence,
        metrics=content.metrics,
        tags=content.tags if head.tags is None else head.tags,
        card=card,
        policies={name: policy(head.policy(name)) for name in sorted({*head.aliases, *head.policies})},
        requests=[move_request(number, request, wanted.get(number)) for number, request in head.requests.items()],
    )
