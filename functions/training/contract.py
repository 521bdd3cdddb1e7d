"""The queries of training jobs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared import keys

JobId = Annotated[str, Meta(pattern=f"^{keys.TRAINING}$")]


class JobsQuery(Struct):
    next: Annotated[JobId | None, Meta(description="`next` of the previous page")] = None
    limit: Annotated[int, Meta(ge=1, le=100, description="length of the page, at most")] = 20


class StatusQuery(Struct):
    after: Annotated[
        int, Meta(ge=0, le=1_000_000, description="`next` of the previous answer: only newer rows of the metrics")
    ] = 0
