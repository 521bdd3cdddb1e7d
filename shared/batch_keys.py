"""The keys of a batch job's objects, always from validated names; all others are in keys.py.

batch/{job}/in/{file}                                         inputs of a batch job; all of batch/ expires
batch/{job}/{job,plan,planned}.json, batch/{job}/plan/…       the request, and its division into chunks
batch/{job}/out/{chunk:06d}.jsonl                             a chunk's answers, written once
batch/{job}/done/{chunk:06d}-{inputs}-{failed}                marker of a finished chunk: progress is a listing
batch/{job}/part/{chunk:06d}/…                                parts of its answers, and marks of attempts at it
batch/{job}/trouble/…, batch/{job}/runs/…                     why a chunk failed; starts and ends
"""

from __future__ import annotations

import re

from shared.errors import BadInput
from shared.plain_text import is_plain_text

BATCH = r"[a-z0-9][a-z0-9-]{0,63}"
BATCH_PREFIX = r"batch/([a-z0-9][a-z0-9-]{0,63})/in/(.*)"
DONE = r"([0-9]{6})-([0-9]+)-([0-9]+)"
BATCHES = "batch/"


def is_batch(job: str) -> bool:
    return re.fullmatch(BATCH, job) is not None


def batch(job: str) -> str:
    """The prefix of a batch job's objects. Raises BadInput."""
    if not is_batch(job):
        raise BadInput(f"{job[:120]!r} is not the id of a batch job: take the one from POST /models/{{model}}/batch")
    return f"{BATCHES}{job}/"


def batch_job(job: str) -> str:
    return f"{batch(job)}job.json"


def batch_input(job: str, file: str) -> str:
    """The key of an input file; `file` may have folders. Raises BadInput."""
    segments = file.split("/")
    if not is_plain_text(file) or not 0 < len(file.encode()) <= 512 or not all(s.strip(".") for s in segments):
        raise BadInput(
            f"{file[:120]!r} is not a name for an input: use a relative path of at most 512 bytes, without control "
            "characters, empty segments, '.' and '..'"
        )
    return f"{batch(job)}in/{file}"


def batch_prefix(prefix: str) -> tuple[str, str]:
    """The job, or other name, that a prefix of inputs is under, and the prefix with a final slash. Raises BadInput."""
    match = re.fullmatch(BATCH_PREFIX, prefix)
    if not match or not all(part.strip(".") for part in match[2].rstrip("/").split("/") if match[2]):
        raise BadInput(f"{prefix[:120]!r} is not a prefix of batch inputs: they must be under batch/NAME/in/")
    return match[1], prefix.rstrip("/") + "/"


def batch_output(job: str, chunk: int) -> str:
    return f"{batch(job)}out/{chunk:06d}.jsonl"


def batch_done(job: str, chunk: int, inputs: int, failed: int) -> str:
    return f"{batch(job)}done/{chunk:06d}-{inputs}-{failed}"


def parse_batch_done(key: str) -> tuple[int, int, int] | None:
    """Chunk, inputs and failed inputs of a key of `batch_done`; None for any other object there."""
    match = re.fullmatch(DONE, key.rpartition("/")[2])
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def batch_parts(job: str, chunk: int) -> str:
    """The prefix of a chunk's parts and attempts."""
    return f"{batch(job)}part/{chunk:06d}/"


def batch_part(job: str, chunk: int, first: int) -> str:
    return f"{batch_parts(job, chunk)}{first:06d}.jsonl"


def batch_errors(job: str) -> str:
    return f"{batch(job)}trouble/"


def batch_error(job: str, chunk: int) -> str:
    return f"{batch_errors(job)}{chunk:06d}.json"


def batch_run(job: str, run: int, event: str) -> str:
    """event: `start`, `cancel` or `end`."""
    return f"{batch(job)}runs/{run:06d}.{event}.json"
