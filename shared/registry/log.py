"""One append-only log per model: immutable, hash-chained records, each created if absent at the next revision.

A transition is one record, so it is atomic; a writer that loses the race for a revision reads and decides again.
`head.json` is a cache of the folded log: readers take it and roll forward over newer records, so it may be old or
missing. State and records: state.py, fold.py. Transitions: aliases.py, versions.py, models.py, approvals.py.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from shared import deadline, formats, keys
from shared.clock import now
from shared.errors import NotFound, Unavailable
from shared.formats import DAMAGED, TooNew
from shared.registry import blobs, conditions, heads, signatures
from shared.registry.fold import Broken, fold, segment_body
from shared.registry.state import RECORD, VERSIONS, Change, Head, Record, Version
from shared.signing.base import Signer
from shared.storage.base import AlreadyExists, Object, ObjectNotFound, Store, get_many, list_all

ATTEMPTS = 24  # at a transition, one for each lost race
SEND_ATTEMPTS = 3  # of one record
# records that are read one by one; a head that is further behind is rolled forward from a listing, in parallel
MAX_STEPS = 8
# the same for a refresh, after which the cached head is read
REFRESH_STEPS = 2
# seconds: upper limit of the pause before the second attempt; doubles with each, to spread concurrent writers
PAUSE = 0.1
BATCH = 256  # records in memory at once
Decide = Callable[[Head], Record | None]


class Log:
    """The logs of all models in a store. Safe to share between threads.

    signer: the key that signs new records. trusted: public keys (DER); if empty, signatures are NOT verified, else a
    state without a valid signature of one of them is refused. on_commit: called with this log and the new state after
    each transition.
    """

    def __init__(
        self,
        store: Store,
        *,
        signer: Signer | None = None,
        trusted: Sequence[bytes] = (),
        on_commit: Callable[[Log, Head], None] = lambda log, head: None,
    ) -> None:
        self.store = store
        self.signer = signer
        self.trusted = tuple(trusted)
        self._on_commit = on_commit
        self._segments: dict[str, list[Version]] = {}

    # ---- reading

    def read(self, model: str) -> Head:
        """The present state of a model: 2 requests if the head is fresh. An unknown model has revision 0.

        Raises Broken, TooNew, Unavailable.
        """
        return self._read(model)[0]

    def refresh(self, head: Head) -> Head:
        """The present state, from an earlier one: 1 request if nothing changed. Raises what `read` raises."""
        last, too_new, more = None, None, True
        try:
            head, last, more = self._step(head, None, REFRESH_STEPS)
        except TooNew as error:  # of a record; the state after it may be readable all the same
            too_new = error
        if not more:
            return self._require_signed(head, last)
        cached, _ = heads.read(self.store, head.model, self.trusted)
        if cached is not None and cached.revision > head.revision:
            head, last = cached, None
        elif too_new is not None:
            raise too_new
        return self._roll_forward(head, last)

    def records(self, model: str, newest: int, oldest: int) -> list[Record]:
        """Records by revision, newest first, both ends included; unreadable ones are omitted."""
        objects = [keys.log_record(model, revision) for revision in range(newest, oldest - 1, -1)]
        records = [_decode_or_none(stored) for stored in get_many(self.store, objects, missing=b"")]
        return [record for record in records if record is not None]

    def version(self, head: Head, number: int) -> Version:
        """A version; an archived one costs one request, once. Raises NotFound, TooNew, Unavailable."""
        version = head.versions.get(number) or self._archived_version(head, number)
        if version.format > formats.VERSION:
            raise formats.too_new(f"version {number} of model {head.model!r}", version.format, formats.VERSION)
        return version

    def _archived_version(self, head: Head, number: int) -> Version:
        for segment in head.archived:
            if segment.first <= number <= segment.last:
                return self.segment(segment.digest)[number - segment.first]
        raise NotFound(f"model {head.model!r} has no version {number}")

    def segment(self, digest: str) -> list[Version]:
        """The versions of an archived segment. Raises Unavailable."""
        if digest not in self._segments:
            self._segments[digest] = VERSIONS.decode(blobs.read(self.store, digest))
        return self._segments[digest]

    def _read(self, model: str) -> tuple[Head, str | None]:
        """The present state, and the ETag of the cached head it was rolled forward from."""
        head, etag = heads.read(self.store, model, self.trusted)
        if head is not None:
            with suppress(Broken):
                return self._roll_forward(head), etag
        # a lost, damaged or forged cache costs a replay from a snapshot, but no data
        return self._replay(model), etag

    def _replay(self, model: str) -> Head:
        for head in self._snapshots(model):
            with suppress(Broken):
                return self._roll_forward(head)
        return self._roll_forward(Head(model=model))

    def _snapshots(self, model: str, newest: int | None = None) -> Iterator[Head]:
        """The readable states of a model that are stored for this, newest first. newest: none of later revisions."""
        for info in reversed(list(list_all(self.store, keys.snapshots(model)))):
            if newest is not None and info.key > keys.snapshot(model, newest):
                continue
            with suppress(ObjectNotFound):
                head = signatures.decode_head(self.store.get(info.key).body, model, self.trusted)
                if head is not None:
                    yield head

    def state_at(self, head: Head, revision: int) -> Head:
        """The state after an earlier record, from the snapshot before it. Raises what `read` raises."""
        if revision == head.revision:
            return head
        start = next(self._snapshots(head.model, newest=revision), Head(model=head.model))
        objects = [keys.log_record(head.model, number) for number in range(start.revision + 1, revision + 1)]
        return self._require_signed(*self._fold_all(start, None, objects))

    def _roll_forward(self, head: Head, last: bytes | None = None) -> Head:
        """The state after all newer records. last: the newest folded one, if its signature is still to be verified."""
        head, last, more = self._step(head, last, MAX_STEPS)
        if more:
            newer = list_all(self.store, keys.log(head.model), after=keys.log_record(head.model, head.revision))
            head, last = self._fold_all(head, last, [info.key for info in newer])
        return self._require_signed(head, last)

    def _fold_all(self, head: Head, last: bytes | None, objects: Sequence[str]) -> tuple[Head, bytes | None]:
        for start in range(0, len(objects), BATCH):
            for stored in get_many(self.store, objects[start : start + BATCH]):
                head, last = _fold_body(head, stored.body), stored.body
        return head, last

    def _step(self, head: Head, last: bytes | None, steps: int) -> tuple[Head, bytes | None, bool]:
        """The state after at most `steps` newer records, the last of these, and whether there may be more."""
        for _ in range(steps):
            try:
                body = self.store.get(keys.log_record(head.model, head.revision + 1)).body
            except ObjectNotFound:
                return head, last, False
            head, last = _fold_body(head, body), body
        return head, last, True

    def _require_signed(self, head: Head, last: bytes | None) -> Head:
        """The state itself. Raises Broken unless the newest record is signed; the chain covers those before it."""
        unverified = last if self.trusted else None
        if unverified and (problem := signatures.record_problem(unverified, head.model, self.trusted)):
            raise Broken(
                f"record {head.revision} of model {head.model!r} is not to be trusted: {problem}; "
                f"run `amaas verify {head.model}` to see which records are affected"
            )
        return head

    # ---- writing

    def append(self, model: str, decide: Decide, change: Change) -> Head:
        """Commit the record that `decide` returns for the present state, and return the state after it.

        `decide` may run several times, once per lost race; it returns None if there is nothing to change and raises an
        AmaasError to refuse. If a record has the change's idempotency key already, the state after that record is
        returned, whatever happened since. Raises Conflict if the model is not at change.expect_revision, or was changed
        by a later release in a way that this one would lose; Unavailable after ATTEMPTS lost races, or if the store
        does not confirm whether the record was written.
        """
        head, etag = self._read(model)
        for attempt in range(ATTEMPTS):
            revision = head.revision_of(change)
            if revision is not None:
                return self.state_at(head, revision)
            conditions.require_revision(head, change.expect_revision)
            conditions.require_writable(head)
            record = decide(head)
            if record is None:
                return head
            record, body, after = self._prepare(head, record, change)
            try:
                self._commit(model, record.revision, body)
            except AlreadyExists:
                if (left := deadline.remaining()) is not None and left <= 0:
                    break
                _pause(PAUSE * 2 ** min(attempt, 6))
                head, etag = self._read(model)
                continue
            heads.save(self.store, after, body, etag, self.trusted)
            self._on_commit(self, after)
            return after
        raise Unavailable(f"model {model!r} is being changed by too many writers; nothing was changed, try again")

    def _prepare(self, head: Head, record: Record, change: Change) -> tuple[Record, bytes, Head]:
        """The completed record, its signed bytes, and the state after it. Archives versions, where it is time."""
        record = replace(
            record,
            by=change.by,
            name=change.name,
            reason=change.reason,
            request_id=change.request_id,
            revision=head.revision + 1,
            previous=head.digest,
            at=now(),
            write_id=os.urandom(16).hex(),
        )
        record = replace(record, **formats.needs(record))
        after = fold(head, record, "")
        for segment in after.archived:
            if segment not in head.archived:
                # written before the record that refers to it, so that no reader can miss it
                blobs.write(self.store, segment_body(head, segment.first, segment.last))
        body = msgspec.json.encode(record)
        if self.signer is not None:
            body = signatures.attach(
                body, signatures.sign(self.signer, head.model, body, signatures.encode_state(after))
            )
        return record, body, replace(after, digest=digest(body))

    def _commit(self, model: str, revision: int, body: bytes) -> None:
        """Create the record. Raises AlreadyExists if another writer has it, Unavailable if the outcome is unknown."""
        # the catalog's marker comes first: a record without one would be missing from listings
        self.store.put(keys.changed(model, revision), b"")
        for attempt in range(SEND_ATTEMPTS):
            try:
                self.store.put(keys.log_record(model, revision), body, if_absent=True, content_type="application/json")
                return
            except Unavailable:
                _pause(0.05 * 2**attempt)
        raise Unavailable(
            f"the store did not confirm whether revision {revision} of model {model!r} was written: check the history "
            "before you repeat this, or repeat it with the same Idempotency-Key"
        )


def _fold_body(head: Head, body: bytes) -> Head:
    try:
        record = decode(body)
    except DAMAGED as error:
        what = f"record {head.revision + 1} of model {head.model!r}"
        formats.check(body, "min_reader", formats.READER, what)
        raise Broken(f"{what} is damaged: {error}") from error
    return fold(head, record, digest(body))


def _decode_or_none(stored: Object) -> Record | None:
    try:
        return decode(stored.body)
    except DAMAGED:
        return None


def decode(body: bytes) -> Record:
    return RECORD.decode(body)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _pause(limit: float) -> None:
    """Sleep for a random time up to `limit` seconds, so that concurrent writers separate."""
    from random import uniform  # only needed after a lost race: not worth its import at each cold start

    time.sleep(uniform(0, limit))
