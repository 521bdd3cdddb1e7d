"""One append-only log per model: immutable, hash-chained records, each created if absent at the next revision.

A transition is one record, so it is atomic; whoever loses the race for a revision reads again and decides again.
`head.json` is a cache of the folded log: readers take it and roll forward over any newer records, so it may be old
or missing without harm. What the records mean is state.py and fold.py; which transitions there are: aliases.py,
versions.py, models.py, approvals.py.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from shared import formats, keys
from shared.clock import now
from shared.errors import NotFound, Unavailable
from shared.formats import DAMAGED, TooNew
from shared.registry import blobs, conditions, seal
from shared.registry.fold import Broken, fold, segment_body
from shared.registry.state import RECORD, VERSIONS, Act, Head, Record, Version
from shared.signing.base import Signer
from shared.storage.base import AlreadyExists, Object, ObjectNotFound, PreconditionFailed, Store, get_many, list_all

ATTEMPTS = 24
SENDINGS = 3
# A head that lags by more than this is caught up with a listing rather than by asking for one record after another.
STEPS = 8
# Whoever is further behind than this takes a newer head instead.
NEAR = 2
# seconds before the second attempt at most; doubles with each, so that many writers get out of each other's way
PAUSE = 0.1
BATCH = 256
# so that a replay never folds more than some hundreds of records
SNAPSHOT = 256
Decide = Callable[[Head], Record | None]


class Log:
    """The logs of all models in a store. Safe to share between threads.

    signer: the key that new records are signed with. trusted: public keys (DER); where there are any, a state that
    none of them signed is not believed. on_commit: called with this log and the new state after each transition.
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
        """The present state of a model: 2 requests when the head is fresh. An unknown model has revision 0.

        Raises Broken, TooNew, Unavailable.
        """
        return self._read(model)[0]

    def refresh(self, head: Head) -> Head:
        """The present state, from an earlier one: 1 request when nothing changed. Raises what `read` raises."""
        last, too_new, more = None, None, True
        try:
            head, last, more = self._step(head, None, NEAR)
        except TooNew as error:  # of a record: the state that a later release made of it may be one for us, too
            too_new = error
        if not more:
            return self._believed(head, last)
        stored, _ = self._stored(head.model)
        if stored is not None and stored.revision > head.revision:
            head, last = stored, None
        elif too_new is not None:
            raise too_new
        return self._roll_forward(head, last)

    def records(self, model: str, newest: int, oldest: int) -> list[Record]:
        """Records by revision, newest first, both ends included; those that cannot be read are left out."""
        wanted = [keys.log_record(model, revision) for revision in range(newest, oldest - 1, -1)]
        found = [_readable(body) for body in get_many(self.store, wanted, missing=b"")]
        return [record for record in found if record is not None]

    def version(self, head: Head, number: int) -> Version:
        """A version that there is; those sealed away cost one request, once. Raises NotFound, TooNew, Unavailable."""
        version = head.versions.get(number) or self._sealed_away(head, number)
        if version.format > formats.VERSION:
            raise formats.too_new(f"version {number} of model {head.model!r}", version.format, formats.VERSION)
        return version

    def _sealed_away(self, head: Head, number: int) -> Version:
        for segment in head.sealed:
            if segment.first <= number <= segment.last:
                return self.segment(segment.digest)[number - segment.first]
        raise NotFound(f"model {head.model!r} has no version {number}")

    def segment(self, digest: str) -> list[Version]:
        if digest not in self._segments:
            self._segments[digest] = VERSIONS.decode(blobs.read(self.store, digest))
        return self._segments[digest]

    def _read(self, model: str) -> tuple[Head, str | None]:
        """The present state, and the ETag of the cached head it was rolled forward from."""
        head, etag = self._stored(model)
        if head is not None:
            with suppress(Broken):
                return self._roll_forward(head), etag
        # a lost, damaged or forged cache costs a replay from the last snapshot, not the data
        return self._replay(model), etag

    def _stored(self, model: str) -> tuple[Head | None, str | None]:
        """The cached head, where it is there and can be believed; and its ETag, where it is there."""
        try:
            found = self.store.get(keys.head(model))
        except ObjectNotFound:
            return None, None
        return seal.decode_head(found.body, model, self.trusted), found.etag

    def _replay(self, model: str) -> Head:
        for info in reversed(list(list_all(self.store, keys.snapshots(model)))):
            with suppress(Broken, ObjectNotFound):
                head = seal.decode_head(self.store.get(info.key).body, model, self.trusted)
                if head is not None:
                    return self._roll_forward(head)
        return self._roll_forward(Head(model=model))

    def _roll_forward(self, head: Head, last: bytes | None = None) -> Head:
        """The state after all records that follow. last: the newest one folded already, if nobody vouched for it."""
        head, last, more = self._step(head, last, STEPS)
        if more:
            behind = list_all(self.store, keys.log(head.model), after=keys.log_record(head.model, head.revision))
            names = [info.key for info in behind]
            for start in range(0, len(names), BATCH):
                for found in get_many(self.store, names[start : start + BATCH]):
                    head, last = _folded(head, found.body), found.body
        return self._believed(head, last)

    def _step(self, head: Head, last: bytes | None, steps: int) -> tuple[Head, bytes | None, bool]:
        """The state after at most some of the records that follow, the last of them, and whether there may be more."""
        for _ in range(steps):
            try:
                body = self.store.get(keys.log_record(head.model, head.revision + 1)).body
            except ObjectNotFound:
                return head, last, False
            head, last = _folded(head, body), body
        return head, last, True

    def _believed(self, head: Head, last: bytes | None) -> Head:
        """The state, if the newest record that led to it is signed as it should be: it vouches for those before it."""
        problem = seal.wrong_record(last, head.model, self.trusted) if self.trusted and last is not None else None
        if problem:
            raise Broken(
                f"record {head.revision} of model {head.model!r} is not to be trusted: {problem}; "
                f"`amaas verify {head.model}` says more"
            )
        return head

    # ---- writing

    def append(self, model: str, decide: Decide, act: Act) -> Head:
        """Commit the record that `decide` makes of the present state, and return the state after it.

        `decide` may run several times, once per lost race; it returns None when there is nothing left to do and raises
        an AmaasError to refuse. Raises Conflict when the model is not at act.expect_revision, or was changed by a later
        release in a way that this one would lose; Unavailable when the race is lost ATTEMPTS times, or when the store
        does not say what became of the record.
        """
        head, etag = self._read(model)
        for attempt in range(ATTEMPTS):
            if head.request_of(act) is not None:
                return head
            conditions.expected(head, act.expect_revision)
            conditions.writable(head)
            record = decide(head)
            if record is None:
                return head
            record, body, after = self._prepared(head, record, act)
            try:
                self._commit(model, record.revision, body)
            except AlreadyExists:
                _pause(PAUSE * 2 ** min(attempt, 6))
                head, etag = self._read(model)
                continue
            self._save(after, body, etag)
            self._on_commit(self, after)
            return after
        raise Unavailable(f"model {model!r} is being changed by many writers at once; nothing was changed, try again")

    def _prepared(self, head: Head, record: Record, act: Act) -> tuple[Record, bytes, Head]:
        """The record with its place in the chain and its seal, its bytes, and the state after it."""
        record = replace(
            record,
            by=act.by,
            name=act.name,
            reason=act.reason,
            request_id=act.request_id,
            revision=head.revision + 1,
            previous=head.digest,
            at=now(),
            write_id=os.urandom(16).hex(),
        )
        record = replace(record, **formats.needs(record))
        after = fold(head, record, "")
        for segment in after.sealed:
            if segment not in head.sealed:
                # before the record that relies on it, so that no reader can find it missing
                blobs.write(self.store, segment_body(head, segment.first, segment.last))
        body = msgspec.json.encode(record)
        if self.signer is not None:
            body = seal.attach(body, seal.make(self.signer, head.model, body, seal.state(after)))
        return record, body, replace(after, digest=digest(body))

    def _commit(self, model: str, revision: int, body: bytes) -> None:
        """Create the record; sent again without an answer, which finds its own bytes or creates them."""
        self.store.put(keys.changed(model, revision), b"")
        for sending in range(SENDINGS):
            try:
                self.store.put(keys.log_record(model, revision), body, if_absent=True, content_type="application/json")
                return
            except Unavailable:
                _pause(0.05 * 2**sending)
        raise Unavailable(
            f"the store did not say whether revision {revision} of model {model!r} was written: look at its history "
            "before repeating this, or repeat it with the same Idempotency-Key"
        )

    def _save(self, head: Head, record: bytes, etag: str | None) -> None:
        """Refresh the cached head. Best effort: whoever refreshed it in between may be behind, but not wrong."""
        body = seal.encode_head(head, record)
        if head.revision % SNAPSHOT == 0:
            with suppress(AlreadyExists, Unavailable):
                self.store.put(keys.snapshot(head.model, head.revision), body, if_absent=True)
        for _ in range(2):
            try:
                self.store.put(
                    keys.head(head.model),
                    body,
                    if_absent=etag is None,
                    if_match=etag,
                    content_type="application/json",
                )
                return
            except (AlreadyExists, PreconditionFailed):
                try:
                    present = self.store.get(keys.head(head.model))
                except (ObjectNotFound, Unavailable):
                    return
                try:
                    known = seal.decode_head(present.body, head.model, self.trusted)
                except TooNew:
                    return
                if known is not None and known.revision >= head.revision:
                    return
                etag = present.etag
            except Unavailable:
                return


def _folded(head: Head, body: bytes) -> Head:
    try:
        record = decode(body)
    except DAMAGED as error:
        what = f"record {head.revision + 1} of model {head.model!r}"
        formats.check(body, "min_reader", formats.READER, what)
        raise Broken(f"{what} is damaged: {error}") from error
    return fold(head, record, digest(body))


def _readable(found: Object) -> Record | None:
    try:
        return decode(found.body)
    except DAMAGED:
        return None


def decode(body: bytes) -> Record:
    return RECORD.decode(body)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _pause(most: float) -> None:
    """Up to `most` seconds, so that writers who met do not meet again."""
    from random import uniform  # not on the path of an answer

    time.sleep(uniform(0, most))
