"""A decoder that hears: an encoder reads a window of sound once, and a decoder gives logits of its text's tokens.

As decoder.py, for graphs in the form of Whisper: beside the caches of its tokens, the decoder has caches of the sound,
which are computed by the first step after a window and read by all others. One window, and one text, at a time.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from shared.errors import BadInput, TooLarge
from shared.runtime import cross_caches, onnx
from shared.runtime.arrays import DTYPES
from shared.runtime.caches import BLOCK, BRANCH, IDS, LOGITS, Geometry
from shared.runtime.cross_caches import FEATURES, HIDDEN, POSITION, Step
from shared.runtime.decoder import CLOSE, LOGIT_BYTES, TRIAL, cut, last_logits, zeros
from shared.runtime.signature import Signature, TensorSpec, Unloadable
from shared.runtime.zygotes import Decoding

ENCODER, LATER = "encoder.onnx", "model_with_past.onnx"  # files of a package, beside model.onnx
FACTS = ("length", "vocabulary", "limit", "mels", "frames")  # of a session; 0 for what the graphs leave open
TRIAL_PLACES = 8  # of a sound that is made up, to see what the decoder can do
Sessions = tuple[ort.InferenceSession, ort.InferenceSession, ort.InferenceSession | None]


class Hearer:
    """Of one thread at a time. length: tokens in the caches. limit: of what they may hold, where one is known.

    vocabulary: how many tokens there are. Raises Unloadable for graphs that are no encoder and decoder of each other.
    """

    def __init__(self, sessions: Sessions, geometry: Geometry | None = None, limit: int | None = None) -> None:
        """sessions: of the encoder; of the decoder; of its later steps, where they are a graph of their own."""
        self._encoder, self._first, later = sessions
        self._later = later or self._first
        self.limit = limit
        self.hearing = cross_caches.hearing_of(self._encoder.get_inputs(), self._encoder.get_outputs())
        self._step, self._steps = (
            cross_caches.step_of(session.get_inputs(), session.get_outputs(), geometry)
            for session in (self._first, self._later)
        )
        cross_caches.require_pair(self._step, self._steps)
        self._require_outputs()
        self._hidden: ort.OrtValue | None = None
        self._heard: list[ort.OrtValue] = []
        self._own: list[ort.OrtValue] = []
        self.length, self.continues = 0, True
        self.vocabulary = self._tried()
        self.block = max(1, min(BLOCK, LOGIT_BYTES // (4 * self.vocabulary)))
        self._forget()

    @property
    def has_heard(self) -> bool:
        return self._hidden is not None

    def hear(self, features: np.ndarray) -> None:
        """Encode a window, and forget all before it. features: [mels, frames], of float32. Raises BadInput."""
        self._forget()
        expected = (self.hearing.mels or len(features), self.hearing.frames or features.shape[1])
        if features.shape != expected:
            raise BadInput(f"the features have the shape {features.shape}, the model takes {list(expected)}")
        binding = self._encoder.io_binding()
        array = np.ascontiguousarray(features[None], DTYPES[self.hearing.datatype])
        binding.bind_cpu_input(FEATURES, array)
        binding.bind_output(self.hearing.output)
        with onnx.translated():
            self._encoder.run_with_iobinding(binding, onnx.QUIET)
        [self._hidden] = binding.get_outputs()

    def extend(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read tokens. Returns the logits of the one that follows: [vocabulary], of float32.

        Raises BadInput for a number that is no token's, where nothing was heard, and for logits that are no numbers;
        TooLarge beyond the limit.
        """
        ids = np.asarray(tokens, np.int64).reshape(-1)
        self._require(ids)
        start, logits = 0, np.empty(0, np.float32)
        while start < len(ids):
            anew = not self.length and (not self.continues or not self._heard)
            end = start + (self.block if anew or self.continues else 1)
            if anew and not self.continues:
                end = len(ids)  # in the first step, of which there is one
            logits = last_logits(self._run_first(ids[start:end]) if anew else self._run_later(ids[start:end]))
            self.length += len(ids[start:end])
            start = end
        if not np.isfinite(logits.max()):
            raise BadInput("the model answers with what are no numbers on this sound: quantize it less, or export anew")
        return logits

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first `length`; the sound stays. Raises BadInput for more than there are."""
        if not 0 <= length <= self.length:
            raise BadInput(f"there are {self.length} tokens in the caches, and {length} are to be kept")
        if length < self.length:
            self._own = [cut(cache, value, length) for cache, value in zip(self._steps.own, self._own, strict=True)]
            self.length = length

    def _forget(self) -> None:
        self._hidden, self._heard, self._own, self.length = None, [], [], 0

    def _require(self, ids: np.ndarray) -> None:
        if self._hidden is None:
            raise BadInput("nothing was heard yet")
        if not len(ids) or ids.min() < 0 or ids.max() >= self.vocabulary:
            raise BadInput(f"there are no tokens, or one is beyond the model's vocabulary of {self.vocabulary:,}")
        if self.limit is not None and self.length + len(ids) > self.limit:
            raise TooLarge(f"{self.length + len(ids):,} tokens are more than the model's {self.limit:,}")

    def _run_first(self, ids: np.ndarray) -> ort.OrtValue:
        """The step that computes the caches of the sound, too."""
        names = [cache.present for cache in self._steps.own] + self._heard_outputs
        feeds = self._feeds(self._step, ids, begun=False)
        past: list[tuple[str, ort.OrtValue]] = [(HIDDEN, self._hidden)]
        past += [
            (cache.past, ort.OrtValue.ortvalue_from_numpy(zeros(cache, 0)))
            for cache in (*self._step.own, *self._step.heard)
        ]
        logits, *values = _run(self._first, feeds, past, [LOGITS, *names])
        count = len(self._steps.own)
        self._own, self._heard = values[:count], values[count:]
        return logits

    def _run_later(self, ids: np.ndarray) -> ort.OrtValue:
        steps = self._steps
        own = self._own or [ort.OrtValue.ortvalue_from_numpy(zeros(cache, 0)) for cache in steps.own]
        caches = zip((*steps.own, *steps.heard), (*own, *self._heard), strict=True)
        past = [(cache.past, value) for cache, value in caches]
        if steps.hidden is not None:
            past.append((HIDDEN, self._hidden))
        names = [LOGITS, *(cache.present for cache in steps.own)]
        logits, *self._own = _run(self._later, self._feeds(steps, ids, begun=True), past, names)
        return logits

    def _feeds(self, step: Step, ids: np.ndarray, *, begun: bool) -> dict[str, np.ndarray]:
        """What is no cache. begun: of the steps that have caches of the sound."""
        values: dict[str, Any] = {
            IDS: ids[None],
            POSITION: np.arange(self.length, self.length + len(ids)),
            BRANCH: np.array([begun]),
        }
        return {name: np.ascontiguousarray(values[name], DTYPES[datatype]) for name, datatype in step.integers.items()}

    def _require_outputs(self) -> None:
        """The first step has to give what later ones take."""
        given = {one.name for one in self._first.get_outputs()}
        self._heard_outputs = [f"present.{cache.past.partition('.')[2]}" for cache in self._steps.heard]
        missing = {*self._heard_outputs, *(cache.present for cache in self._steps.own)} - given
        if missing:
            raise Unloadable(f"the decoder's first step gives no {sorted(missing)[0]!r}, which later ones take")

    def _tried(self) -> int:
        """The vocabulary's size, by three tokens on a sound that is made up; and whether later steps take several."""
        width = self._step.width or self.hearing.width
        if not width:
            raise Unloadable("neither the encoder nor the decoder says how wide what is between them is: export anew")
        if self._step.hidden != self.hearing.datatype:
            raise Unloadable(f"the encoder computes with {self.hearing.datatype}, the decoder with {self._step.hidden}")
        places = self._step.places or TRIAL_PLACES
        hidden = np.sin(np.arange(places * width)).reshape(1, places, width)
        self._hidden = ort.OrtValue.ortvalue_from_numpy(hidden.astype(DTYPES[self.hearing.datatype]))
        try:
            at_once = self._run_first(TRIAL)
            shape = at_once.shape()
            if len(shape) != 3 or shape[0] != 1 or shape[2] <= TRIAL.max():
                raise Unloadable(f"the logits have the shape {shape}: a decoder's are [batch, tokens, vocabulary]")
            self._run_first(TRIAL[:1])
            self.length = 1
            self._run_later(TRIAL[1:2])
        except BadInput as error:
            raise Unloadable(f"the decoder cannot read a token: {error}") from error
        self.continues = self._goes_on(last_logits(at_once))
        return int(shape[2])

    def _goes_on(self, expected: np.ndarray) -> bool:
        """Whether later steps can read several tokens, behind none and behind one, as the first step reads them."""
        try:
            for before in (0, 1):
                self.length, self._own = 0, []
                if before:
                    self._run_later(TRIAL[:before])
                    self.length = before
                logits = last_logits(self._run_later(TRIAL[before:]))
                if not np.abs(logits - expected).max() <= CLOSE * np.abs(expected).max():
                    return False
        except BadInput:
            return False
        return True


