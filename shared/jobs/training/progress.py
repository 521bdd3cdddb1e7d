"""How far a job is: read from the records of AWS Batch, the container, the upload and whoever cancelled."""

from __future__ import annotations

import calendar
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from msgspec import Struct

from shared import keys
from shared.formats import TooNew
from shared.jobs.training.job import CANCELLED, JOB, SAID, Cancelled, Job, Said, decode
from shared.jobs.training.status import LAST, WORD, Word
from shared.storage.base import ObjectNotFound, Store, get_many, list_all
from shared.uploads.states import UPLOAD, Upload

logger = logging.getLogger(__name__)
State = Literal["submitted", "queued", "running", "publishing", "succeeded", "failed", "cancelled"]
OVER = ("succeeded", "failed", "cancelled")
QUIET = 300.0  # seconds without a word after which AWS Batch is asked
LOST = 900.0  # seconds after which a job without a number has not reached the queue
MOST_ROWS = 10_000
NOTHING = b"null"
PARTS: list[Any] = [WORD, SAID, CANCELLED, UPLOAD]  # decoders of Known


class Known(Struct, frozen=True):
    """The last words on a job: of AWS Batch, of the container, of who cancelled it, and on the upload of its result."""

    word: Word | None = None
    said: Said | None = None
    cancelled: Cancelled | None = None
    upload: Upload | None = None


def status(store: Store, job: Job, after: int = 0) -> dict[str, Any]:
    """As users see it. metrics: the rows behind the first `after`; `next` is what to say next time."""
    [bodies] = _bodies(store, [job])
    known = _known(job, bodies)
    rows = metrics(store, job.id)
    shown = rows[after : after + MOST_ROWS]
    told = {"arguments": job.arguments, "metrics": shown, "next": max(after, min(len(rows), after + len(shown)))}
    return _summary(job, known) | told


def listed(store: Store, found: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs with these ids in few words, without metrics; those that are not there any more are left out.

    So are those that only a later release can read.
    """
    bodies = get_many(store, [keys.training_record(job, "job") for job in found], missing=NOTHING)
    there = []
    for job, answer in zip(found, bodies, strict=True):
        with _left_out():
            there += [] if answer.body == NOTHING else [decode(JOB, answer.body, job)]
    summaries = []
    for job, parts in zip(there, _bodies(store, there), strict=True):
        with _left_out():
            summaries.append(_summary(job, _known(job, parts)))
    return summaries


@contextmanager
def _left_out() -> Iterator[None]:
    try:
        yield
    except TooNew as error:
        logger.warning("not listed", extra={"why": str(error)})


def _bodies(store: Store, found: Sequence[Job]) -> list[list[bytes]]:
    """What is stored of each job, in the order of `Known`."""
    names = [
        key
        for job in found
        for key in (
            *(keys.training_record(job.id, what) for what in ("batch", "container", "cancel")),
            keys.upload_state(job.model, job.id),  # the upload of a job has the job's id
        )
    ]
    bodies = [answer.body for answer in get_many(store, names, missing=NOTHING)]
    return [bodies[n : n + len(PARTS)] for n in range(0, len(bodies), len(PARTS))]


def _known(job: Job, bodies: Sequence[bytes]) -> Known:
    """Raises TooNew, Unavailable."""
    parts = zip(PARTS, bodies, strict=True)
    return Known(*(None if body == NOTHING else decode(of, body, job.id) for of, body in parts))


def _state(job: Job, known: Known) -> tuple[State, str | None]:
    """With the reason. What weighs most comes first: a version that is there is no failure."""
    word, said, upload = known.word, known.said, known.upload
    if upload and upload.state == "registered":
        return "succeeded", None
    if upload and upload.state == "rejected":
        return "failed", f"the package was rejected ({upload.code}): {upload.reason}"
    if known.cancelled:
        return "cancelled", None
    if upload and upload.state == "checking":
        return "publishing", None
    if said and said.phase == "failed":
        return "failed", said.reason
    if said and said.phase == "published":
        return "publishing", None
    if word and word.status == "FAILED":
        return "failed", word.reason
    if word and word.status == "SUCCEEDED":
        return "failed", "the container ended without a package: see its log"
    if said and said.phase == "publishing":
        return "publishing", None
    ended = word.ended if word else 0
    if (word and word.status == "RUNNING") or (said and said.phase == "running" and said.attempt > ended):
        return "running", None
    if word and word.status != "SUBMITTED":
        return "queued", word.reason
    if word is None and _age(job.created_at) > LOST:
        return "failed", "it never reached the queue: start it again"
    return "submitted", None


def _summary(job: Job, known: Known) -> dict[str, Any]:
    word, said, upload = known.word, known.said, known.upload
    state, reason = _state(job, known)
    begun = word.ended + (word.status == "RUNNING") if word else 0
    times = [job.created_at, *(part.at for part in (word, said) if part), *([upload.updated_at] if upload else [])]
    told: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "data": job.data,
        "state": state,
        "by": job.by,
        "created_at": job.created_at,
        "updated_at": max(times),
        "attempts": max(begun, said.attempt if said else 0),
        "status_url": f"/training-jobs/{job.id}",
    }
    if reason:
        told["reason"] = reason
    if upload:
        told["upload_id"] = upload.upload_id
        if upload.version is not None:
            told["version"] = upload.version
    return told


def metrics(store: Store, job: str) -> list[dict[str, Any]]:
    """One row per epoch, as the training wrote it."""
    try:
        lines = store.get(keys.training_metrics(job)).body.splitlines()
    except ObjectNotFound:
        return []
    return [msgspec.json.decode(line) for line in lines]


def reports(store: Store, job: str, expires: int) -> dict[str, str]:
    """Where to fetch what the container left beside the package, by file name: URLs, for `expires` seconds."""
    place = keys.training_reports(job)
    return {
        info.key.removeprefix(place): store.presign_get(info.key, expires=expires) for info in list_all(store, place)
    }


def heard(store: Store, job: Job) -> Word | None:
    """What AWS Batch said last of a job that it is to be asked about: one that is not over, and quiet for long."""
    [bodies] = _bodies(store, [job])
    known = _known(job, bodies)
    word = known.word
    if word is None or word.status in LAST or _state(job, known)[0] in OVER:
        return None
    return word if min(_age(part.at) for part in (word, known.said) if part) > QUIET else None


def _age(at: str) -> float:
    """Seconds since a time as the registry's `now` writes it, and AWS in events."""
    return time.time() - calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
