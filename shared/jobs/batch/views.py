"""The public forms of batch jobs: what the API answers."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextNumber, NextPage
from shared.uploads.views import FileDestination


class ChunkCount(Struct):
    all: int | None
    done: int


class BatchJobCounts(Struct, kw_only=True):
    """How far a job is. inputs: how many there are, once that is known."""

    id: str
    model: str
    version: int
    state: Literal["waiting", "planning", "running", "done", "incomplete", "failed", "cancelled"]
    created_at: str
    inputs: int | None
    done: int
    failed: int
    chunks: ChunkCount
    status_url: str


class BatchJob(BatchJobCounts, kw_only=True):
    """How far a job is. results: the answers, where they are few; inputs: how many there are, once that is known."""

    failures: list[dict[str, Any]]
    error: str | UnsetType = UNSET
    results: list[dict[str, Any]] | UnsetType = UNSET


class BatchJobSummary(BatchJobCounts, kw_only=True):
    """by: the token that created the job."""

    by: str


class BatchJobList(Struct):
    jobs: list[BatchJobSummary]
    next: NextPage


class BatchJobCreated(BatchJob, kw_only=True):
    """Send the files, then POST to `start_url`."""

    files: list[FileDestination]
    start_url: str


class FileDestinations(Struct):
    """Send the files."""

    files: list[FileDestination]


class BatchFailures(Struct):
    """Lines of the inputs that failed, each with its `error`."""

    failures: list[dict[str, Any]]
    next: NextPage


class BatchOutput(Struct):
    """The answers of one chunk, as JSON lines behind a URL that expires."""

    chunk: int
    inputs: int
    failed: int
    url: str


class BatchOutputs(Struct):
    outputs: list[BatchOutput]
    next: NextNumber


class BatchDataDeletion(Struct):
    """Who deleted a job, and when; how many objects, versions of these, and bytes that were.

    kept: versions that the bucket's Object Lock holds until their time is over; no call finds them any more.
    """

    job: str
    model: str
    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: int = 0
