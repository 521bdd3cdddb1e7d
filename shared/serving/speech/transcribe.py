"""Text of a sound, window by window: language, prompt, tokens by the rules, another try where a text looks wrong.

As OpenAI's whisper/transcribe.py, and transformers' long-form generate() without previous texts: a window begins where
the last complete segment of the one before has ended. Greedy first; a text that repeats itself, or that the model does
not believe in, is drawn anew at higher temperatures. What the model takes for no speech is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from shared.errors import BadInput, OutOfTime
from shared.package.speech import Transcription
from shared.serving.inputs import log_mel
from shared.serving.speech import segments
from shared.serving.speech.ears import Ears
from shared.serving.speech.rules import Rules, draw, log_probability

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPETITIVE = 2.4  # bytes of a text by bytes of it compressed: above, it repeats itself
UNBELIEVED = -1.0  # mean logarithm of its tokens' probabilities: below, the model does not believe in it
SILENT = 0.6  # probability that a window has no speech
RESERVE = 2.0  # seconds of a call that are kept for its answer
Decode = Callable[[list[int]], str]


class Ask(Struct, frozen=True, kw_only=True):
    """What a call asks for. language: its code; None: the model finds it out. prompt: tokens of a text before.

    temperature: None for the likeliest tokens, and others where these look wrong.
    """

    language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: tuple[int, ...] = ()
    temperature: float | None = None


class Segment(Struct, frozen=True):
    """start, end: in seconds of the sound. tokens: without times. The others are of its window, as OpenAI has them."""

    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class Text(Struct, frozen=True):
    """language: None of a model that has one. duration: seconds of the sound."""

    text: str
    language: str | None
    duration: float
    segments: list[Segment]


class Try(Struct, frozen=True):
    """A window's tokens, times among them; and how likely they are."""

    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float

    @property
    def looks_wrong(self) -> bool:
        wrong = self.compression_ratio > REPETITIVE or self.avg_logprob < UNBELIEVED
        return wrong and not self.is_silent

    @property
    def is_silent(self) -> bool:
        return self.no_speech_prob > SILENT and self.avg_logprob < UNBELIEVED


class Transcriber:
    """Of one package. decode: the text of tokens, without special ones."""

    def __init__(self, ears: Ears, plan: Transcription, decode: Decode, *, mels: int, seconds: float) -> None:
        self._ears, self._plan, self._decode = ears, plan, decode
        self._mels, self._seconds = mels, seconds
        self.rules = Rules(plan, ears.vocabulary)

    def transcribe(self, samples: np.ndarray, ask: Ask, remaining: Callable[[], float]) -> Text:
        """samples: of one channel at 16 kHz. remaining: seconds until the call's deadline.

        Raises BadInput for a language or a task that the model lacks, OutOfTime, and what the session raises.
        """
        self._require(ask)
        self._remaining, found = remaining, []
        features = log_mel.features(samples, self._mels, self._seconds)
        window, sound = round(self._seconds * log_mel.FRAMES), len(samples) // log_mel.HOP
        language, at = ask.language, 0
        while at < max(1, sound):
            self._heard = f"{at / log_mel.FRAMES:.0f} of {sound / log_mel.FRAMES:.0f} s"
            self._ears.hear(features[:, at : at + window])
            language = language or self._detect()
            best = self._best(ask, language)
            frames = min(window, max(1, sound - at))
            parts, following = segments.split(best.tokens, self.rules.first_time, frames)
            if not best.is_silent:
                found += [self._segment(part, best, at) for part in parts]
            at += following if not best.is_silent else frames
        found = [segment for segment in found if segment.text.strip()]
        text = "".join(segment.text for segment in found).strip()
        return Text(text, language, round(len(samples) / log_mel.SAMPLE_RATE, 3), found)

    def _require(self, ask: Ask) -> None:
        known = self._plan.languages
        if ask.language is not None and ask.language not in known:
            listed = ", ".join(sorted(known)) or "its only one, which needs no name"
            raise BadInput(f"the model does not know the language {ask.language[:20]!r}; it knows {listed}")
        if ask.task == "translate" and self._plan.translate is None:
            raise BadInput("this model cannot translate")
        if ask.prompt and self._plan.previous is None:
            raise BadInput("this model takes no prompt")

    def _detect(self) -> str | None:
        """The likeliest language of the window behind the token that begins all texts; None of a model with one."""
        if not self._plan.languages:
            return None
        self._ears.rewind(0)
        logits = self._ears.extend([self._plan.start])
        return max(self._plan.languages, key=lambda language: float(logits[self._plan.languages[language]]))

    def _best(self, ask: Ask, language: str | None) -> Try:
        """Of several tries, the first that does not look wrong; else the last."""
        temperatures = TEMPERATURES if ask.temperature is None else (ask.temperature,)
        silence, logits = self._begin(ask, language)
        begun = len(self._ears.tokens)
        random = np.random.default_rng(0)  # the same sound gives the same text
        for temperature in temperatures:
            self._ears.rewind(begun)
            tried = self._try(logits, temperature, random, silence)
            if not tried.looks_wrong:
                break
        return tried

    def _begin(self, ask: Ask, language: str | None) -> tuple[float, np.ndarray]:
        """Read what is before the text. Returns the probability that there is no speech, and the first logits."""
        plan, ears = self._plan, self._ears
        before: list[int] = []
        if ask.prompt and plan.previous is not None:
            before = [plan.previous, *ask.prompt[-(plan.context // 2 - 1) :]]
        ears.rewind(0)
        logits = ears.extend([*before, plan.start])
        silence = 0.0 if plan.no_speech is None else float(np.exp(log_probability(logits, plan.no_speech)))
        task = plan.translate if ask.task == "translate" else plan.transcribe
        rest = [plan.languages[language]] if language is not None else []
        rest += [task] if task is not None and plan.languages else []
        rest += [] if plan.timestamps else [plan.no_timestamps]
        return silence, ears.extend(rest) if rest else logits

    def _try(self, logits: np.ndarray, temperature: float, random: np.random.Generator, silence: float) -> Try:
        tokens: list[int] = []
        plan, total = self._plan, 0.0
        most = min(plan.context // 2, plan.context - len(self._ears.tokens))
        while True:
            if self._remaining() < RESERVE:
                raise OutOfTime(
                    f"{self._heard} of the sound could be heard in the time that a call has: send a part of it, or "
                    "have the function given more memory, and so more of a processor"
                )
            scores = self.rules.apply(logits, tokens)
            token = draw(scores, temperature, random)
            total += log_probability(scores, token)
            if token == plan.end or len(tokens) >= most:
                break
            tokens.append(token)
            logits = self._ears.extend([token])
        text = self._text(tokens).encode()
        ratio = len(text) / len(zlib.compress(text)) if text else 0.0
        return Try(tokens, temperature, total / (len(tokens) + 1), ratio, silence)

    def _segment(self, part: segments.Part, of: Try, at: int) -> Segment:
        start, end = (round((at + frame) / log_mel.FRAMES, 2) for frame in (part.start, part.end))
        text = self._text(part.tokens)
        figures = (of.temperature, of.avg_logprob, of.compression_ratio, of.no_speech_prob)
        return Segment(start, max(start, end), text, part.tokens, *figures)

    def _text(self, tokens: Sequence[int]) -> str:
        return self._decode([token for token in tokens if token < self._plan.end])
