"""The queries of batch jobs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared import batch_keys
from shared.paging import CURSOR, limit

Limit = Annotated[int, limit()]
Chunk = Annotated[int, Meta(ge=0, le=999_999)]
JobId = Annotated[str, Meta(pattern=f"^{batch_keys.BATCH}$")]
Place = Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?$")]


class JobsQuery(Struct):
    model: Annotated[str | None, Meta(description="only jobs of this model")] = None
    next: Annotated[JobId | None, CURSOR] = None
    limit: Annotated[int, limit(100)] = 20


class StatusQuery(Struct):
    wait: Annotated[int, Meta(ge=0, le=20, description="seconds to wait for the end, at most")] = 0


class FailuresQuery(Struct):
    next: Annotated[Place | None, CURSOR] = None
    limit: Limit = 100


class OutputsQuery(Struct):
    next: Annotated[Chunk | None, CURSOR] = None
    limit: Limit = 100
