"""What the API answers, for the description only: functions answer with plain dictionaries and never import this.

Members that may be missing are UNSET; those that are always there, and may be null, are `| None` without a default.
What functions answer as it is stored (uploads, records of a history, tensors) is described by its own type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.package.manifest import Manifest, Task
from shared.registry.state import Record, Target
from shared.registry.verify import Problem
from shared.uploads.states import Upload

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, in hex")]
Next = Annotated[str | None, Meta(description="where the next page starts; null on the last one")]
NextNumber = Annotated[int | None, Meta(description="where the next page starts; null on the last one")]


class Error(Struct):
    """Every answer that is no success: what happened, and what to do."""

    error: Annotated[str, Meta(min_length=1)]


# ---- the catalogue


class Place(Struct, kw_only=True):
    """Where an alias points. split: weights by version; shadow: a version asked too, whose answers nobody gets."""

    version: int
    split: dict[str, int] | UnsetType = UNSET
    shadow: int | UnsetType = UNSET


class AliasState(Place, kw_only=True):
    """since: the revision that set it. previous: the version to which a rollback goes, the first of a split.

    previous_split: the weights, where it goes back to a split.
    """

    since: int
    previous: int | None
    previous_split: dict[str, int] | UnsetType = UNSET


class PolicyState(Struct):
    protected: bool
    two_person: bool


class Waiting(Struct, kw_only=True):
    """A move of an alias that waits for a second person."""

    request: int
    alias: str
    target: Target
    by: str
    name: str | UnsetType = UNSET
    at: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    since: int | UnsetType = UNSET


class VersionState(Struct, kw_only=True):
    """digest: of the model that is served; source: of the model as it was uploaded. size: bytes of the former."""

    version: int
    state: Literal["active", "retired"]
    task: Task
    created_at: str
    by: str
    size: int
    digest: Digest
    files: dict[str, Digest]
    source: Digest
    upload: str


class ModelSummary(Struct, kw_only=True):
    name: str
    task: Task
    latest: int
    revision: int
    aliases: dict[str, AliasState]
    versions: int
    tags: list[str]
    updated_at: str


class Models(Struct):
    models: list[ModelSummary]
    next: Next


class Model(Struct, kw_only=True):
    """A model, with the newest of its versions and its card (Markdown)."""

    name: str
    task: Task
    revision: int
    updated_at: str
    aliases: dict[str, AliasState]
    versions: list[VersionState]
    licence: str | None
    metrics: dict[str, Any]
    tags: list[str]
    card: str | None
    policies: dict[str, PolicyState]
    requests: list[Waiting]


class Versions(Struct):
    versions: list[VersionState]
    next: NextNumber


class VersionManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a package, with what the registry knows of the version."""

    version: int
    state: Literal["active", "retired"]
    created_at: str
    by: str
    size: int
    digest: Digest
    files: dict[str, Digest]
    source: Digest
    upload: str


class Signature(Struct, kw_only=True):
    """bundle: as OpenSSF's model_signing writes it. files: digests by name. public_keys: of who may have signed."""

    model: str
    version: int
    bundle: dict[str, Any]
    files: dict[str, Digest]
    public_keys: list[str]


class Row(Struct, rename={"old": "from", "new": "to"}, kw_only=True):
    """A member that differs, by its dotted path. change: of numbers."""

    path: str
    old: Any
    new: Any
    change: float | UnsetType = UNSET


class Difference(Struct, rename={"old": "from", "new": "to"}, kw_only=True):
    model: str
    old: int
    new: int
    manifest: list[Row]
    graph: list[Row]
    metrics: list[Row]


class History(Struct, kw_only=True):
    """Newest first. Members behind `next` are there with verify=true: is every record there, unchanged and signed?"""

    records: list[Record]
    next: NextNumber
    verified: bool | UnsetType = UNSET
    problems: list[Problem] | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    since: int | UnsetType = UNSET


# ---- files on their way in, and tokens


class Call(Struct):
    method: Literal["POST", "DELETE"]
    url: str


class FileTarget(Struct, kw_only=True):
    """Where to send a file: in one piece (method, url, headers), or in parts, then `complete` or `abort`."""

    name: str
    method: Literal["PUT"] | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    part_size: int | UnsetType = UNSET
    parts: list[str] | UnsetType = UNSET
    complete: Call | UnsetType = UNSET
    abort: Call | UnsetType = UNSET


class UploadTicket(Struct, kw_only=True):
    upload_id: str
    model: str
    state: Literal["waiting"]
    expires_at: str
    files: list[FileTarget]
    status_url: str


class Uploads(Struct):
    uploads: list[Upload]
    next: Next


class TokenState(Struct, kw_only=True):
    """expires_at: seconds since the epoch."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: float | None
    revoked: bool


class Tokens(Struct):
    tokens: list[TokenState]


class CreatedToken(TokenState, kw_only=True):
    """token: its plain text, which is shown this once."""

    token: str


# ---- batch jobs


class Chunks(Struct):
    all: int | None
    done: int


class BatchState(Struct, kw_only=True):
    """How far a job is. results: the answers, where they are few; inputs: how many there are, once that is known."""

    id: str
    model: str
    version: int
    state: Literal["waiting", "planning", "running", "done", "incomplete", "failed", "cancelled"]
    created_at: str
    inputs: int | None
    done: int
    failed: int
    chunks: Chunks
    failures: list[dict[str, Any]]
    status_url: str
    error: str | UnsetType = UNSET
    results: list[dict[str, Any]] | UnsetType = UNSET


class BatchTicket(BatchState, kw_only=True):
    files: list[FileTarget]
    start_url: str


class FileTargets(Struct):
    files: list[FileTarget]


class Failures(Struct):
    """Lines of the inputs that failed, each with its `error`."""

    failures: list[dict[str, Any]]
    next: Next


class Output(Struct):
    """The answers of one chunk, as JSON lines behind a URL that expires."""

    chunk: int
    inputs: int
    failed: int
    url: str


class Outputs(Struct):
    outputs: list[Output]
    next: NextNumber


# ---- training jobs


class TrainingSummary(Struct, kw_only=True):
    """upload_id, version: of the package that came out of it. reason: why it failed, or does not start."""

    id: str
    model: str
    data: str
    state: Literal["submitted", "queued", "running", "publishing", "succeeded", "failed", "cancelled"]
    by: str
    created_at: str
    updated_at: str
    attempts: int
    status_url: str
    reason: str | UnsetType = UNSET
    upload_id: str | UnsetType = UNSET
    version: int | UnsetType = UNSET


class TrainingJob(TrainingSummary, kw_only=True):
    """metrics: one row per epoch, those behind the first `after`. next: what to give as `after` the next time.

    reports: of a job that is over, where to fetch what cleaning dropped and the pictures, by file name.
    """

    arguments: dict[str, Any]
    metrics: list[dict[str, Any]]
    next: int
    reports: dict[str, str] | UnsetType = UNSET


class TrainingJobs(Struct):
    jobs: list[TrainingSummary]
    next: Next
