"""What all functions have logged, for who operates the deployment: it reads log groups, and no object of the bucket."""

from __future__ import annotations

import os
import time
from functools import cache

from functions.logs.contract import LogLineList, LogsQuery
from shared.entry.http import Request, Routes
from shared.errors import BadInput, Unavailable
from shared.logged import search
from shared.logged.lines import as_time
from shared.logged.search import Position, Search
from shared.spans import moment

# models="all": lines name callers and other models
handler = Routes("logs")


@cache
def logs() -> search.Logs:
    """The deployment's log groups. Raises Unavailable where the template did not name them."""
    from shared.logged.cloudwatch import CloudWatch

    prefix = os.environ.get("LOG_GROUPS")
    if not prefix:
        raise Unavailable("this function does not know its log groups: deploy the template again")
    return CloudWatch(prefix, os.environ.get("AWS_ENDPOINT_URL") or None)


@handler.route("GET", "/logs", id="getLogs", scope="admin", models="all", query=LogsQuery, gives=LogLineList)
def get_logs(request: Request, query: LogsQuery) -> LogLineList:
    """What functions have logged: of a call, of a model, from a level on; oldest first, a page at a time"""
    now = time.time()
    last = now if query.until is None else moment(query.until, now, "until")
    first = moment(query.since, last, "since")
    if first < 0 or first >= last:
        raise BadInput("the query's since is not before its until, or before 1970")
    wanted = Search(
        first=int(first * 1000),
        last=int(last * 1000),
        functions=(query.function,) if query.function else (),
        call=query.request_id,
        model=query.model,
        level=query.level,
        after=Position.decode(query.next) if query.next else None,
    )
    page, following = search.find(logs(), wanted, query.limit)
    return LogLineList(as_time(wanted.first), as_time(wanted.last), page, following)
