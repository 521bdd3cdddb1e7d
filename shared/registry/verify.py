"""Walking a model's whole log: is every record there, unchanged, in its place, and signed?

Found is any record that was changed, dropped, inserted, swapped or brought from elsewhere, and a cached head that says
something else than the log. What cannot be found from inside is a log whose end was cut off together with every copy of
its head: for that, keep the revision and the digest that a verification answers, and compare them with a later one.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared import formats, keys
from shared.formats import DAMAGED, TooNew
from shared.registry import seal
from shared.registry.fold import Broken, fold
from shared.registry.log import BATCH, Log, decode, digest
from shared.registry.state import Head
from shared.storage.base import ObjectNotFound, get_many, list_all

# as many records as are walked within one call of the API; of longer logs the newest, from a snapshot on
MOST = 5000
# Every record is chained, so the newest signature vouches for all; older ones are looked at as far as time allows.
SIGNATURES = 1000


class Link(Struct, frozen=True):
    """What says where a record belongs, in every format of records."""

    revision: int = 0
    previous: str = ""
    min_reader: int = 1


LINK = msgspec.json.Decoder(Link)


class Problem(Struct, frozen=True):
    revision: int
    what: str


class Report(Struct, frozen=True):
    """revision, digest: of the newest record, to keep and to compare with later. since: what was taken for granted."""

    verified: bool
    revision: int
    digest: str
    problems: list[Problem]
    since: int = 0


def verify(log: Log, model: str, most: int = MOST) -> Report:
    """Check a model's log, its signatures where keys are trusted, and its cached head. Raises NotFound.

    most: how many records to walk. Of a longer log, those before a (signed) snapshot are vouched for by it alone, and
    the report says which.
    """
    start = _start(log, keys.model_name(model), most)
    after = keys.log_record(model, start.revision)
    names = [info.key for info in list_all(log.store, keys.log(model), after=after)]
    if not names and not start.revision and not _head(log, model):
        log.read(model).exists()
    problems: list[Problem] = []
    heads = _walk(log, start, names, problems)
    problems += _compare(log, model, heads[-1], heads[0])
    last = heads[-1]
    found = sorted(problems, key=lambda problem: problem.revision)
    return Report(not found, last.revision, last.digest, found, start.revision)


def _start(log: Log, model: str, most: int) -> Head:
    """The state to begin with: the empty one, or that of the earliest snapshot that leaves no more than `most`."""
    cached = _head(log, model)
    if cached is not None and cached.revision > most:
        for info in list_all(log.store, keys.snapshots(model)):
            if cached.revision - (_revision(info.key) or 0) <= most:
                with suppress(TooNew):
                    return seal.decode_head(log.store.get(info.key).body, model, log.trusted) or Head(model=model)
    return Head(model=model)


def _walk(log: Log, start: Head, names: list[str], problems: list[Problem]) -> tuple[Head, Head]:
    """Fold all records, noting what is wrong. Returns the state at the cached head's revision, and the last one."""
    cached = _head(log, start.model)
    head = at_cache = start
    for first in range(0, len(names), BATCH):
        batch = names[first : first + BATCH]
        for name, found in zip(batch, get_many(log.store, batch), strict=True):
            revision = _revision(name)
            if revision is None:
                problems.append(Problem(head.revision, f"an object that is no record lies in the log: {name}"))
                continue
            near_end = start.revision + len(names) - revision < SIGNATURES
            head = _record(log, head, revision, found.body, near_end, problems)
            if cached and cached.revision == head.revision:
                at_cache = head
    return at_cache, head


def _revision(name: str) -> int | None:
    stem = name.rpartition("/")[2].removesuffix(".json")
    return int(stem) if len(stem) == 12 and stem.isdigit() and name.endswith(".json") else None


def _record(log: Log, head: Head, revision: int, body: bytes, signed: bool, problems: list[Problem]) -> Head:
    """The state after a record; where it is wrong, a state from which the next one can be looked at all the same."""
    for missing in range(head.revision + 1, revision):
        problems.append(Problem(missing, "the record is missing"))
    unknown = replace(head, revision=revision, digest=digest(body))
    try:
        link = LINK.decode(body)
        problems += [Problem(revision, what) for what in _wrong(log, head, revision, link, body, signed)]
        if max(head.min_reader, link.min_reader) > formats.READER:
            return _of_later_release(head, unknown, link, problems)
        record = decode(body)
    except DAMAGED as error:
        problems.append(Problem(revision, f"the record is damaged: {error}"))
        return unknown
    fitting = replace(record, revision=revision, previous=head.digest)
    try:
        return fold(replace(head, revision=revision - 1), fitting, digest(body))
    except (Broken, KeyError):  # a forged record may refer to versions that there are not
        problems.append(Problem(revision, "the record does not fit the state before it"))
        return unknown


def _of_later_release(head: Head, unknown: Head, link: Link, problems: list[Problem]) -> Head:
    """From the first such record on, nobody here can say what the state is: that is said once."""
    if head.min_reader <= formats.READER:
        why = formats.too_new("the record", link.min_reader, formats.READER)
        place = "from here on, places and signatures were checked, and not what records say"
        problems.append(Problem(unknown.revision, f"{why}; {place}"))
    return replace(unknown, min_reader=max(head.min_reader, link.min_reader))


def _wrong(log: Log, head: Head, revision: int, link: Link, body: bytes, signed: bool) -> list[str]:
    reasons = []
    if link.revision != revision:
        reasons.append(f"the record says that it is revision {link.revision}")
    if link.previous != head.digest:
        reasons.append("the record does not follow the one before it: one of the two was changed")
    if not _compact(body):
        reasons.append("the record is not written as this service writes records")
    if log.trusted and signed:
        problem = seal.wrong_record(body, head.model, log.trusted)
        if problem:
            reasons.append(f"the record is not to be trusted: {problem}")
    return reasons


def _compact(body: bytes) -> bool:
    """Whether it is JSON without spaces in which no member is there twice: a matter of JSON, not of what members mean.

    Where nobody signs, what a second member of a name hides would be seen by no other reader.
    """
    return msgspec.json.encode(msgspec.json.decode(body)) == body


def _head(log: Log, model: str) -> Head | None:
    try:
        return seal.decode_head(log.store.get(keys.head(model)).body, model, log.trusted)
    except (ObjectNotFound, TooNew):
        return None


def _compare(log: Log, model: str, last: Head, at_cache: Head) -> list[Problem]:
    """What the cached head knows of the end of the log, which no later record vouches for."""
    cached = _head(log, model)
    if cached is None:
        return []
    if cached.revision > last.revision:
        return [
            Problem(revision, "the record is missing: the cached head knows it")
            for revision in range(last.revision + 1, cached.revision + 1)
        ]
    if cached.digest != at_cache.digest:
        return [Problem(cached.revision, "the record is another one than the cached head was made of")]
    if at_cache.min_reader <= formats.READER and _unnumbered(cached) != _unnumbered(at_cache):
        return [Problem(cached.revision, "the cached head says something else than the log: remove head.json")]
    return []


def _unnumbered(head: Head) -> Head:
    """Release 0.1 knew no numbers, and wrote states without those of the records before."""
    return replace(head, min_reader=1, min_writer=1)
