"""The catalogue: an index of all models in one object, so that neither a listing nor a search asks each of them.

It is derived from the heads and never trusted to be complete. Before a transition is committed, its writer leaves a
mark that names the model and the revision to come; a reader takes the index, lists the marks, and reads the heads of
those models that the index knows at an earlier revision only. One transition in COMPACTING folds them into the index
and removes the marks. A mark whose writer never got to its revision costs a reader one head, until the model moves on.
A lost index is made again from a listing of all models.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec import Struct, field

from shared import keys
from shared.errors import Unavailable
from shared.formats import DAMAGED, TooNew
from shared.registry import models
from shared.registry.fold import Broken
from shared.registry.log import Log
from shared.registry.state import Alias, Head
from shared.storage.base import PARALLEL, AlreadyExists, ObjectNotFound, PreconditionFailed, Store, list_all

logger = logging.getLogger(__name__)

COMPACTING = 16


class Summary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the catalogue says of a model. ready: the numbers of versions in use, as ranges with both ends included."""

    name: str
    revision: int
    task: str = "tensor"
    latest: int = 0
    versions: int = 0
    updated_at: str = ""
    aliases: dict[str, Alias] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    ready: list[tuple[int, int]] = field(default_factory=list)
    gone: bool = False


class Index(Struct, frozen=True, tag_field="format", tag=1):
    """What is derived is not refused in a later format, but made again."""

    models: dict[str, Summary]


INDEX = msgspec.json.Decoder(Index)


def summary(log: Log, head: Head) -> Summary:
    if not head.alive:
        return Summary(name=head.model, revision=head.revision, gone=True)
    shown = models.shown(head)
    return Summary(
        name=head.model,
        revision=head.revision,
        task=shown.task,
        latest=head.latest,
        versions=head.latest - head.first + 1,
        updated_at=head.updated_at,
        aliases={name: msgspec.structs.replace(alias, trail=alias.trail[-1:]) for name, alias in head.aliases.items()},
        tags=models.manifest(log, shown).tags if head.tags is None else head.tags,
        ready=_ranges([n for n in range(head.first, head.latest + 1) if n not in head.retired]),
    )


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def every(log: Log) -> dict[str, Summary]:
    """All models by name, as they are now: 2 requests, and one or two for each that the index does not know yet."""
    index, _, marks = _read(log.store)
    known = index.models | _fresh(log, _behind(index, marks))
    return {name: known[name] for name in sorted(known) if not known[name].gone}


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
    """Models by name: those whose name contains `search`, of a task, with a tag; and where the next page starts."""
    found = [
        one
        for one in every(log).values()
        if (after is None or one.name > after)
        and search.lower() in one.name.lower()
        and task in (None, one.task)
        and (tag is None or tag in one.tags)
        and (permitted is None or permitted(one.name))
    ]
    return found[:limit], found[limit - 1].name if len(found) > limit else None


def compact_sometimes(log: Log, head: Head) -> None:
    """What follows a transition: one in COMPACTING brings the index up to date, so that its cost is spread evenly."""
    if random.random() * COMPACTING >= 1:
        return
    try:
        compact(log)
    except Unavailable as error:
        logger.warning("the catalogue was not compacted", extra={"why": str(error)})


def compact(log: Log) -> None:
    """Fold what the marks name into the index, and remove the marks that it covers."""
    index, etag, marks = _read(log.store)
    fresh = _fresh(log, _behind(index, marks))
    known = index.models | fresh
    if fresh:
        try:
            body = msgspec.json.encode(Index(known))
            log.store.put(keys.CATALOG, body, if_absent=etag is None, if_match=etag, content_type="application/json")
        except (AlreadyExists, PreconditionFailed):
            return  # somebody else was faster, and had most of the same marks before them
    covered = [
        keys.changed(name, revision)
        for name, revisions in marks.items()
        for revision in revisions
        if name in known and 0 < revision <= known[name].revision
    ]
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(log.store.delete, covered))


def _read(store: Store) -> tuple[Index, str | None, dict[str, list[int]]]:
    """The index, its ETag, and the revisions that marks name, by model.

    The marks come first: an index that is read later can only know more.
    """
    marks: dict[str, list[int]] = {}
    for info in list_all(store, keys.CHANGED):
        mark = keys.parse_changed(info.key)
        if mark is not None:
            marks.setdefault(mark[0], []).append(mark[1])
    etag = None
    try:
        found = store.get(keys.CATALOG)
        etag = found.etag
        return INDEX.decode(found.body), etag, marks
    except (ObjectNotFound, *DAMAGED):
        return Index({}), etag, {name: [0] for name in names(store)} | marks


def names(store: Store) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = store.list_page(keys.MODELS, delimiter="/", token=token)
        folders = [prefix[len(keys.MODELS) : -1] for prefix in page.prefixes]
        found += [name for name in folders if keys.is_model(name)]
        token = page.next
        if not token:
            return found


def _behind(index: Index, marks: dict[str, list[int]]) -> list[str]:
    return [
        name
        for name, revisions in marks.items()
        if name not in index.models or index.models[name].revision < max(revisions)
    ]


def _fresh(log: Log, names: Sequence[str]) -> dict[str, Summary]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = pool.map(lambda name: _one(log, name), names)
        return {one.name: one for one in found if one is not None}


def _one(log: Log, name: str) -> Summary | None:
    try:
        return summary(log, log.read(name))
    except (Broken, TooNew) as error:
        # one model that cannot be read must not take the catalogue away: it is listed as it was known before
        logger.error("not in the catalogue as it is", extra={"why": str(error)})
        return None
