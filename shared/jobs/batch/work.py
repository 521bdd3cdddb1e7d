"""One chunk: predict each of its inputs, and write the answers once.

A second call for the same chunk, after a crash or a repeated delivery, finds the output and does nothing. A chunk that
takes longer than one call of the worker stores its answers so far as a part, and the next call continues there. What an
input does that kills the worker is in attempts.py.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from shared import batch_keys
from shared.errors import AmaasError, OutOfTime, Unavailable
from shared.jobs.batch import job as jobs
from shared.jobs.batch.attempts import LINES, Attempts
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.sources import Input, read_inputs
from shared.package.manifest import Manifest
from shared.runtime.runners import Crashed
from shared.storage.base import AlreadyExists, ObjectNotFound, Store
from shared.storage.base import Unavailable as StoreUnavailable

logger = logging.getLogger(__name__)
Predict = Callable[[bytes, str], dict[str, Any]]
# answers to several inputs at once, body and content type of each; None: this one has to be predicted alone
Together = Callable[[Sequence[tuple[bytes, str]]], Sequence["Early | None"]]
GROUP = 64  # inputs that are answered together: so many may be lost with a call
RESERVE = 30.0  # seconds kept free for the slowest input and for writing
DIED = (
    "the worker died on this input, each time that it was tried alone: it takes more memory or time than a worker has, "
    "or its values end the process that runs the model; leave it out, or send a smaller one"
)
JOB_MEMBERS = ("model", "version")  # of a prediction: the same on every line, so they are left out


class Early(Struct, frozen=True):
    """An answer that came with those of others. take: it is used. cut: the time was over before its end."""

    take: Callable[[], dict[str, Any]]
    cut: bool


class NotFinished(Unavailable):
    """One call was too short for the chunk, or the model was out of reach for an input. The answers so far are stored.

    The state machine retries on the name of this class, without a limit that matters.
    """


class ChunkFailed(Unavailable):
    """The call ended by itself, without an answer to every input: the store is away, the model is not served.

    The state machine retries a few times on the name of this class. Whatever has another name is the worker's death.
    """


def process(
    store: Store,
    job: Job,
    run: int,
    chunk: Chunk,
    manifest: Manifest,
    predict: Predict,
    remaining: Callable[[], float],
    together: Together | None = None,
) -> dict[str, Any]:
    """Write a chunk's output, and return its counts. remaining: seconds left of this call. together: where
    there is a way to answer several inputs in less time than one after the other.

    Raises NotFinished, or Unavailable: then the chunk has to be tried again.
    """
    if store.list_page(f"{batch_keys.batch(job.id)}done/{chunk.number:06d}-", limit=1).objects:
        return {"chunk": chunk.number, "state": "done"}
    if jobs.is_cancelled(store, job.id, run):
        return {"chunk": chunk.number, "state": "cancelled"}
    body = _read_output(store, job.id, chunk.number)
    if body is None:
        attempts = Attempts(store, job.id, run, chunk)
        try:
            # closed at once: its threads must not be ended by the garbage collector, which may be within one's start
            with closing(read_inputs(store, job, chunk, manifest, len(attempts.lines))) as inputs:
                _Predicting(chunk, predict, remaining, attempts, together).answer(inputs)
            body = _write_output(store, job.id, chunk, attempts.lines)
        except Exception:
            attempts.close()
            raise
    lines = body.splitlines()
    # counted from what is stored, which another worker may have written
    failed = sum(b'"error":' in line and "error" in msgspec.json.decode(line) for line in lines)
    store.put(batch_keys.batch_done(job.id, chunk.number, len(lines), failed), b"")
    return {"chunk": chunk.number, "state": "done", "inputs": len(lines), "failed": failed}


def _read_output(store: Store, job: str, chunk: int) -> bytes | None:
    try:
        return store.get(batch_keys.batch_output(job, chunk)).body
    except ObjectNotFound:
        return None


def _write_output(store: Store, job: str, chunk: Chunk, lines: list[bytes]) -> bytes:
    if len(lines) != chunk.count:  # the plan and this reader disagree: better no output than an incomplete one
        raise RuntimeError(f"chunk {chunk.number} has {len(lines)} inputs, the plan says {chunk.count}")
    body = b"".join(line + b"\n" for line in lines)
    key = batch_keys.batch_output(job, chunk.number)
    try:
        store.put(key, body, if_absent=True, content_type=LINES)
    except AlreadyExists:
        return store.get(key).body  # another worker was faster: its answers count
    return body


class _Predicting:
    """A call's way through a chunk. together: answers inputs ahead of their turn, within a range of attempts."""

    def __init__(
        self,
        chunk: Chunk,
        predict: Predict,
        remaining: Callable[[], float],
        attempts: Attempts,
        together: Together | None,
    ) -> None:
        self._chunk, self._predict, self._remaining = chunk, predict, remaining
        self._attempts, self._together = attempts, together
        self._waiting: deque[Input] = deque()
        self._early: deque[Early | None] = deque()  # of the first ones that are waiting

    def answer(self, inputs: Iterator[Input]) -> None:
        """Add a line per input to those that earlier calls stored. Raises NotFinished, Unavailable."""
        attempts = self._attempts
        while self._waiting or self._fill(inputs, 1):
            if self._use_early():
                continue
            # at least one input per call, so that every call gets further
            if attempts.progressed and self._remaining() < RESERVE:
                attempts.store_part()
                done = f"{len(attempts.lines)} of {self._chunk.count} answers"
                raise NotFinished(f"chunk {self._chunk.number} has {done}: call again")
            if attempts.at_end and not attempts.begin():
                attempts.lines.append(_error_line(self._waiting.popleft(), AmaasError(DIED)))
            # a call's first input has all the time for itself: what others cut is not its end
            elif self._together and attempts.progressed and not self._early:
                self._fill(inputs, min(GROUP, attempts.left))
                self._early.extend(_answer_together(self._waiting, self._together))
            else:
                attempts.lines.append(_answer(self._waiting[0], self._predict, attempts))
                self._waiting.popleft()
                self._early = deque(islice(self._early, 1, None))

    def _fill(self, inputs: Iterator[Input], count: int) -> bool:
        """Have so many inputs waiting, as far as there are. Returns whether there are any."""
        self._waiting.extend(islice(inputs, count - len(self._waiting)))
        return bool(self._waiting)

    def _use_early(self) -> bool:
        """Whether the next input was answered ahead. One that was cut counts for nothing: it had a part of the time."""
        early = self._early[0] if self._early else None
        if early is None or early.cut:
            return False
        self._attempts.lines.append(predict_line(self._waiting.popleft(), lambda *_: early.take()))
        self._early.popleft()
        return True


