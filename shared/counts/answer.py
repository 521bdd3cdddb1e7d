"""The answer to `GET /models/{model}/stats`: what is asked for, read and put into a page."""

from __future__ import annotations

import time

from shared.counts import read, views
from shared.counts.read import Wanted
from shared.storage.base import Store


def answer(
    store: Store,
    model: str,
    *,
    since: str = "1h",
    until: str | None = None,
    step: str | None = None,
    version: int | None = None,
    alias: str | None = None,
    limit: int = 1000,
    next: str | None = None,
) -> views.ModelCounts:
    """version, alias: only calls of these. Raises BadInput, Unavailable."""
    first, last, step = views.span(since, until, step, time.time())
    wanted = Wanted(model=model, first=first, last=last, step=views.STEPS[step], version=version, alias=alias)
    return views.stats(read.read(store, wanted), wanted, step, limit, next)
