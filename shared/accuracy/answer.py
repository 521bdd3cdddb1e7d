"""The answer to `GET /models/{model}/accuracy`: counts of a span, and what they say of how often answers are right."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from shared.accuracy import estimate, views
from shared.accuracy.estimate import Estimate
from shared.counts import read
from shared.counts.counts import Counts, Table, by_version
from shared.counts.read import Wanted
from shared.counts.times import DAY, HOUR, to_text
from shared.counts.views import span
from shared.drift import verdict
from shared.drift.columns import BEST_LABEL
from shared.drift.histograms import LEAST_ITEMS
from shared.feedback import measured, stored
from shared.feedback.labels import Labels
from shared.feedback.labels import judged as labels_of
from shared.feedback.measured import MeasuredWeek
from shared.package.manifest import Manifest
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Head


def answer(
    log: Log,
    model: str,
    *,
    since: str = "7d",
    until: str | None = None,
    version: int | None = None,
    alias: str | None = None,
) -> views.ModelAccuracy:
    """version, alias: only calls of these. Raises BadInput, NotFound, Unavailable."""
    head = models.get(log, model)
    if version is not None:
        versions.get(log, head, version)
    first, last, _ = span(since, until, "hour", time.time())
    wanted = Wanted(model=head.model, first=first, last=last, step=HOUR, version=version, alias=alias)
    selection = read.read(log.store, wanted)
    called = by_version(selection.table)

    @cache
    def manifest(number: int) -> Manifest:
        return models.manifest(log, versions.get(log, head, number))

    labels = stored.read(log.store, head.model, first // DAY, (last - 1) // DAY)
    return views.ModelAccuracy(
        model=head.model,
        since=to_text(first),
        until=to_text(last),
        versions=[
            of_version(number, manifest(number), called[number])
            for number in sorted(called)
            if head.has_version(number)
        ],
        measured=_measured(head, labels.labels, selection.table, wanted, manifest),
        left_out=selection.left_out,
        dropped=selection.dropped,
        labels_left_out=labels.left_out,
        labels_dropped=labels.labels.dropped,
    )


def _measured(
    head: Head, labels: Labels, table: Table, wanted: Wanted, manifest: Callable[[int], Manifest]
) -> list[MeasuredWeek]:
    """manifest: of a version, by its number."""
    judged = [
        one
        for one in labels_of(labels)
        if wanted.first <= one.answer.minute < wanted.last
        and wanted.version in (None, one.answer.version)
        and wanted.alias in (None, one.answer.alias)
        and head.has_version(one.answer.version)
    ]
    answered: dict[tuple[int, int], int] = {}
    for (key, at), counts in table.items():
        place = key.version, measured.week_of(at)
        answered[place] = answered.get(place, 0) + sum(counts.scores.values())
    names = {number: manifest(number).labels for number in {one.answer.version for one in judged}}
    return measured.by_week(judged, answered, names)


def of_version(number: int, manifest: Manifest, counts: Counts) -> views.VersionAccuracy:
    items, table = sum(counts.scores.values()), estimate.calibration(manifest)
    if table is None:
        missing = "the package has no calibration table: packages that `amaas train` makes have one"
        return _view(number, counts, "waiting", missing, None)
    found = estimate.estimate(table, counts.scores)
    if found is None or items < LEAST_ITEMS:
        waiting = f"{items} answers with a score were counted in this span: {LEAST_ITEMS} are needed"
        return _view(number, counts, "waiting", waiting, None)
    drifting = [
        one.column.name
        for one in verdict.judge(manifest, counts).compared
        if one.severity != "none" and (one.of == "inputs" or one.column.name == BEST_LABEL)
    ]
    if drifting:
        doubt = f"not to be believed, as calls drift ({', '.join(drifting[:3])}): a score may not mean what it did"
        return _view(number, counts, "doubtful", doubt, found)
    believed = "from the scores of calls, and how often such scores were right on the test split"
    return _view(number, counts, "estimated", believed, found)


def _view(
    number: int, counts: Counts, state: views.State, reason: str, found: Estimate | None
) -> views.VersionAccuracy:
    def rounded(value: float) -> float:
        return round(value, 4)

    return views.VersionAccuracy(
        version=number,
        requests=counts.requests,
        items=sum(counts.scores.values()),
        state=state,
        reason=reason,
        estimate=rounded(found.accuracy) if found else None,
        low=rounded(found.low) if found else None,
        high=rounded(found.high) if found else None,
        trained=rounded(found.trained) if found else None,
    )
