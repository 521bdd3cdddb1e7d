"""Walking a model's whole log: is every record there, unchanged, in its place, and signed?

Found is any record that was changed, dropped, inserted, swapped or brought from elsewhere, and a cached head that says
something else than the log. What cannot be found from inside is a log whose end was cut off together with every copy of
its head: for that, keep the revision and the digest that a verification answers, and compare them with a later one.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared import keys
from shared.registry import seal
from shared.registry.fold import Broken, fold
from shared.registry.log import BATCH, Log, decode, digest
from shared.registry.state import DAMAGED, Head, Record
from shared.storage.base import ObjectNotFound, get_many, list_all

# as many records as are walked within one call of the API; of longer logs the newest, from a snapshot on
MOST = 5000
# Every record is chained, so the newest signature vouches for all; older ones are looked at as far as time allows.
SIGNATURES = 1000


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
                found = seal.decode_head(log.store.get(info.key).body, model, log.trusted)
                return found or Head(model=model)
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
    try:
        record = decode(body)
    except DAMAGED as error:
        problems.append(Problem(revision, f"the record is damaged: {error}"))
        return replace(head, revision=revision, digest=digest(body))
    problems += [Problem(revision, what) for what in _wrong(log, head, revision, record, body, signed)]
    fitting = replace(record, revision=revision, previous=head.digest)
    try:
        return fold(replace(head, revision=revision - 1), fitting, digest(body))
    except (Broken, KeyError):  # a forged record may refer to versions that there are not
        problems.append(Problem(revision, "the record does not fit the state before it"))
        return replace(head, revision=revision, digest=digest(body))


def _wrong(log: Log, head: Head, revision: int, record: Record, body: bytes, signed: bool) -> list[str]:
    found = []
    if record.revision != revision:
        found.append(f"the record says that it is revision {record.revision}")
    if record.previous != head.digest:
        found.append("the record does not follow the one before it: one of the two was changed")
    if msgspec.json.encode(record) != body:
        found.append("the record is not written as this service writes records")
    if log.trusted and signed:
        problem = seal.wrong_record(record, head.model, log.trusted)
        if problem:
            found.append(f"the record is not to be trusted: {problem}")
    return found


def _head(log: Log, model: str) -> Head | None:
    try:
        return seal.decode_head(log.store.get(keys.head(model)).body, model, log.trusted)
    except ObjectNotFound:
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
    if cached != at_cache:
        return [Problem(cached.revision, "the cached head says something else than the log: remove head.json")]
    return []
