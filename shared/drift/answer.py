"""The answer to `GET /models/{model}/drift`: counts of a span, compared version by version."""

from __future__ import annotations

import time

from shared.counts import read
from shared.counts.counts import Counts, by_version
from shared.counts.read import Wanted
from shared.counts.times import HOUR, to_text
from shared.counts.views import span
from shared.drift import first_calls, verdict, views
from shared.drift.verdict import Verdict
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Head


def answer(
    log: Log,
    model: str,
    *,
    since: str = "1d",
    until: str | None = None,
    version: int | None = None,
    alias: str | None = None,
) -> views.ModelDrift:
    """version, alias: only calls of these. Raises BadInput, NotFound, Unavailable."""
    head = models.get(log, model)
    if version is not None:
        versions.get(log, head, version)
    first, last, _ = span(since, until, "hour", time.time())
    selection = read.read(
        log.store, Wanted(model=head.model, first=first, last=last, step=HOUR, version=version, alias=alias)
    )
    called = by_version(selection.table)
    return views.ModelDrift(
        model=head.model,
        since=to_text(first),
        until=to_text(last),
        alpha=verdict.ALPHA,
        versions=[
            views.version(number, called[number].requests, judged(log, head, number, called[number], first))
            for number in sorted(called)
            if head.has_version(number)
        ],
        left_out=selection.left_out,
        dropped=selection.dropped,
    )


def judged(log: Log, head: Head, number: int, counts: Counts, first: int) -> Verdict:
    """Of a version's counts since a minute. Raises NotFound, TooNew, Unavailable."""
    version = versions.get(log, head, number)
    manifest = models.manifest(log, version)
    baseline = None
    if not manifest.reference and (counts.scores or counts.labels):
        baseline = first_calls.of(log.store, head.model, version, first)
    return verdict.judge(manifest, counts, baseline)