def _answer_together(items: Sequence[Input], together: Together) -> list[Early | None]:
    """An answer for each, or None. Whatever ends all of them is told where they are asked for alone."""
    readable = [item for item in items if item.error is None]
    answers: Sequence[Early | None] = [None] * len(readable)
    if len(readable) > 1:
        try:
            answers = together([(item.body, item.content_type) for item in readable])
        except Exception:
            logger.exception("not answered together", extra={"inputs": len(readable)})
    by_index = {item.index: answer for item, answer in zip(readable, answers, strict=True)}
    return [by_index.get(item.index) for item in items]


def _answer(item: Input, predict: Predict, attempts: Attempts) -> bytes:
    """The line of one input. Raises NotFinished where another call has to try it."""
    try:
        return _twice(item, predict)
    except StoreUnavailable:
        raise
    except Crashed as crash:
        return _error_line(item, crash)
    except OutOfTime as late:
        if not attempts.progressed:
            return _error_line(item, late)
        attempts.store_part()  # it had what others left of the time: the next call begins with it
        raise NotFinished(f"input {item.index} was not answered in what was left of the time: call again") from late
    except Unavailable as error:
        if attempts.refused():
            return _error_line(item, error)
        raise NotFinished(f"input {item.index} was not answered ({error}): call again") from error


def _twice(item: Input, predict: Predict) -> bytes:
    """As predict_line; where the model's process ended, once more, with a new one: it may have ended by chance."""
    try:
        return predict_line(item, predict)
    except StoreUnavailable:
        raise
    except (Unavailable, Crashed):
        return predict_line(item, predict)


def predict_line(item: Input, predict: Predict) -> bytes:
    """One line of the output. An input's error is its answer, and stops no other input.

    Raises Unavailable, Crashed, OutOfTime.
    """
    line = _line(item)
    try:
        if item.error:
            raise item.error
        prediction = predict(item.body, item.content_type)
        line["prediction"] = {name: value for name, value in prediction.items() if name not in JOB_MEMBERS}
    except (Unavailable, Crashed, OutOfTime):
        raise  # not known to be the input's fault
    except AmaasError as error:
        line |= _told(error)
    except Exception:
        # a fault of ours on one input must not keep the others from their answers
        logger.exception("unexpected", extra={"input": item.name})
        line |= _told(AmaasError("internal error: see the log of the function batchwork"))
    return msgspec.json.encode(line)


def _line(item: Input) -> dict[str, Any]:
    line: dict[str, Any] = {"index": item.index, "input": item.name}
    return line if item.id is None else line | {"id": item.id}


def _error_line(item: Input, error: AmaasError) -> bytes:
    return msgspec.json.encode(_line(item) | _told(error))


def _told(error: AmaasError) -> dict[str, Any]:
    return {"error": str(error), "code": error.code, "status": error.status}


def record_error(store: Store, job: str, chunk: int, error: BaseException) -> None:
    """Store why a chunk failed, for the job's status."""
    message = str(error) if isinstance(error, AmaasError) else f"internal error ({type(error).__name__})"
    body = msgspec.json.encode({"format": 1, "error": message})
    store.put(batch_keys.batch_error(job, chunk), body, content_type=jobs.JSON)
