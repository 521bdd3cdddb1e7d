"""Verification of a model's whole log: is every record present, unchanged, at its revision, and signed?

Detects records that were changed, removed, inserted, swapped or copied from another log, and a cached head that
contradicts the log. A log whose end was cut off together with its head is found out by what others have seen of it
(witness.py). If these were changed as well, it is NOT detectable from inside: for that, keep the revision and the
digest that a verification returns, and compare them with a later one.

A long log is verified in parts, from its end: each part says at which record the part before it ends (`Report.before`),
and its own end has to be the record that the later part begins after.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared import formats, keys
from shared.errors import BadInput
from shared.formats import DAMAGED, TooNew
from shared.registry import signatures, witness
from shared.registry.fold import Broken, fold
from shared.registry.log import BATCH, Log, decode, digest
from shared.registry.state import Head
from shared.registry.witness import Problem
from shared.storage.base import ObjectNotFound, get_many, list_all

# records that one call of the API can walk in time; of longer logs the newest, from a snapshot on
MAX_RECORDS = 5000
# Records are chained, so the newest signature covers all; older ones are verified as far as time allows.
SIGNATURES = 1000


class Link(Struct, frozen=True):
    """The members that give a record its place in the chain: the same in every format."""

    revision: int = 0
    previous: str = ""
    min_reader: int = 1


LINK = msgspec.json.Decoder(Link)


class Position(NamedTuple):
    """A record, by its revision and its digest. As text, it is the cursor of the API."""

    revision: int
    digest: str

    def __str__(self) -> str:
        return f"{self.revision}-{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises BadInput."""
        revision, _, digest = text.partition("-")
        if not re.fullmatch(r"[0-9]{1,12}", revision) or not re.fullmatch(keys.DIGEST, digest):
            raise BadInput("verify_next has to be the verify_next of the answer before")
        return cls(int(revision), digest)


class Report(Struct, frozen=True):
    """verified: None where no problem was seen, but not all records up to `revision` were read: `before` goes on.

    revision, digest: of the last record that was read, the newest one at first, to compare with a later report. since:
    the last record before them that was not read; before: the same as a position, None where all were read.
    """

    verified: bool | None
    revision: int
    digest: str
    problems: list[Problem]
    since: int = 0
    before: Position | None = None


def verify(
    log: Log, model: str, most: int = MAX_RECORDS, until: Position | None = None, seen: int | None = None
) -> Report:
    """Check a model's log, its signatures where keys are trusted, and its cached head. Raises NotFound.

    most: number of records to walk. Of a longer log, those after a (signed) snapshot are walked. until: `before` of the
    report on the later part, to go on with the earlier one. seen: a revision that the log has had; by default, what its
    witnesses say.
    """
    keys.model_name(model)
    if seen is None:
        seen = witness.newest(log.store, model) if until is None else 0
    end = _cached_head(log, model) if until is None else _snapshot(log, model, until.revision)
    start = _start(log, model, most, end)
    after = keys.log_record(model, start.revision)
    objects = [info.key for info in list_all(log.store, keys.log(model), after=after)]
    problems: list[Problem] = []
    if until is not None:
        objects = [name for name in objects if name <= keys.log_record(model, until.revision)]
    at_end, last = _walk(log, start, objects, problems, end)
    problems += _compare_end(end, last, at_end)
    if until is None:
        problems += witness.missing(max(last.revision, end.revision if end else 0), seen)
        if not last.revision and not problems:
            log.read(model).require_existing()
    elif (last.revision, last.digest) != until:
        problems.append(Problem(until.revision, "the record is not the one that the later records follow"))
    problems.sort(key=lambda problem: problem.revision)
    before = Position(start.revision, start.digest) if start.revision else None
    verified = False if problems else None if before else True
    return Report(verified, last.revision, last.digest, problems, start.revision, before)


def _start(log: Log, model: str, most: int, end: Head | None) -> Head:
    """The state to begin with: the empty one, or the earliest snapshot with at most `most` records after it."""
    if end is not None and end.revision > most:
        for info in list_all(log.store, keys.snapshots(model)):
            revision = _revision(info.key) or 0
            if end.revision - most <= revision < end.revision:
                return _snapshot(log, model, revision) or Head(model=model)
    return Head(model=model)


def _snapshot(log: Log, model: str, revision: int) -> Head | None:
    try:
        return signatures.decode_head(log.store.get(keys.snapshot(model, revision)).body, model, log.trusted)
    except (ObjectNotFound, TooNew):
        return None


