"""What AWS Batch says of a job, kept with the job: events come more than once and in any order.

A word counts only if it is later than the one that is known: first by how many attempts have ended, then by how far the
present one is. That is the job's own clock; the times of events have seconds only. The last word is never replaced.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from shared import keys
from shared.jobs.training.job import JSON, decode
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store

Status = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
ORDER = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
LAST = ("SUCCEEDED", "FAILED")


class Word(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """What AWS Batch said last. id: the job's number there. ended: attempts that have come to an end."""

    id: str
    status: Status
    at: str
    ended: int = 0
    reason: str | None = None

    @property
    def place(self) -> tuple[int, int]:
        return self.ended, ORDER.index(self.status)


WORD = msgspec.json.Decoder(Word)


def submitted(store: Store, job: str, number: str, at: str) -> Word:
    return _keep(store, job, Word(id=number, status="SUBMITTED", at=at))


def forgotten(store: Store, job: str, known: Word, at: str) -> Word:
    """Keep that AWS Batch does not know the job any more. known: its last word, whose attempts have ended as before."""
    reason = "AWS Batch has forgotten this job"
    return _keep(store, job, Word(id=known.id, status="FAILED", at=at, ended=known.ended, reason=reason))


def note(store: Store, detail: dict[str, Any], at: str) -> Word | None:
    """Keep what an event, or an answer of DescribeJobs, says. Returns what holds now; None for jobs that are not ours.

    detail: a JobDetail of AWS Batch; the job's name there is its id here.
    """
    job, number, status = (str(detail.get(name)) for name in ("jobName", "jobId", "status"))
    if not keys.is_training(job) or status not in ORDER:
        return None
    try:
        store.head(keys.training_record(job, "job"))
    except ObjectNotFound:
        return None
    ended = sum(1 for attempt in detail.get("attempts") or [] if attempt.get("stoppedAt"))
    return _keep(
        store,
        job,
        msgspec.convert({"id": number, "status": status, "at": at, "ended": ended, "reason": why(detail)}, Word),
    )


def _keep(store: Store, job: str, word: Word) -> Word:
    key, body = keys.training_record(job, "batch"), msgspec.json.encode(word)
    while True:
        try:
            present = store.get(key)
        except ObjectNotFound:
            try:
                store.put(key, body, if_absent=True, content_type=JSON)
                return word
            except AlreadyExists:
                continue
        known: Word = decode(WORD, present.body, job)
        if known.id != word.id or known.status in LAST or word.place <= known.place:
            return known
        try:
            store.put(key, body, if_match=present.etag, content_type=JSON)
            return word
        except PreconditionFailed:
            continue  # another event was faster: look at what it wrote


def why(detail: dict[str, Any]) -> str | None:
    """Why a job failed, or does not start, in words that say what to do."""
    told = str(detail.get("statusReason") or "")
    if detail.get("status") != "FAILED":
        return told or None
    attempts = detail.get("attempts") or [{}]
    container = {**(attempts[-1].get("container") or {}), **(detail.get("container") or {})}
    code, said = container.get("exitCode"), str(container.get("reason") or "")
    if told.startswith("Host EC2"):
        return f"the spot machine was taken back in each of {len(attempts)} attempts ({told}): train again later"
    if "OutOfMemory" in said or (code == 137 and "timeout" not in told):
        return (
            "the container was killed for memory (exit code 137): give a smaller batch, or deploy more TrainingMemory"
        )
    if "CannotPull" in said:
        return f"the image could not be pulled ({said[:300]}): see TrainingImage, and the subnets' way to its registry"
    if "timeout" in told:
        return f"it took too long ({told}): deploy with more TrainingSeconds, or train fewer epochs"
    if code == 75:
        return f"it was interrupted in each of {len(attempts)} attempts: train again later"
    if code is not None:
        log = f"; its log is {container['logStreamName']}" if container.get("logStreamName") else ""
        return f"the container ended with exit code {code}{log}"
    return " ".join(part for part in (told, said) if part)[:500] or "AWS Batch gave no reason"
