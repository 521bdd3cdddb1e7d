"""A version's accuracy as `GET /models/{model}/accuracy` answers it."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.feedback.measured import MeasuredWeek

State = Literal["estimated", "doubtful", "waiting"]
Share = Annotated[float | None, Meta(description="from 0 to 1, or null")]


class VersionAccuracy(Struct, kw_only=True):
    """estimate: without labels, from the top scores of calls and how often such scores were right on the test split;
    low, high: its 95 % interval. trained: on the test split. state: estimated; doubtful, as inputs or labels drift, so
    that a score may not mean what it did; or waiting. reason: a sentence.
    """

    version: int
    requests: int
    items: int
    state: State
    reason: str
    estimate: Share
    low: Share
    high: Share
    trained: Share


class ModelAccuracy(Struct, kw_only=True):
    """measured: by the labels that callers gave, newest week first. left_out, dropped: as in the counts.

    labels_left_out, labels_dropped: objects with labels that cannot be read; labels beyond those that a day holds.
    """

    model: str
    since: str
    until: str
    versions: list[VersionAccuracy]
    measured: list[MeasuredWeek]
    left_out: int
    dropped: int
    labels_left_out: int
    labels_dropped: int
