"""What a form of a language model is worth, by the float model's own texts: tokens that agree, perplexity, speed.

Both models read token by token, as they are served. Agreement counts the float model's likeliest tokens that are the
form's, too, with the float model's text before each of them. As near ties decide much of it, the divergence of the two
distributions (Kullback-Leibler, in nats a token) is told beside it; perplexity is of a text that neither has written.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.runtime import onnx
from shared.runtime.caches import Geometry
from shared.runtime.decoder import Decoder
from training.errors import TrainingError

ANSWER = 32  # tokens of each of the float model's answers, at most
MOST_TEXT = 512  # tokens of the held text


@dataclass(frozen=True)
class Case:
    """A prompt's tokens, and the float model's likeliest answer to it."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Reference:
    """Of the float model. held: tokens of the text. logits: behind each of them but the last, [tokens, vocabulary]."""

    cases: list[Case]
    held: list[int]
    logits: np.ndarray
    figures: Figures


@dataclass(frozen=True)
class Figures:
    """agreed: of `tokens`. perplexity, divergence: of the held text. speed: tokens a second of one thread's CPU time.

    load: seconds of CPU time. size: bytes.
    """

    size: int
    agreed: int
    tokens: int
    perplexity: float
    divergence: float
    speed: float
    load: float

    @property
    def agreement(self) -> float:
        return self.agreed / self.tokens

    def noted(self) -> dict[str, Any]:
        """For a lineage or a report."""
        numbers = {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return numbers | {"agreement": round(self.agreement, 4)}


class _Reader:
    """A decoder on one thread, with the time that it takes. Raises TrainingError."""

    def __init__(self, path: Path, geometry: Geometry | None) -> None:
        started = time.process_time()
        try:
            self._decoder = Decoder(onnx.open_session(str(path)), geometry)
        except AmaasError as error:
            raise TrainingError(f"{path}: {error}") from error
        self.load = time.process_time() - started
        self.seconds, self.steps = 0.0, 0

    def begin(self, tokens: Sequence[int]) -> np.ndarray:
        self._decoder.rewind(0)
        return self._extend(tokens)

    def step(self, token: int) -> np.ndarray:
        started = time.process_time()
        logits = self._extend([token])
        self.seconds += time.process_time() - started
        self.steps += 1
        return logits

    def _extend(self, tokens: Sequence[int]) -> np.ndarray:
        try:
            return self._decoder.extend(tokens)
        except AmaasError as error:
            raise TrainingError(str(error)) from error

    def along(self, held: Sequence[int]) -> np.ndarray:
        """The logits behind each token but the last: [tokens, vocabulary]; in FP16, which is near enough to compare."""
        logits = [self.begin(held[:1]), *(self.step(token) for token in held[1:-1])]
        return np.stack([values.astype(np.float16) for values in logits])

    @property
    def speed(self) -> float:
        return self.steps / self.seconds if self.seconds else 0.0


def refer(
    path: Path, size: int, geometry: Geometry | None, prompts: Sequence[list[int]], held: list[int], ends: Sequence[int]
) -> Reference:
    """The float model's answers, and its distributions along the held text. Raises TrainingError."""
    reader, cases = _Reader(path, geometry), []
    for prompt in prompts:
        logits, answer = reader.begin(prompt), []
        while True:
            answer.append(int(logits.argmax()))
            if len(answer) == ANSWER or answer[-1] in ends:
                break
            logits = reader.step(answer[-1])
        cases.append(Case(prompt, answer))
    text = held[:MOST_TEXT]
    along = reader.along(text)
    total = sum(len(case.answer) for case in cases)
    perplexity = float(np.exp(_surprise(along, text).mean()))
    figures = Figures(size, total, total, perplexity, 0.0, reader.speed, reader.load)
    return Reference(cases, text, along, figures)


def judged(path: Path, size: int, geometry: Geometry | None, reference: Reference) -> Figures:
    """Of a form. Raises TrainingError where it cannot run, or answers with what are no numbers."""
    reader = _Reader(path, geometry)
    agreed = sum(_agreed(reader, case) for case in reference.cases)
    along = reader.along(reference.held)
    perplexity = float(np.exp(_surprise(along, reference.held).mean()))
    nats = float(np.mean([divergence(one, two) for one, two in zip(reference.logits, along, strict=True)]))
    total = sum(len(case.answer) for case in reference.cases)
    return Figures(size, agreed, total, perplexity, nats, reader.speed, reader.load)


def _agreed(reader: _Reader, case: Case) -> int:
    logits, agreed = reader.begin(case.prompt), 0
    for place, token in enumerate(case.answer):
        agreed += int(logits.argmax()) == token
        if place + 1 < len(case.answer):
            logits = reader.step(token)
    return agreed


def _surprise(logits: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Of each token but the first, in nats."""
    return np.array([-_logarithms(row)[token] for row, token in zip(logits, tokens[1:], strict=True)])


def divergence(expected: np.ndarray, found: np.ndarray) -> float:
    """Of two distributions, by their logits, [vocabulary]; in nats."""
    first, second = _logarithms(expected), _logarithms(found)
    return float((np.exp(first) * (first - second)).sum())


def _logarithms(logits: np.ndarray) -> np.ndarray:
    """Of probabilities: [vocabulary] of float64."""
    shifted = logits.astype(np.float64) - float(logits.max())
    logarithms: np.ndarray = shifted - np.log(np.exp(shifted).sum())
    return logarithms
