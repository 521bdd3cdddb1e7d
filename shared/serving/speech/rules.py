"""Which token comes next in a text of speech: what is suppressed, and the order of its times.

As OpenAI's whisper/decoding.py (SuppressTokens, SuppressBlank, ApplyTimestampRules), and transformers'
WhisperTimeStampLogitsProcessor: a time begins a text; times come in pairs, the end of one segment and the beginning of
the next; they never decrease; and where all times together are likelier than any other token, a time it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.package.speech import Transcription

NEVER = np.float32(-np.inf)


class Rules:
    """Of one package. vocabulary: of the model, in tokens. first_time: the token of 0.00 s."""

    def __init__(self, plan: Transcription, vocabulary: int) -> None:
        self._plan = plan
        self.first_time = plan.no_timestamps + 1
        self._suppressed = np.array([token for token in plan.suppress if token < vocabulary], np.int64)
        beginning = [token for token in plan.begin_suppress if token < vocabulary]
        self._suppressed_first = np.array(beginning, np.int64)

    def apply(self, logits: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
        """The logits, with minus infinity for what cannot come. chosen: the text's tokens so far.

        logits: [vocabulary], float32; not changed.
        """
        scores = logits.copy()
        if not chosen:
            scores[self._suppressed_first] = NEVER
        scores[self._suppressed] = NEVER
        scores[self._plan.no_timestamps] = NEVER
        if not self._plan.timestamps:
            scores[self.first_time :] = NEVER
        elif self.first_time < len(scores):
            self._order_times(scores, chosen)
        if not np.isfinite(scores.max()):  # a package may suppress all that there is
            scores[self._plan.end] = 0
        return scores

    def _order_times(self, scores: np.ndarray, chosen: Sequence[int]) -> None:
        first, last_is_time = self.first_time, bool(chosen) and chosen[-1] >= self.first_time
        two_are = len(chosen) < 2 or chosen[-2] >= first
        if last_is_time and two_are:
            scores[first:] = NEVER
        elif last_is_time:
            scores[: self._plan.end] = NEVER
        times = [token for token in chosen if token >= first]
        if times:
            least = times[-1] if last_is_time and not two_are else times[-1] + 1
            scores[first:least] = NEVER
        if not chosen:
            scores[:first] = NEVER
            if self._plan.initial is not None:
                scores[first + self._plan.initial + 1 :] = NEVER
        self._prefer_times(scores)

    def _prefer_times(self, scores: np.ndarray) -> None:
        times, others = scores[self.first_time :], scores[: self.first_time]
        most = float(times.max())
        if not np.isfinite(most):
            return
        together = most + float(np.log(np.exp(times - np.float32(most)).sum(dtype=np.float64)))
        if together > float(others.max()):
            others[:] = NEVER


def log_probability(scores: np.ndarray, token: int) -> float:
    """Of a token, by its logits: the natural logarithm of its share."""
    most = float(scores.max())
    total = most + float(np.log(np.exp(scores - np.float32(most)).sum(dtype=np.float64)))
    return float(scores[token]) - total


def draw(scores: np.ndarray, temperature: float, random: np.random.Generator) -> int:
    """The likeliest token at temperature 0, else one by chance."""
    if not temperature:
        return int(scores.argmax())
    weights = np.exp((scores - scores.max()).astype(np.float64) / temperature)
    bounds = np.cumsum(weights)
    place = int(np.searchsorted(bounds, random.random() * bounds[-1], side="right"))
    return min(place, len(bounds) - 1)
