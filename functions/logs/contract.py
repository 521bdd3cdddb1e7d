"""What a query of the log may say, and what it is answered."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared import keys
from shared.logged.lines import Level, LogLine
from shared.logged.search import Function
from shared.paging import CURSOR, NextPage, limit

Call = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Model = Annotated[str, Meta(pattern=f"^{keys.MODEL}$")]


class LogsQuery(Struct):
    request_id: Annotated[Call | None, Meta(description="of a call, as its error names it: all lines of it")] = None
    model: Annotated[Model | None, Meta(description="lines that name the model")] = None
    function: Annotated[Function | None, Meta(description="of one function; omitted: of all")] = None
    level: Annotated[Level | None, Meta(description="lines of this level, and of worse ones")] = None
    since: Annotated[
        str, Meta(max_length=40, description="a time (2026-01-31T17:00:00Z), or so long ago: 15m, 24h, 30d")
    ] = "1h"
    until: Annotated[str | None, Meta(description="a time, or so long ago; omitted: now")] = None
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit(1000)] = 100


class LogLineList(Struct):
    """lines: oldest first."""

    since: str
    until: str
    lines: list[LogLine]
    next: NextPage
