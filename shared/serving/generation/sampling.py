"""The next token of its logits: penalties, temperature, the cuts top-k, top-p and min-p, and a draw.

Penalties as in Keskar et al. 2019 (CTRL: repetition, of the prompt, too) and as OpenAI has them (presence and
frequency, of what was generated); top-p of Holtzman et al. 2020; min-p of Nguyen et al. 2024. The order is that of
Hugging Face's generate(): penalties, temperature, top-k, top-p, min-p.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

# A token that is less likely than the best one by this factor (e^-25) is never drawn: 50,000 of them are 1 in a million
NEGLIGIBLE = 25.0
GREEDY = 1e-4  # below this temperature, only equal ones would be drawn from
ROUNDING = 1 - 1e-6  # of a share that is just as large as it has to be, in float32
MOST_LOGPROBS = 20

Share = Annotated[float, Meta(gt=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Sampling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the next token is chosen. temperature 0: the likeliest one, always. top_k 0: no cut.

    seed: the same one gives the same tokens, on the same machine and model. logprobs: how many likely tokens are told
    of beside each chosen one; None: nothing is.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    top_p: Share = 1.0
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=MOST_LOGPROBS)] | None = None


class Choice(Struct, frozen=True):
    """token: its number. logprob, likely: of the model's own distribution, before penalties and temperature; likely:
    (token, logprob), the likeliest first. None and empty unless they were asked for."""

    token: int
    logprob: float | None = None
    likely: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Of one sequence. prompt: its tokens, which the repetition penalty is about, too."""

    def __init__(self, options: Sampling, prompt: Iterable[int] = ()) -> None:
        self._options = options
        self._prompt = np.unique(np.fromiter(prompt, np.int64)) if options.repetition_penalty != 1 else None
        self._generated: Counter[int] = Counter()
        seed = None if options.seed is None else options.seed % 2**64
        self._random = np.random.default_rng(seed)

    def choose(self, logits: np.ndarray, allowed: np.ndarray | None = None) -> Choice:
        """The next token, which is then counted as generated.

        logits: [vocabulary], float32; not changed. allowed: [vocabulary], of bool; one of them at least.
        """
        scores = self._penalized(logits)
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf)
        options = self._options
        token = int(scores.argmax()) if options.temperature < GREEDY else self._draw(scores)
        self._generated[token] += 1
        if options.logprobs is None:
            return Choice(token)
        return Choice(token, *logprobs(logits, token, options.logprobs))

    def _penalized(self, logits: np.ndarray) -> np.ndarray:
        options = self._options
        scores = logits
        if self._prompt is not None:
            seen = np.union1d(self._prompt, np.fromiter(self._generated, np.int64))
            scores = logits.copy()
            values = scores[seen]
            factor = options.repetition_penalty
            scores[seen] = np.where(values < 0, values * factor, values / factor)
        if self._generated and (options.presence_penalty or options.frequency_penalty):
            scores = scores.copy()
            tokens = np.fromiter(self._generated.keys(), np.int64)
            counts = np.fromiter(self._generated.values(), np.float32)
            scores[tokens] -= options.presence_penalty + options.frequency_penalty * counts
        return scores

    def _draw(self, scores: np.ndarray) -> int:
        options = self._options
        scaled = (scores - scores.max()) / np.float32(options.temperature)
        tokens = np.flatnonzero(scaled > -NEGLIGIBLE)
        order = np.argsort(-scaled[tokens], kind="stable")  # of equal ones, the lower number first
        tokens = tokens[order][: options.top_k or None]
        weights = np.exp(scaled[tokens].astype(np.float64))
        weights /= weights.sum()
        if options.top_p < 1:
            # the smallest number of tokens that have this share: the one that crosses it belongs to them
            kept = int(np.searchsorted(np.cumsum(weights), options.top_p)) + 1
            weights = weights[:kept]
        weights = weights[weights >= options.min_p * weights[0] * ROUNDING]
        bounds = np.cumsum(weights)
        place = int(np.searchsorted(bounds, self._random.random() * bounds[-1], side="right"))
        return int(tokens[min(place, len(bounds) - 1)])


def logprobs(logits: np.ndarray, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The token's log-probability, and those of the `count` likeliest tokens, by number."""
    best = logits.max()
    total = float(best) + float(np.log(np.exp(logits - best).sum(dtype=np.float64)))
    count = min(count, len(logits))
    likely = np.argpartition(-logits, count - 1)[:count] if count else np.empty(0, np.int64)
    likely = likely[np.argsort(-logits[likely], kind="stable")]
    return float(logits[token]) - total, tuple((int(one), float(logits[one]) - total) for one in likely)
