"""The catalog: an index of all models in one object, so that listings and searches need not read each model.

It is derived from the heads and never assumed to be complete. Before a transition is committed, its writer leaves a
marker with the model and the next revision; a reader takes the index, lists the markers, and reads the heads of models
that the index has at an earlier revision only. One transition in COMPACTING merges them into the index and removes the
markers. A marker whose writer failed before the commit costs each reader one head, until the model's next transition.
A lost index is rebuilt from a listing of all models.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
from msgspec import Struct, field

from shared import deadline, keys
from shared.errors import Unavailable
from shared.formats import DAMAGED, TooNew
from shared.registry import models
from shared.registry.fold import Broken
from shared.registry.log import Log
from shared.registry.state import Alias, Head
from shared.storage.base import (
    PARALLEL,
    AlreadyExists,
    ObjectNotFound,
    PreconditionFailed,
    Store,
    delete_many,
    list_all,
    list_folders,
)

logger = logging.getLogger(__name__)

COMPACTING = 16  # transitions for each compaction, on average


class Summary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model in the catalog. ready: numbers of versions that are not retired, as ranges with both ends included."""

    name: str
    revision: int
    task: str = "tensor"
    latest: int = 0
    versions: int = 0
    updated_at: str = ""
    aliases: dict[str, Alias] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    ready: list[tuple[int, int]] = field(default_factory=list)
    deleted: bool = field(default=False, name="gone")


class Index(Struct, frozen=True, tag_field="format", tag=1):
    """Derived data: an index in a later format is not refused, but rebuilt."""

    models: dict[str, Summary]


INDEX = msgspec.json.Decoder(Index)


def summary(log: Log, head: Head) -> Summary:
    if not head.alive:
        return Summary(name=head.model, revision=head.revision, deleted=True)
    version = models.representative_version(head)
    return Summary(
        name=head.model,
        revision=head.revision,
        task=version.task,
        latest=head.latest,
        versions=head.latest - head.first + 1,
        updated_at=head.updated_at,
        aliases={name: msgspec.structs.replace(alias, trail=alias.trail[-1:]) for name, alias in head.aliases.items()},
        tags=models.manifest(log, version).tags if head.tags is None else head.tags,
        ready=_ranges([n for n in range(head.first, head.latest + 1) if n not in head.retired]),
    )


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def list_models(log: Log) -> dict[str, Summary]:
    """All models by name, in their present state: 2 requests, and one or two for each that changed since the index."""
    index, _, markers = _read_index(log.store)
    summaries = index.models | _read_summaries(log, _changed_models(index, markers))
    return {name: summaries[name] for name in sorted(summaries) if not summaries[name].deleted}


def page(
    log: Log,
    *,
    search: str = "",
    task: str | None = None,
    tag: str | None = None,
    after: str | None = None,
    limit: int = 100,
    permitted: Callable[[str], bool] | None = None,
) -> tuple[list[Summary], str | None]:
    """Models by name, filtered by a part of the name, a task and a tag; and the `after` of the next page, if any."""
    matches = [
        one
        for one in list_models(log).values()
        if (after is None or one.name > after)
        and search.lower() in one.name.lower()
        and task in (None, one.task)
        and (tag is None or tag in one.tags)
        and (permitted is None or permitted(one.name))
    ]
    return matches[:limit], matches[limit - 1].name if len(matches) > limit else None


def compact_sometimes(log: Log, head: Head) -> None:
    """Compact after one transition in COMPACTING, chosen at random, so that writers need not coordinate."""
    if random.random() * COMPACTING >= 1:
        return
    try:
        compact(log)
    except Unavailable as error:
        logger.warning("the catalog was not compacted", extra={"why": str(error)})


def compact(log: Log) -> None:
    """Merge the changes that markers stand for into the index, and remove the markers that it covers."""
    index, etag, markers = _read_index(log.store)
    updates = _read_summaries(log, _changed_models(index, markers))
    summaries = index.models | updates
    if updates:
        try:
            body = msgspec.json.encode(Index(summaries))
            log.store.put(keys.CATALOG, body, if_absent=etag is None, if_match=etag, content_type="application/json")
        except (AlreadyExists, PreconditionFailed):
            return  # another writer was faster, and read most of the same markers
    covered = [
        keys.changed(name, revision)
        for name, revisions in markers.items()
        for revision in revisions
        if name in summaries and 0 < revision <= summaries[name].revision
    ]
    delete_many(log.store, covered)


def _read_index(store: Store) -> tuple[Index, str | None, dict[str, list[int]]]:
    """The index, its ETag, and the revisions of markers, by model.

    The markers are listed first: a marker removed between the two reads is covered by the index read after it.
    """
    markers: dict[str, list[int]] = {}
    for info in list_all(store, keys.CHANGED):
        marker = keys.parse_changed(info.key)
        if marker is not None:
            markers.setdefault(marker[0], []).append(marker[1])
    etag = None
    try:
        stored = store.get(keys.CATALOG)
        etag = stored.etag
        return INDEX.decode(stored.body), etag, markers
    except (ObjectNotFound, *DAMAGED):
        # revision 0 stands for every model, as if each had changed, and is never removed as a marker
        return Index({}), etag, {name: [0] for name in list_names(store)} | markers


def list_names(store: Store) -> list[str]:
    """The names of all models, deleted ones included."""
    return [name for name in list_folders(store, keys.MODELS) if keys.is_model(name)]


def _changed_models(index: Index, markers: dict[str, list[int]]) -> list[str]:
    return [
        name
        for name, revisions in markers.items()
        if name not in index.models or index.models[name].revision < max(revisions)
    ]


def _read_summaries(log: Log, names: Sequence[str]) -> dict[str, Summary]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        summaries = pool.map(deadline.carry(partial(_read_summary, log)), names)
        return {one.name: one for one in summaries if one is not None}


def _read_summary(log: Log, name: str) -> Summary | None:
    try:
        return summary(log, log.read(name))
    except (Broken, TooNew) as error:
        # one unreadable model must not make the listing fail: it is listed in its last readable state
        logger.error("a model cannot be read and is listed in its last readable state", extra={"why": str(error)})
        return None
