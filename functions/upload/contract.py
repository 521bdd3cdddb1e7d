"""The queries and bodies of uploads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from shared import keys
from shared.paging import CURSOR, limit


class UploadsQuery(Struct):
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit()] = 100


UploadId = Annotated[str, Meta(pattern=f"^{keys.UPLOAD}$")]


class RedriveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """uploads: to check again; empty, those that the queue of failed events names."""

    uploads: Annotated[list[UploadId], Meta(max_length=100)] = field(default_factory=list)
