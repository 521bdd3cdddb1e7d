"""One answer per Idempotency-Key: what a call was answered first is what every repetition of it is answered.

The object of a key is created before the call is carried out (a claim), and gets the answer after. It holds a digest of
the call, so that the same key on another call is noticed. Who finds a claim without an answer cannot tell a call that
is going on from one that died, and

- of a transition, takes the claim over: a model's log carries out a key once, and its record holds what the first
  answer was made of. An answer counts only once it is stored, which whoever lost the claim cannot do any more; so of
  two calls that change nothing, or are refused, both answer the same;
- of any other call, waits until the claimant's function has ended for certain, and then carries it out with the same
  id for what it creates. A deletion stores its answer before its last step (`prepare`): who repeats it finds nothing.

Kept are all answers but those that say nothing about the outcome (5xx, 429), and those to calls that were not carried
out: without scope, or with a body that does not fit. What an answer repeats of inputs, outputs and metrics is not kept:
nobody who deletes these would look for them here. A repetition reads it anew (Deletable). See decision 34.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from shared import deadline, errors, formats, keys
from shared.clock import new_id, now
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, Unavailable

KEY = r"[A-Za-z0-9_-]{1,64}"
ATTEMPTS = 6  # at a claim that others take over at the same time
# seconds that a claim outlives its function's own time, since the clocks of two functions differ
SKEW = 5.0
LONGEST = 30.0  # seconds that a function with routes may run
PAUSE = 0.1  # seconds, at most, before the next attempt

NOTHING = b"null"
DONE = 200  # the status of answers that are prepared

# stores what the answer will be: see Request
Prepare = Callable[[Any], None]
# carries a call out, with an id for what it creates; a status and a body that can be written as JSON
Work = Callable[[str, Prepare], tuple[int, Any]]


class Answer(NamedTuple):
    """replayed: it is that of an earlier call."""

    status: int
    body: Any
    replayed: bool


class Deletable(NamedTuple):
    """The members of a successful answer that repeat what a caller may delete. read: their values now, by names, of the
    thing that an answer is about; those that are not there any more, and may be absent, are left out.
    """

    members: Sequence[str] = ()
    read: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda answer: {}


NO_DATA = Deletable()


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """A key's object. call: the digest of the call. claim: random, so that no two claimants write the same bytes.

    until: seconds since the epoch, when the claimant's function has ended for certain. creates: the id for what the
    call creates. status, body: the answer; 0 while there is none, and then the body is what is prepared. at: for
    readers only. lengths: of the members that are null in the body, and to be read anew.
    """

    call: str
    claim: str
    at: str
    until: float
    creates: str
    status: int = 0
    body: Raw = Raw(NOTHING)
    lengths: dict[str, int] = {}


KEPT = msgspec.json.Decoder(Kept)


class InProgress(errors.Conflict):
    """The first call with this key is still being carried out."""

    code = "in_progress"

    def __init__(self, seconds: float = 1) -> None:
        super().__init__(
            "the first call with this Idempotency-Key is still being carried out: repeat it a little later"
        )
        self.retry_after = max(math.ceil(seconds), 1)


def require_valid(key: str) -> None:
    """Raises BadInput."""
    if not re.fullmatch(KEY, key):
        raise errors.BadInput("the Idempotency-Key must be 1 to 64 letters, digits, '-' and '_'")


def digest(method: str, path: Sequence[str], query: Mapping[str, str], body: bytes) -> str:
    """The digest of a call, whichever way its JSON is written. path: decoded segments."""
    try:
        content: Any = msgspec.json.decode(body or b"{}")
        text = msgspec.json.encode([method, path, query, content], order="sorted")
    except (*formats.DAMAGED, ValueError, OverflowError):  # no JSON, or with numbers that cannot be written
        text = msgspec.json.encode([method, path, query, body], order="sorted")
    return hashlib.sha256(text).hexdigest()


def once(
    store: Store,
    caller: str,
    key: str,
    call: str,
    work: Work,
    *,
    atomic: bool,
    deletable: Deletable = NO_DATA,
    clock: Callable[[], float] = time.time,
) -> Answer:
    """Carry a call out, or repeat the answer that it was given before.

    call: its digest. atomic: two at the same time do no harm, as a model's log carries a key out once. Raises BadInput,
    KeyReused, InProgress, and of what `work` raises only what has status 5xx or 429: the rest is an answer.
    """
    require_valid(key)
    name = keys.idempotency(hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest())
    for attempt in range(ATTEMPTS):
        kept, etag = _claim(store, name, call, atomic, clock)
        if etag is None:
            return Answer(kept.status, _restored(kept, deletable), True)
        claim = _Claim(store, name, kept, etag)
        try:
            status, body = _carry_out(work, claim)
        except Exception:
            claim.release()
            raise
        try:
            claim.replace(status=status, **_without_data(status, body, deletable))
            return Answer(status, body, False)
        except PreconditionFailed:  # by a call that took the claim over
            time.sleep(PAUSE * attempt / ATTEMPTS)
        except Unavailable:  # an answer that is not stored must not be given: a repetition would get another one
            claim.release()
            raise
    raise InProgress


class _Claim:
    """The claim that this call holds, for as long as nobody takes it over."""

    def __init__(self, store: Store, name: str, kept: Kept, etag: str) -> None:
        self.kept = kept
        self._store, self._name, self._etag = store, name, etag

    def replace(self, **members: Any) -> None:
        """Raises PreconditionFailed where another call holds it by now; Unavailable."""
        changed = replace(self.kept, **members)
        self._etag = self._store.put(self._name, _encode(changed), if_match=self._etag)
        self.kept = changed

    def prepare(self, answer: Any) -> None:
        """Raises InProgress where another call holds it by now; Unavailable."""
        try:
            self.replace(body=Raw(msgspec.json.encode(answer)))
        except PreconditionFailed:
            raise InProgress from None

    def release(self) -> None:
        """Let the next call with the key be carried out at once. Best effort: it may be later as well."""
        with suppress(PreconditionFailed, Unavailable):
            self.replace(until=0.0)


def _carry_out(work: Work, claim: _Claim) -> tuple[int, Any]:
    prepared = bytes(claim.kept.body)  # by an attempt that died
    try:
        status, body = work(claim.kept.creates, claim.prepare)
    except errors.AmaasError as error:
        if isinstance(error, errors.NotFound) and prepared != NOTHING:
            return DONE, msgspec.json.decode(prepared)
        if not _is_kept(error.status):
            raise
        return error.status, error.body()
    if not _is_kept(status):
        raise RuntimeError(f"a call with an Idempotency-Key was answered {status} without an exception")
    return status, body


def _without_data(status: int, body: Any, deletable: Deletable) -> dict[str, Any]:
    """The members of Kept that an answer becomes."""
    lengths = {}
    if deletable.members and status < errors.BadInput.status:
        body = msgspec.to_builtins(body)
        lengths = {name: len(body[name]) for name in deletable.members if name in body}
        body |= dict.fromkeys(lengths)
    return {"body": Raw(msgspec.json.encode(body)), "lengths": lengths}


def _restored(kept: Kept, deletable: Deletable) -> Any:
    """The first answer. What was added since to a list, as failures of a job that goes on, is no part of it."""
    body = msgspec.json.decode(kept.body)
    if not kept.lengths:
        return body
    present = deletable.read(body)
    values = {name: present[name][:length] for name, length in kept.lengths.items() if name in present}
    return {name: values.get(name, value) for name, value in body.items() if name in values or name not in kept.lengths}


def _is_kept(status: int) -> bool:
    return status < 500 and status != 429


def _claim(store: Store, name: str, call: str, atomic: bool, clock: Callable[[], float]) -> tuple[Kept, str | None]:
    """A claim and the ETag of its object; or what is kept already, and None. Raises KeyReused, InProgress."""
    left = deadline.remaining()
    until = clock() + (LONGEST if left is None else left) + SKEW
    claim = Kept(call=call, claim=os.urandom(16).hex(), at=now(), until=until, creates=new_id())
    for _ in range(ATTEMPTS):
        try:
            return claim, store.put(name, _encode(claim), if_absent=True)
        except AlreadyExists:
            pass
        try:
            present = store.get(name)
        except ObjectNotFound:  # it expired in between
            continue
        kept = formats.decode(KEPT, present.body, "what is kept of this Idempotency-Key")
        if kept.call != call:
            raise errors.KeyReused(
                "this Idempotency-Key was used for another call before (another route, body or query): "
                "use a new key for each call, and the same one only to repeat it"
            )
        if kept.status:
            return kept, None
        if not atomic and clock() < kept.until:
            raise InProgress(kept.until - clock())
        claim = replace(claim, creates=kept.creates, body=kept.body)
        try:
            return claim, store.put(name, _encode(claim), if_match=present.etag)
        except PreconditionFailed:
            continue
    raise InProgress


def _encode(kept: Kept) -> bytes:
    return msgspec.json.encode(kept)
