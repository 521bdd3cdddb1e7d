"""Several sequences of one decoder, side by side in one batch: a token of each is read in one step.

Weights are read once for all of them, which is what a step costs on a processor. A sequence is read alone first, by the
decoder; then its caches are copied into a row. Rows are of unlike lengths, and the mask says what is theirs:

    caches that lie in one place    a row's tokens lie at the left; the graph counts them by the mask (seqlens_k), and
                                    appends each row's next one at the row's own end
    caches that are concatenated    a row's tokens lie at the right, so that the next one stands behind them; what is
                                    left of them is hidden by the mask. Distances are a single sequence's, so that a
                                    sliding window looks at the same tokens

Whether a graph gives the same in rows is tried, by rows that are as unlike as any that are admitted later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from shared.errors import BadInput, TooLarge
from shared.runtime.arrays import DTYPES
from shared.runtime.caches import BATCH, BRANCH, IDS, MASK, POSITIONS, Cache
from shared.runtime.decoder import Decoder

# of all rows' caches: a quarter of what a model has by default beside its file (ModelMemoryMiB)
CACHE_BYTES = 256 << 20
LONGEST = 4096  # tokens of a row: so much padding is tried
LEAST = 8  # tokens of a row, for what is tried
MORE = 64  # tokens by which rows in one place grow
APART = 0.005  # of the largest logit: by so much may those in rows differ from those alone
NEIGHBORS = 1e-6  # the same, where only the other row is another one


class Rows:
    """Of one decoder. count: how many rows there are. longest: tokens of a row, tokens: of rows times the longest one,
    as far as CACHE_BYTES are for them; `packing` says both.

    mixes: the graph is known to compute a row from all rows, and takes none.
    """

    def __init__(self, decoder: Decoder, *, mixes: bool = False) -> None:
        self._decoder, self._caches = decoder, decoder.layout.caches
        self._mixes = mixes
        self._in_place = decoder.in_place
        # where caches are concatenated, those before a step and those after it are there at once
        each = sum(_bytes(cache) for cache in self._caches) * (1 if self._in_place else 2)
        self.tokens = CACHE_BYTES // each
        self.longest = min(LONGEST, self.tokens // 2, decoder.limit or LONGEST)
        self._packing: tuple[int, int] | None = None
        self._lengths: list[int] = []
        self._arrays: list[np.ndarray] = []  # caches; where they are concatenated, none after a step
        self._values: list[ort.OrtValue] = []  # the same, of the rows that there are
        self._capacity = self._room = 0  # rows and tokens of the caches

    @property
    def count(self) -> int:
        return len(self._lengths)

    def packing(self) -> tuple[int, int]:
        """`tokens` and `longest`; zeros where the graph cannot give the same in rows. Tried once; forgets all."""
        if self._packing is None:
            self._packing = (self.tokens, self.longest) if self._are_alike() else (0, 0)
            self.clear()
            self._decoder.rewind(0)
        return self._packing

    def hold(self, row: int) -> None:
        """The sequence that the decoder has read, copied: into a row that is over, or as the next one.

        Raises BadInput for a row that cannot be the next one, TooLarge for a sequence beyond `longest`.
        """
        if not 0 <= row <= self.count or not self._decoder.length:
            raise BadInput(f"there are {self.count} rows, and {row} is not the next one, or nothing was read for it")
        if self._decoder.length > self.longest:
            raise TooLarge(f"{self._decoder.length:,} tokens are more than the {self.longest:,} of a row")
        before, rows = self.count, max(self.count, row + 1)
        if row == before:
            self._lengths.append(0)
        self._lengths[row] = self._decoder.length
        longest = max(self._lengths)
        if not self._in_place or rows > self._capacity or longest > self._room:
            self._arrange({place: place for place in range(before) if place != row}, rows, self._roomy(longest))
        for array, cache, value in zip(self._arrays, self._caches, self._decoder.caches(), strict=True):
            array[self._place(cache, row, self._room)] = value
        self._bind()

    def drop(self, row: int) -> None:
        """Forget a row; the last one takes its place. Raises BadInput where there is none."""
        if not 0 <= row < self.count:
            raise BadInput(f"there is no row {row} of {self.count}")
        last = self.count - 1
        places = {place: place for place in range(last)} | ({row: last} if row < last else {})
        before, self._lengths[row] = list(self._lengths), self._lengths[last]
        self._lengths.pop()
        if not self._lengths:
            self.clear()
        elif not self._in_place:
            self._arrange(places, last, max(self._lengths))
            self._bind()
        else:
            for array, cache in zip(self._arrays, self._caches, strict=True):
                if row < last:
                    array[_at(cache, row, slice(before[last]))] = array[_at(cache, last, slice(before[last]))]
            self._bind()

    def step(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read one token for each row. Returns the logits behind it, [rows, vocabulary], of float32.

        Raises BadInput for what is no token of each row, TooLarge beyond `longest`.
        """
        ids = np.asarray(tokens, np.int64).reshape(-1)
        if len(ids) != self.count or not len(ids) or ids.min() < 0 or ids.max() >= self._decoder.vocabulary:
            raise BadInput(f"a step takes one token for each of {self.count} rows, below {self._decoder.vocabulary:,}")
        longest = max(self._lengths) + 1
        if longest > self.longest:
            raise TooLarge(f"{longest:,} tokens are more than the {self.longest:,} of a row")
        if self._in_place and longest > self._room:
            self._arrange({place: place for place in range(self.count)}, self.count, self._roomy(longest))
            self._bind()
        return self._run(ids)

    def _run(self, ids: np.ndarray) -> np.ndarray:
        lengths = np.array(self._lengths)[:, None]
        total = (int(lengths.max()) if self._in_place else self._room) + 1
        places = np.arange(total)[None]
        mask = places <= lengths if self._in_place else places >= total - 1 - lengths
        values = {IDS: ids[:, None], MASK: mask, POSITIONS: lengths, BRANCH: np.array([True])}
        logits, *self._values = self._decoder.run(values, self._values)
        self._lengths = [length + 1 for length in self._lengths]
        if not self._in_place:
            self._room, self._arrays = total, []
        last: np.ndarray = logits.numpy()[:, -1].astype(np.float32, copy=True)
        return last

    def _arrange(self, places: dict[int, int], rows: int, room: int) -> None:
        """Caches of other sizes. places: of rows as they are to be, where they are now; the others stay empty.

        One cache after the other, so that there is one twice at a time. Rows have their new lengths already.
        """
        present = self._present()
        for number, cache in enumerate(self._caches):
            array = np.zeros(cache.dimensions(rows, room), DTYPES[cache.datatype])
            for row, before in places.items():
                array[self._place(cache, row, room)] = present[number][self._place(cache, before, self._room, row)]
            if number < len(self._arrays):
                self._arrays[number] = array
            else:
                self._arrays.append(array)
            present[number] = array
        self._capacity, self._room = rows, room

    def _roomy(self, longest: int) -> int:
        """The room for rows of such a length."""
        return min(longest + MORE, self.longest) if self._in_place else longest

    def _present(self) -> list[np.ndarray]:
        """The caches as they are; empty ones where there are none."""
        if not self._arrays:  # ONNX Runtime's own memory, which a view keeps, unlike that of an array that was given
            self._arrays = [value.numpy() for value in self._values]
        self._values = []
        return list(self._arrays) or [np.empty(0, np.float32)] * len(self._caches)

    def _place(self, cache: Cache, row: int, room: int, of: int | None = None) -> tuple[slice, ...]:
        """Where a row's tokens lie, in caches with such room. of: the row whose length counts, where it is another."""
        length = self._lengths[row if of is None else of]
        return _at(cache, row, slice(length) if self._in_place else slice(room - length, room))

    def _bind(self) -> None:
        """The caches of the rows that there are, as ONNX Runtime's values: where they lie in one place, its memory."""
        count = self.count
        arrays = [array[:count] if self._in_place else array for array in self._arrays]
        self._values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]

    def clear(self) -> None:
        """Forget all rows, and give their memory back."""
        self._lengths, self._arrays, self._values = [], [], []
        self._capacity = self._room = 0

    def _are_alike(self) -> bool:
        """Whether rows give what their sequences give alone, whatever stands beside them.

        A graph without a mask cannot be told what is a row's own; rows in one place have to lie one behind the other.
        """
        inputs = self._decoder.layout.integers
        if self._mixes or MASK not in inputs or self.longest < LEAST:
            return False
        if self._in_place and any(cache.shape.index(BATCH) for cache in self._caches):
            return False
        try:
            return self._neighbors_change_nothing() and self._padding_changes_nothing()
        except BadInput:  # as of a graph whose batch is 1
            return False

    def _read(self, tokens: list[int]) -> None:
        self._decoder.rewind(0)
        self._decoder.extend(tokens)

    def _alone(self, tokens: list[int]) -> np.ndarray:
        self._read(tokens[:-1])
        return self._decoder.extend(tokens[-1:])

    def _neighbors_change_nothing(self) -> bool:
        first, *others = [0, 1, 0], [1], [0]
        expected, answers = self._alone([*first, 1]), []
        for other in others:
            self.clear()
            for row, tokens in enumerate((first, other)):
                self._read(tokens)
                self.hold(row)
            answers.append(self.step([1, other[0]])[0])
        most = np.abs(expected).max()
        beside, apart = (np.abs(answers[0] - one).max() for one in (answers[1], expected))
        return bool(beside <= NEIGHBORS * most and apart <= APART * most)

    def _padding_changes_nothing(self) -> bool:
        """Of a short row beside one that is as long as there may be, which is made of zeros: it costs no reading."""
        short = [0, 1]
        expected = self._alone([*short, 0])
        self.clear()
        for row in (0, 1):
            self._read(short)
            self.hold(row)
        longest = self.longest - 1
        self._arrange({0: 0, 1: 1}, 2, longest + 1 if self._in_place else longest)
        self._lengths[0] = longest
        self._bind()
        return bool(np.abs(self.step([0, 0])[1] - expected).max() <= APART * np.abs(expected).max())


def _at(cache: Cache, row: int, tokens: slice) -> tuple[slice, ...]:
    place = [slice(None)] * len(cache.shape)
    place[cache.shape.index(BATCH)] = slice(row, row + 1)
    place[cache.axis] = tokens
    return tuple(place)


def _bytes(cache: Cache) -> int:
    """Of a token."""
    return math.prod(cache.dimensions(1, 1)) * DTYPES[cache.datatype].itemsize