def _run(
    session: ort.InferenceSession, feeds: dict[str, np.ndarray], past: list[tuple[str, Any]], names: list[str]
) -> list[ort.OrtValue]:
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for name, value in past:
        binding.bind_ortvalue_input(name, value)
    for name in names:  # of a merged graph, others are dummies from the second step on
        binding.bind_output(name)
    with onnx.translated():
        session.run_with_iobinding(binding, onnx.QUIET)
    values: list[ort.OrtValue] = binding.get_outputs()
    return values


class Listening:
    """A Hearer as signature.Session, so that it can be behind the wall with its caches.

    features: [mels, frames], of FP32: a window to be heard in the place of what was heard before. tokens, keep, logits:
    as reading.Reading has them; no logits also where nothing was heard. facts: the numbers of FACTS, of INT64.
    """

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self.inputs = [TensorSpec("tokens", "INT64", [-1]), TensorSpec("keep", "INT64", [1])]
        self.optional = [TensorSpec("features", "FP32", [-1, -1])]
        self.outputs = [TensorSpec("logits", "FP32", [-1]), TensorSpec("facts", "INT64", [len(FACTS)])]
        self._signature = Signature(self.inputs, self.optional, self.outputs)

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Raises BadInput, TooLarge."""
        checked, hearer = self._signature.check(outputs, feeds), self._hearer
        if "features" in checked:
            hearer.hear(checked["features"])
        logits, keep = np.empty(0, np.float32), int(checked["keep"][0])
        if hearer.has_heard and keep <= hearer.length and len(checked["tokens"]):
            hearer.rewind(keep)
            logits = hearer.extend(checked["tokens"])
        hearing = hearer.hearing
        facts = [hearer.length, hearer.vocabulary, hearer.limit or 0, hearing.mels or 0, hearing.frames or 0]
        values: dict[str, np.ndarray] = {"logits": logits, "facts": np.array(facts, np.int64)}
        return [values[name] for name in outputs or values]


def load(model: bytes, data: Mapping[str, mmap.mmap], decoding: Decoding, threads: int = 1) -> Listening:
    """A session of model.onnx, a decoder, and the graphs beside it. Raises Unloadable.

    data: files by name: ENCODER, perhaps LATER, and those with weights.
    """
    geometry = None if decoding.heads is None or decoding.width is None else Geometry(decoding.heads, decoding.width)
    weights = {name: file for name, file in data.items() if name not in (ENCODER, LATER)}
    if ENCODER not in data:
        raise Unloadable(f"a model of speech has an encoder beside its decoder, in the file {ENCODER}")
    encoder = onnx.open_session(bytes(data[ENCODER]), threads, data=weights)
    first = onnx.open_session(model, threads, data=weights)
    later = onnx.open_session(bytes(data[LATER]), threads, data=weights) if LATER in data else None
    return Listening(Hearer((encoder, first, later), geometry, decoding.limit))
