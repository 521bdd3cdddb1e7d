"""What the routes of labels answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from shared.clock import now
from shared.storage.base import Purged


class LabelsDeleted(Struct, frozen=True, kw_only=True):
    """The receipt of a deletion. objects: that were deleted, with how many versions and bytes."""

    model: str
    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: Annotated[int, Meta(description="versions that the bucket's Object Lock holds until their time is over")]


def deleted(model: str, by: str, purged: Purged) -> LabelsDeleted:
    return LabelsDeleted(model=model, by=by, at=now(), **asdict(purged))