def _walk(log: Log, start: Head, objects: list[str], problems: list[Problem], cached: Head | None) -> tuple[Head, Head]:
    """Fold all records, adding to problems. Returns the state at the cached head's revision, and the last one."""
    head = at_cache = start
    for first in range(0, len(objects), BATCH):
        batch = objects[first : first + BATCH]
        for name, stored in zip(batch, get_many(log.store, batch), strict=True):
            revision = _revision(name)
            if revision is None:
                problems.append(
                    Problem(head.revision, f"an object among the records is not a record: {name}; remove it")
                )
                continue
            near_end = start.revision + len(objects) - revision < SIGNATURES
            head = _check_record(log, head, revision, stored.body, near_end, problems)
            if cached and cached.revision == head.revision:
                at_cache = head
    return at_cache, head


def _revision(name: str) -> int | None:
    stem = name.rpartition("/")[2].removesuffix(".json")
    return int(stem) if len(stem) == 12 and stem.isdigit() and name.endswith(".json") else None


def _check_record(log: Log, head: Head, revision: int, body: bytes, signed: bool, problems: list[Problem]) -> Head:
    """The state after a record; if it is invalid, a state from which the next record can be checked all the same."""
    for missing in range(head.revision + 1, revision):
        problems.append(Problem(missing, "the record is missing"))
    unknown = replace(head, revision=revision, digest=digest(body))
    try:
        link = LINK.decode(body)
        problems += [Problem(revision, what) for what in _link_problems(log, head, revision, link, body, signed)]
        if max(head.min_reader, link.min_reader) > formats.READER:
            return _of_later_release(head, unknown, link, problems)
        record = decode(body)
    except DAMAGED as error:
        problems.append(Problem(revision, f"the record is damaged: {error}"))
        return unknown
    linked = replace(record, revision=revision, previous=head.digest)
    # a record with a wrong link is reported above, and folded as if it had the right one, to check the next ones
    try:
        return fold(replace(head, revision=revision - 1), linked, digest(body))
    except (Broken, KeyError):  # a forged record may refer to versions that do not exist
        problems.append(Problem(revision, "the record does not fit the state before it"))
        return unknown


def _of_later_release(head: Head, unknown: Head, link: Link, problems: list[Problem]) -> Head:
    """From the first record of a later release on, the state is unknown: reported once."""
    if head.min_reader <= formats.READER:
        why = formats.too_new("the record", link.min_reader, formats.READER)
        scope = "from here on, only the chain and the signatures were verified, not the state"
        problems.append(Problem(unknown.revision, f"{why}; {scope}"))
    return replace(unknown, min_reader=max(head.min_reader, link.min_reader))


def _link_problems(log: Log, head: Head, revision: int, link: Link, body: bytes, signed: bool) -> list[str]:
    reasons = []
    if link.revision != revision:
        reasons.append(f"the record states revision {link.revision}: it belongs elsewhere")
    if link.previous != head.digest:
        reasons.append("the record does not follow the one before it: one of the two was changed")
    if not _is_compact(body):
        reasons.append("the record is not written as this service writes records")
    if log.trusted and signed:
        problem = signatures.record_problem(body, head.model, log.trusted)
        if problem:
            reasons.append(f"the record is not to be trusted: {problem}")
    return reasons


def _is_compact(body: bytes) -> bool:
    """Whether this is JSON without spaces and without duplicate members, whatever the members mean.

    Without signatures, the first of two members with the same name could be changed unnoticed: decoders take the last.
    """
    return msgspec.json.encode(msgspec.json.decode(body)) == body


def _cached_head(log: Log, model: str) -> Head | None:
    try:
        return signatures.decode_head(log.store.get(keys.head(model)).body, model, log.trusted)
    except (ObjectNotFound, TooNew):
        return None


def _compare_end(cached: Head | None, last: Head, at_cache: Head) -> list[Problem]:
    """Compare a cached head with the end of what was walked, which no later record covers."""
    if cached is None:
        return []
    if cached.revision > last.revision:
        return [
            Problem(revision, "the record is missing: the cached head was made after it")
            for revision in range(last.revision + 1, cached.revision + 1)
        ]
    if cached.digest != at_cache.digest:
        return [Problem(cached.revision, "the record is not the one that the cached head was made from")]
    if at_cache.min_reader <= formats.READER and _without_numbers(cached) != _without_numbers(at_cache):
        return [Problem(cached.revision, "the cached head contradicts the log: remove head.json")]
    return []


def _without_numbers(head: Head) -> Head:
    """Release 0.1 had no format numbers, and wrote states without those of earlier records."""
    return replace(head, min_reader=1, min_writer=1)
