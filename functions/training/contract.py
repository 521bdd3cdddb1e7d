"""The queries of training jobs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared import keys
from shared.paging import CURSOR, limit

JobId = Annotated[str, Meta(pattern=f"^{keys.TRAINING}$")]


class JobsQuery(Struct):
    next: Annotated[JobId | None, CURSOR] = None
    limit: Annotated[int, limit(100)] = 20


class StatusQuery(Struct):
    after: Annotated[
        int, Meta(ge=0, le=1_000_000, description="`next` of the previous answer: only newer rows of the metrics")
    ] = 0
