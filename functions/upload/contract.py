"""The queries of uploads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class UploadsQuery(Struct):
    next: Annotated[str | None, Meta(description="`next` of the previous page")] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="length of the page, at most")] = 100
