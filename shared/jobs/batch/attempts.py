"""Attempts at a chunk: what earlier calls of the worker left of it, and how much of it one call may risk at once.

Before a call predicts a range of a chunk's inputs, it stores a mark. A mark that nothing followed - no part of the
answers from there, no note that the call ended by itself - is a call that died: one of its inputs ended the process,
took all its memory or all its time. The next call takes half of the range, and so on, down to the one input, which is
then answered with an error of its own. Behind it, ranges grow again by doubling. So each input that kills costs about
log2(chunk) calls, and every other input is answered.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from shared import batch_keys
from shared.errors import AmaasError
from shared.jobs.batch.plan import Chunk
from shared.storage.base import AlreadyExists, Store, list_all

PART = r"([0-9]+)\.jsonl"
# a Mark; what happened: it begun, or one of Ending
ATTEMPT = r"([0-9]+)-([0-9]+)-([0-9]+)-([0-9]+)\.(begun|over|unavailable|failed)"
LINES = "application/jsonl"
JSON = "application/json"
DEATHS = 2  # calls that have to die on one input alone: the first may have been the machine's fault
REFUSALS = 3  # calls in which the model has to be out of reach for one input
PAUSES = (0.0, 0.05, 0.2, 0.8)  # seconds between attempts to store how a call ended
# by itself; the model was out of reach for the first input; the first input is answered with an error
Ending = Literal["over", "unavailable", "failed"]


class Mark(Struct, frozen=True):
    """One call's attempt at `count` inputs from `first` on. number: tells attempts at the same range of a run apart."""

    first: int
    count: int
    run: int
    number: int

    @property
    def end(self) -> int:
        return self.first + self.count


class Attempts:
    """A chunk's answers so far, as lines, and the range of inputs that this call works on.

    Raises what the store raises. A part of the answers is stored before the next range begins.
    """

    def __init__(self, store: Store, job: str, run: int, chunk: Chunk) -> None:
        self._store, self._job, self._run, self._chunk = store, job, run, chunk
        self._marks: dict[Mark, str] = {}  # and how each attempt ended; "" for one that said nothing
        self._present: Mark | None = None
        self.lines: list[bytes] = []
        parts: dict[int, str] = {}
        for info in list_all(store, batch_keys.batch_parts(job, chunk.number)):
            name = info.key.rpartition("/")[2]
            if part := re.fullmatch(PART, name):
                parts[int(part[1])] = info.key
            elif attempt := re.fullmatch(ATTEMPT, name):
                mark = Mark(*map(int, attempt.groups()[:4]))
                self._marks[mark] = attempt[5].removeprefix("begun") or self._marks.get(mark, "")
        self._last_part = 0  # inputs in the newest part
        while (key := parts.get(len(self.lines))) is not None:
            answers = store.get(key).body.splitlines()
            self.lines += answers
            self._last_part = len(answers)
        self._resumed_at = self._stored = len(self.lines)

    @property
    def progressed(self) -> bool:
        """Whether this call has answered anything."""
        return len(self.lines) > self._resumed_at

    @property
    def at_end(self) -> bool:
        """Whether the present range is answered, or none has begun."""
        return self._present is None or len(self.lines) >= self._present.end

    @property
    def left(self) -> int:
        """Inputs of the present range that are not answered."""
        return 0 if self._present is None else max(0, self._present.end - len(self.lines))

    def begin(self) -> bool:
        """Store the answers of the range before, and a mark for the next one.

        Returns False where the next input is known to kill: it is not to be tried again.
        """
        self.store_part()
        first, rest = len(self.lines), self._chunk.count - len(self.lines)
        endings = [self._marks[mark] for mark in self._at(first)]
        if "failed" in endings and "unavailable" not in endings:
            self._present = None  # the call that noted it died before it stored the answer
            return False
        alone = [mark for mark in self._at(first) if mark.count == 1 and mark.run == self._run]
        if sum(not self._marks[mark] for mark in alone) >= DEATHS:
            self._give_up(first)
            return False
        self._put(Mark(first, min(self._width(first, rest), max(rest, 1)), self._run, len(self._at(first)) + 1))
        return True

    def _width(self, first: int, rest: int) -> int:
        """Half of what is left of the smallest range that killed; else twice the newest part, or all where none is."""
        killed = [
            mark.end - first for mark in self._marks if mark.first <= first < mark.end and self._unexplained(mark)
        ]
        if killed:
            return max(min(killed) // 2, 1)
        if "unavailable" in [self._marks[mark] for mark in self._at(first)]:
            return 1
        return 2 * self._last_part or rest

    def _unexplained(self, mark: Mark) -> bool:
        """Whether a call died in this range, of an input that is not known yet."""
        failed = (other.first for other, ending in self._marks.items() if ending == "failed")
        return not self._marks[mark] and not any(mark.first <= place < mark.end for place in failed)

    def _give_up(self, first: int) -> None:
        """Note that an input gets an error of its own."""
        self._put(Mark(first, 1, self._run, len(self._at(first)) + 1))
        self._end("failed")
        self._present = None

    def store_part(self) -> None:
        """Store the answers that no part holds yet. Another worker's part from there counts instead."""
        first, lines = self._stored, self.lines[self._stored :]
        if not lines:
            return
        key = batch_keys.batch_part(self._job, self._chunk.number, first)
        try:
            self._store.put(key, b"".join(line + b"\n" for line in lines), if_absent=True, content_type=LINES)
        except AlreadyExists:
            pass
        self._stored, self._last_part = len(self.lines), len(lines)

    def refused(self) -> bool:
        """The model was out of reach for the next input. Returns whether so often that this is its own answer."""
        first = len(self.lines)
        before = sum(self._marks[mark] == "unavailable" for mark in self._at(first))
        if before + 1 >= REFUSALS:
            self._end("failed")
            return True
        self.store_part()
        if self._present is None or self._present.first != first:
            self._put(Mark(first, 1, self._run, len(self._at(first)) + 1))
        self._end("unavailable")
        self._present = None
        return False

    def close(self) -> None:
        """Note that this call ends by itself, so that nobody takes it for dead. Best effort: the store may be away."""
        if self._present is None:
            return
        for pause in PAUSES:
            time.sleep(pause)
            with suppress(AmaasError):
                self._end("over")
                return

    def _at(self, first: int) -> list[Mark]:
        return [mark for mark in self._marks if mark.first == first]

    def _put(self, mark: Mark) -> None:
        self._present, self._marks[mark] = mark, ""
        self._note(mark, "begun")

    def _end(self, ending: Ending) -> None:
        if self._present is not None:
            self._marks[self._present] = ending
            self._note(self._present, ending)

    def _note(self, mark: Mark, event: str) -> None:
        name = f"{mark.first:06d}-{mark.count:06d}-{mark.run:06d}-{mark.number:04d}.{event}"
        key = batch_keys.batch_parts(self._job, self._chunk.number) + name
        self._store.put(key, b'{"format":1}', content_type=JSON)
