"""The queries of uploads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from shared.paging import CURSOR, limit


class UploadsQuery(Struct):
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit()] = 100
