"""Attempts to check an upload: counted and leased before each check, so that one that is killed counts, too.

An event's three deliveries and the looks for unfinished uploads (unfinished.py) share MAX_ATTEMPTS. An attempt ends
with a verdict, interrupted by an exception, or killed: then its lease runs out, and the next look sees it.
"""

from __future__ import annotations

import os
import threading
from functools import cache

from msgspec.structs import replace

from shared.clock import now
from shared.storage.base import Store
from shared.uploads.forms import FINAL, Lease, Named, Upload
from shared.uploads.states import moved, update

MAX_ATTEMPTS = 5
LEASE = 960.0  # seconds: longer than the ingest function may run (template.yaml), so its holder is dead by then
SESSION = 8 * 86400.0  # seconds: after seven days and a look, the files of an upload are gone (template.yaml)
RETRIES = "it is tried again, for the last time some 3 hours after the files arrived"


def begin(store: Store, named: Named) -> Upload:
    """Count an attempt and take the lease, before the check starts. Returns an end state if there is one.

    An upload whose attempts are used up ends as failed: the last one was killed, or it would have ended it.
    """

    def decide(upload: Upload) -> Upload:
        if upload.attempts >= MAX_ATTEMPTS and not leased(upload):
            return moved(upload, "failed", code="killed", reason=_killed(upload.attempts))
        lease = Lease(_holder(), now(LEASE))
        return replace(moved(upload, "checking"), attempts=upload.attempts + 1, lease=lease)

    return update(store, named, decide)


def interrupt(store: Store, named: Named, cause: str) -> Upload:
    """Note that an exception ended a check; after the last attempt, the upload ends as failed.

    cause: what interrupted it, without values of the package.
    """

    def decide(upload: Upload) -> Upload:
        if leased(upload):  # a later attempt is running: it will say how the upload ends
            return upload
        if upload.attempts < MAX_ATTEMPTS:
            reason = f"attempt {upload.attempts} of {MAX_ATTEMPTS} to check it was interrupted ({cause}): {RETRIES}"
            return moved(upload, "checking", code="interrupted", reason=reason)
        reason = (
            f"each of {upload.attempts} attempts to check it was interrupted, the last one by {cause}: push again; "
            "if that fails, too, an operator finds the cause in the log of the ingest function"
        )
        return moved(upload, "failed", code="interrupted", reason=reason)

    return update(store, named, decide)


def leased(upload: Upload) -> bool:
    """Whether a check of this upload may be running, by another process or thread.

    A thread does one check at a time, so that a lease of this one is of a check that was given up.
    """
    return upload.lease is not None and upload.lease.holder != _holder() and now() < upload.lease.until


def presented(upload: Upload) -> Upload:
    """The state with what its reader should know of a check that was killed, or of a session that nobody ended."""
    if upload.state not in FINAL and upload.created_at < now(-SESSION):
        reason = "it had no verdict when its session expired: push again"
        return moved(upload, "expired", code="session_expired", reason=reason)
    if upload.lease is None or upload.lease.until > now():
        return upload
    if upload.attempts >= MAX_ATTEMPTS:
        reason = f"{_killed(upload.attempts)}; within minutes its state will be `failed`"
    else:
        reason = f"attempt {upload.attempts} of {MAX_ATTEMPTS} to check it ended without a verdict: {RETRIES}"
    return replace(upload, code="killed", reason=reason)


def _killed(attempts: int) -> str:
    return (
        f"each of {attempts} attempts to check it ended before a verdict, the last one without a word, as when memory "
        "runs out: make the model smaller and push again"
    )


def _holder() -> str:
    return f"{_process()}-{threading.get_ident()}"


@cache
def _process() -> str:
    return os.urandom(8).hex()
