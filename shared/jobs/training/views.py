"""The public forms of training jobs: what the API answers."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextPage


class TrainingJobSummary(Struct, kw_only=True):
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


class TrainingJob(TrainingJobSummary, kw_only=True):
    """metrics: one row per epoch, those behind the first `after`. next: what to give as `after` the next time.

    reports: of a job that is over, where to fetch what cleaning dropped and the pictures, by file name. They show items
    of the data: only whoever started the job, or may read its data sets, is told.
    """

    arguments: dict[str, Any]
    metrics: list[dict[str, Any]]
    next: int
    reports: dict[str, str] | UnsetType = UNSET


class TrainingJobList(Struct):
    jobs: list[TrainingJobSummary]
    next: NextPage


class TrainingDataDeletion(Struct):
    """Who deleted a job's data, and when; how many objects, versions of these, and bytes that were.

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
