"""A decoder of tokens: a graph that gives the next token's logits, and keeps caches of what it has read.

One sequence at a time; rows.py has several. Caches never leave ONNX Runtime's values: where the graph can write into
the caches that it reads (GroupQueryAttention), they lie in one place for the whole sequence; else each step's outputs
are the next step's inputs. Which of the two it is, is tried when the model is loaded; and whether the graph can go on
with several tokens at once: some exports can read several at the beginning only, and fail, or are wrong, behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from shared.errors import BadInput, TooLarge
from shared.runtime import caches, onnx
from shared.runtime.arrays import DTYPES, require_numbers
from shared.runtime.caches import BLOCK, BRANCH, IDS, LOGITS, MASK, POSITIONS, Cache, Geometry
from shared.runtime.signature import Unloadable

LOGIT_BYTES = 64 << 20  # of a block's logits, where the graph gives those of all its tokens
ROOM = 256  # tokens by which caches that lie in one place grow, at least
TRIAL = np.array([0, 1, 0], np.int64)  # tokens that any vocabulary has
TRIED = 4  # tokens that caches have room for, to see whether they stay as long as they are
CLOSE = 0.02  # of the largest logit: by so much may those of one way to read differ from those of another


class Decoder:
    """Of one thread at a time. length: tokens in the caches. limit: of what they may hold, where one is known.

    vocabulary: how many tokens there are. Raises Unloadable for a graph that is no decoder.
    """

    def __init__(
        self, session: ort.InferenceSession, geometry: Geometry | None = None, limit: int | None = None
    ) -> None:
        self._session, self.limit = session, limit
        self.layout = caches.layout_of(session.get_inputs(), session.get_outputs(), geometry)
        self._caches = self.layout.caches
        self._values: list[ort.OrtValue] = []
        self.length = 0
        self._room = 0  # tokens that the caches can hold where they lie
        self.in_place, self.continues = False, True
        self.vocabulary = self._tried()
        # a token's logits are of the vocabulary's size, and a graph may give those of each token that it reads
        most = LOGIT_BYTES // (4 * self.vocabulary)
        self.block = max(1, most if not self.continues else BLOCK if self.layout.keep else min(BLOCK, most))
        self._scored = max(1, min(BLOCK, most)) if self.continues and self._gives_all else 1  # tokens at once
        self.rewind(0)

    def extend(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read tokens. Returns the logits of the one that follows: [vocabulary], of float32.

        Raises BadInput for a number that is no token's, and for logits that are no numbers; TooLarge beyond the limit.
        """
        ids = np.asarray(tokens, np.int64).reshape(-1)
        self._require(ids)
        if self.in_place:
            self._reserve(self.length + len(ids))
        start, logits = 0, np.empty(0, np.float32)
        while start < len(ids):
            end = start + (self.block if self.continues or not self.length else 1)
            logits = self._step(ids[start:end])
            start = end
        require_numbers(logits)
        return logits

    def score(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read tokens. Returns the log-probability of each but the first, after those before: [tokens - 1], of float64.

        Raises as `extend` does.
        """
        ids = np.asarray(tokens, np.int64).reshape(-1)
        self._require(ids)
        if self.in_place:
            self._reserve(self.length + len(ids))
        scores = []
        for start in range(0, len(ids), self._scored):
            read = ids[start : start + self._scored]
            logits = self._advance(read, len(read))
            if (shape := logits.shape()) != [1, len(read), self.vocabulary]:
                raise BadInput(f"the model gives logits of the shape {shape} for {len(read)} tokens: export it anew")
            follow = ids[start + 1 : start + 1 + len(read)]
            scores.append(log_probabilities(logits.numpy()[0, : len(follow)], follow))
        of_all = np.concatenate(scores)
        if len(of_all):
            require_numbers(-of_all)  # a token that cannot be has no figure, either
        return of_all

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first `length`. Raises BadInput where there are not so many."""
        if not 0 <= length <= self.length:
            raise BadInput(f"there are {self.length} tokens in the caches, and {length} are to be kept")
        if length == self.length and length:
            return
        if not self.in_place or not length:
            self._values = [cut(cache, value, length) for cache, value in zip(self._caches, self._values, strict=True)]
            self._room = length
        self.length = length

    def _require(self, ids: np.ndarray) -> None:
        if not len(ids):
            raise BadInput("there are no tokens to read")
        if ids.min() < 0 or ids.max() >= self.vocabulary:
            raise BadInput(f"a token's number is below 0 or beyond the model's vocabulary of {self.vocabulary:,}")
        if self.limit is not None and self.length + len(ids) > self.limit:
            raise TooLarge(
                f"{self.length + len(ids):,} tokens are more than the {self.limit:,} that the model can have before "
                "it: send a shorter text"
            )

    def _step(self, ids: np.ndarray) -> np.ndarray:
        return last_logits(self._advance(ids, 1))

    def _advance(self, ids: np.ndarray, keep: int) -> ort.OrtValue:
        """Reads tokens. Returns the logits of the last `keep`, or of all."""
        total = self.length + len(ids)
        values = self._run(ids, total, self._values, keep)
        self._values, self.length = values[1:], total
        return values[0]

    def _run(self, ids: np.ndarray, total: int, past: list[ort.OrtValue], keep: int = 1) -> list[ort.OrtValue]:
        """One run over the one sequence: tokens, and a mask that covers what came before, too."""
        values = {
            IDS: ids[None],
            MASK: np.ones((1, total), np.int64),
            POSITIONS: np.arange(total - len(ids), total)[None],
            BRANCH: np.array([total > len(ids)]),
        }
        return self.run(values, past, keep)

    def run(self, values: dict[str, np.ndarray], past: list[ort.OrtValue], keep: int = 1) -> list[ort.OrtValue]:
        """The logits, and the caches after it; those that lie in one place are those before, too.

        values: of what is no cache, [rows, …], in any type of whole numbers; what the graph does not take is left out.
        keep: of how many tokens, the last ones, logits are wanted, where the graph can be told.
        """
        binding, integers = self._session.io_binding(), self._integers(values, keep)  # the binding points into these
        for name, array in integers.items():
            binding.bind_cpu_input(name, array)
        for cache, value in zip(self._caches, past, strict=True):
            binding.bind_ortvalue_input(cache.past, value)
        binding.bind_output(LOGITS)
        for cache, value in zip(self._caches, past, strict=True):
            if self.in_place:
                binding.bind_ortvalue_output(cache.present, value)
            else:
                binding.bind_output(cache.present)
        with onnx.translated():
            self._session.run_with_iobinding(binding, onnx.QUIET)
        outputs: list[ort.OrtValue] = binding.get_outputs()
        return [outputs[0], *past] if self.in_place else outputs

    def _integers(self, values: dict[str, np.ndarray], keep: int) -> dict[str, np.ndarray]:
        if self.layout.keep:
            values = values | {self.layout.keep: np.array(keep)}
        return {
            name: np.ascontiguousarray(values[name], DTYPES[datatype])
            for name, datatype in self.layout.integers.items()
        }

    def caches(self) -> list[np.ndarray]:
        """What the caches have of the tokens that were read: [1, …], views that the next step may change."""
        return [
            value.numpy()[(slice(None),) * cache.axis + (slice(self.length),)]
            for cache, value in zip(self._caches, self._values, strict=True)
        ]

    def _reserve(self, tokens: int) -> None:
        """Caches that lie in one place, with room for so many."""
        if tokens <= self._room:
            return
        room = max(tokens, min(2 * self._room, tokens + 4 * ROOM)) + ROOM
        if self.limit is not None:
            room = min(room, max(self.limit, tokens))
        for place, cache in enumerate(self._caches):
            array = zeros(cache, room)
            if self.length:
                kept = (slice(None),) * cache.axis + (slice(self.length),)
                array[kept] = self._values[place].numpy()[kept]
            self._values[place] = ort.OrtValue.ortvalue_from_numpy(array)
        self._room = room

    def _tried(self) -> int:
        """The vocabulary's size, by three tokens; and what the graph can do."""
        try:
            at_once = self._run(TRIAL, len(TRIAL), self._empty(0))[0]
            shape = at_once.shape()
            if len(shape) != 3 or shape[0] != 1 or shape[2] <= TRIAL.max():
                raise Unloadable(f"the logits have the shape {shape}: a decoder's are [batch, tokens, vocabulary]")
            after = self._run(TRIAL[:1], 1, self._empty(0))[1:]
        except BadInput as error:
            raise Unloadable(f"the decoder cannot read a token: {error}") from error
        self._gives_all = self.layout.keep is not None or shape[1] == len(TRIAL)
        self.continues = self._goes_on(after, last_logits(at_once))
        self.in_place = self._stays()
        self._values = self._empty(0)
        return int(shape[2])

    def _empty(self, length: int) -> list[ort.OrtValue]:
        return [ort.OrtValue.ortvalue_from_numpy(zeros(cache, length)) for cache in self._caches]

    def _goes_on(self, past: list[ort.OrtValue], expected: np.ndarray) -> bool:
        """Whether two tokens behind a first one give what the three give at once."""
        try:
            logits = last_logits(self._run(TRIAL[1:], len(TRIAL), past)[0])
        except BadInput:
            return False
        return bool(np.abs(logits - expected).max() <= CLOSE * np.abs(expected).max())

    def _stays(self) -> bool:
        """Whether the first token, read with caches that have room for more, leaves them as long as they are."""
        if self.layout.merged:  # its other branch would be asked, which reads all that it is given
            return False
        try:
            after = self._run(TRIAL[:1], 1, self._empty(TRIED))[1:]
        except BadInput:
            return False
        return all(v.shape() == cache.dimensions(1, TRIED) for cache, v in zip(self._caches, after, strict=True))


def zeros(cache: Cache, length: int) -> np.ndarray:
    return np.zeros(cache.dimensions(1, length), DTYPES[cache.datatype])


def cut(cache: Cache, value: ort.OrtValue, length: int) -> ort.OrtValue:
    kept = value.numpy()[(slice(None),) * cache.axis + (slice(length),)]
    return ort.OrtValue.ortvalue_from_numpy(kept.copy())  # never a view of what is about to be given back


def last_logits(logits: ort.OrtValue) -> np.ndarray:
    """Those of the last token, as a copy: the others are of no use to anybody."""
    last: np.ndarray = logits.numpy()[0, -1].astype(np.float32, copy=True)
    return last


def log_probabilities(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Of one token by each row of logits, [tokens, vocabulary]: [tokens], of float64."""
    rows = logits.astype(np.float32, copy=False)
    best = rows.max(axis=1, keepdims=True, initial=-np.inf)
    totals = best[:, 0] + np.log(np.exp(rows - best).sum(axis=1, dtype=np.float64))
    return np.asarray(rows[np.arange(len(tokens)), tokens] - totals, np.float64)
