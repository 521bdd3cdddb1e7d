"""Several texts at once: each prompt is read alone, and then a token of each text is read in one step.

A text that ends makes room for the next prompt at once. What is given is what each text would be alone: its tokens are
chosen by a sampler of its own, and its logits do not depend on what stands beside it (runtime/rows.py). What cannot be
answered here, for whatever reason, is left to be answered alone, which tells the reason.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np
from msgspec import Struct

from shared.errors import AmaasError, BadInput, OutOfTime, TooLarge
from shared.runtime.arrays import require_numbers
from shared.serving.generation.loop import (
    Conversation,
    End,
    Forgotten,
    Reader,
    Request,
    Writing,
    read_prompt,
)
from shared.serving.generation.reader import Packing
from shared.serving.generation.texts import Decode

logger = logging.getLogger(__name__)
ROWS = 8
SPARE = 64  # tokens by which each row can grow when another one begins
BEGINNING = 20.0  # seconds that have to be left for another text to begin


class RowReader(Reader, Protocol):
    """See shared.serving.generation.reader.SessionReader."""

    def hold(self, row: int) -> None: ...

    def drop(self, row: int) -> None: ...

    def drop_all(self) -> None: ...

    def step(self, tokens: Sequence[int]) -> np.ndarray: ...


class Asked(Struct, frozen=True):
    """owner: as loop.generate has it."""

    request: Request
    owner: str


class Written(Struct, frozen=True):
    """A whole text. ns: what it took, of the time of all: its prompt, and its share of the steps."""

    text: str
    end: End
    ns: int


class _Row(Struct):
    """A text in the making. length: tokens in its caches; last: the one that is to be read next."""

    number: int
    writing: Writing
    length: int
    last: int
    text: str
    ns: int


class Pack:
    """Of one call. reader: the conversation's, with rows. packing: what rows there can be."""

    def __init__(
        self,
        conversation: Conversation,
        reader: RowReader,
        packing: Packing,
        decode: Decode,
        remaining: Callable[[], float],
    ) -> None:
        self._conversation, self._reader, self._packing = conversation, reader, packing
        self._decode, self._remaining = decode, remaining
        self._rows: list[_Row | None] = []  # as the reader has them; None: over, to be taken or dropped
        self._waiting: deque[int] = deque()
        self.written: list[Written | None] = []
        self.failed = False

    def write(self, asked: Sequence[Asked]) -> list[Written | None]:
        """The texts, in the order of what is asked; None for one that has to be asked for alone.

        remaining: a text that is not at its end RESERVE before the deadline is cut, with the cause "deadline". `failed`
        is set where the reader ended all of them.
        """
        self._asked, self.written = asked, [None] * len(asked)
        self._waiting.extend(range(len(asked)))
        try:
            self._reader.drop_all()  # of another call, which ended before its texts
            while True:
                self._begin_more()
                self._drop_over()
                self._make_room()
                if not self._rows:
                    break
                self._step()
        except (AmaasError, Forgotten) as error:
            self.failed = True
            logger.warning("texts at once were given up", extra={"why": str(error) or "another process answers now"})
            with suppress(AmaasError):
                self._reader.drop_all()
        return self.written

    def _present(self) -> list[_Row]:
        return [row for row in self._rows if row is not None]

    def _begin_more(self) -> None:
        while self._waiting and len(self._present()) < ROWS:
            number = self._waiting[0]
            if number and self._remaining() < BEGINNING:
                self._waiting.clear()  # another call begins with them
                return
            prompt = len(self._asked[number].request.prompt)
            if prompt + SPARE <= self._packing.longest and not self._has_room(prompt):
                return
            self._waiting.popleft()
            if prompt + SPARE <= self._packing.longest:  # else it is answered alone
                self._begin(number)

    def _has_room(self, prompt: int) -> bool:
        """Whether a row for a prompt fits beside those that are there."""
        present = self._present()
        longest = max([prompt, *(row.length for row in present)]) + SPARE
        return not present or (len(present) + 1) * longest <= self._packing.tokens

    def _begin(self, number: int) -> None:
        """Read a prompt, and begin a row with the first token, unless that is the last one, too."""
        started, asked = time.perf_counter_ns(), self._asked[number]
        limit = self._reader.limit
        try:
            logits, cached = read_prompt(self._conversation, asked.request, self._remaining, asked.owner)
            writing = Writing(asked.request, self._decode, self._remaining, limit, cached=cached)
            row = _Row(number, writing, len(asked.request.prompt), 0, "", 0)
            end = self._take(row, logits)
        except (BadInput, TooLarge):
            return
        except OutOfTime:
            self._waiting.clear()
            return
        row.ns = time.perf_counter_ns() - started
        if end is not None:
            self._end(row, end)
            return
        place = self._rows.index(None) if None in self._rows else len(self._rows)
        self._reader.hold(place)
        self._rows[place : place + 1] = [row]

    def _take(self, row: _Row, logits: np.ndarray) -> End | None:
        piece, end = row.writing.take(logits)
        row.last, row.text = piece.choice.token, row.text + piece.text
        return end

    def _end(self, row: _Row, end: End) -> None:
        self.written[row.number] = Written(row.text, end, row.ns)

    def _drop_over(self) -> None:
        for place in reversed(range(len(self._rows))):
            if self._rows[place] is None:
                self._drop(place)

    def _drop(self, place: int) -> None:
        """As the reader does: the last one takes its place."""
        self._reader.drop(place)
        last = self._rows.pop()
        if place < len(self._rows):
            self._rows[place] = last

    def _make_room(self) -> None:
        """For one token more of each row: the youngest ones begin anew later; too long ones are answered alone."""
        for place in reversed(range(len(self._rows))):
            row = self._rows[place]
            if row is not None and row.length + 1 > self._packing.longest:
                self._drop(place)
        while len(self._rows) > 1 and len(self._rows) * (self._longest() + 1) > self._packing.tokens:
            youngest = max(range(len(self._rows)), key=lambda place: self._numbers()[place])
            self._waiting.appendleft(self._numbers()[youngest])
            self._drop(youngest)

    def _numbers(self) -> list[int]:
        return [row.number for row in self._present()]

    def _longest(self) -> int:
        return max(row.length for row in self._present())

    def _step(self) -> None:
        rows, ends = self._present(), []
        started = time.perf_counter_ns()
        for place, logits in enumerate(self._reader.step([row.last for row in rows])):
            row = rows[place]
            row.length += 1
            try:
                require_numbers(logits)
                end = self._take(row, logits)
            except (BadInput, TooLarge):
                self._rows[place] = None
                continue
            if end is not None:
                self._rows[place] = None
                ends.append((row, end))
        share = (time.perf_counter_ns() - started) // len(rows)
        for row in rows:
            row.ns += share
        for row, end in ends:
            self._end(row, end)
