"""The golden set of a model of speech: sounds, with the tokens of their texts, of which a share must be its likeliest.

Each token is asked for behind the expected ones before it, so that one that differs counts once. A case is written out
in amaas.json: inputs {audio, language}, a file in base64, and the code of a language where the model has several;
outputs {tokens}, those of the text, times among them where the model was trained to give them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
import numpy as np

from shared.errors import AmaasError, BadInput, TooLarge
from shared.ingest import golden_tokens
from shared.ingest.verdict import Refused
from shared.package.manifest import Golden, GoldenCase
from shared.package.speech import Speech, Transcription
from shared.runtime.signature import OutOfMemory
from shared.serving.inputs import examples, log_mel, sounds
from shared.serving.speech.ears import Ears
from shared.serving.speech.rules import Rules

MOST_CASES = 20  # an encoder takes seconds for each window


class Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    audio: str
    language: str | None = None


class Outputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: list[int]


def prepare() -> None:
    """Before the sandbox closes: read a sound, and one of another rate, as these libraries open files once."""
    sounds.decode(examples.wav(800, 8000), log_mel.SAMPLE_RATE)


def replay(ears: Ears, before: Speech, after: Transcription, golden: Golden | None) -> dict[str, Any] | None:
    """Of each token of the golden set, whether it is the likeliest one. None without one. Raises Refused."""
    if golden is None:
        return None
    if golden.file is not None or not golden.cases:
        raise Refused("golden_invalid", "the golden set of a model of speech is in amaas.json, as cases")
    if len(golden.cases) > MOST_CASES:
        reason = f"the golden set has {len(golden.cases):,} sounds, and up to {MOST_CASES} are heard: leave some out"
        raise Refused("golden_invalid", reason)
    rules = Rules(after, ears.vocabulary)
    agreed = total = 0
    for number, case in enumerate(golden.cases):
        features, prompt, expected = _read(case, number, before, after, ears.vocabulary)
        total += len(expected)
        golden_tokens.require_few(total)
        agreed += _agreed(ears, rules, features, prompt, expected)
    return golden_tokens.judge(golden, total, agreed)


def _agreed(ears: Ears, rules: Rules, features: np.ndarray, prompt: list[int], expected: list[int]) -> int:
    """How many of the expected tokens are the likeliest, by the rules, behind those before."""
    agreed = 0
    try:
        ears.hear(features)
        logits = ears.extend(prompt)
        for place, token in enumerate(expected):
            agreed += int(rules.apply(logits, expected[:place]).argmax()) == token
            if place + 1 < len(expected):
                logits = ears.extend([token])
    except OutOfMemory:
        raise
    except AmaasError as error:
        raise Refused("generation_failed", f"the model cannot hear the golden set: {error}") from error
    return agreed


def _read(
    case: GoldenCase, number: int, before: Speech, after: Transcription, vocabulary: int
) -> tuple[np.ndarray, list[int], list[int]]:
    """Of one case: a window's features, the tokens before its text, and those of its text. Raises Refused."""
    try:
        given, expected = msgspec.convert(case.inputs, Inputs), msgspec.convert(case.outputs, Outputs).tokens
        samples = sounds.decode(base64.b64decode(given.audio, validate=True), log_mel.SAMPLE_RATE)
    except (msgspec.ValidationError, binascii.Error, ValueError, BadInput, TooLarge) as error:
        reason = (
            f"case {number} of the golden set must have inputs {{audio}}, a sound in base64, and outputs {{tokens}}"
        )
        raise Refused("golden_invalid", f"{reason}: {error}") from error
    seconds = len(samples) / log_mel.SAMPLE_RATE
    if seconds > before.seconds:
        reason = (
            f"case {number} of the golden set has {seconds:.1f} s of sound, and a window {before.seconds:g}: cut it"
        )
        raise Refused("golden_invalid", reason)
    prompt = _prompt(given.language, number, after)
    room = after.context - len(prompt)
    if not 0 < len(expected) <= room or not all(0 <= token < vocabulary for token in expected):
        reason = f"case {number} of the golden set must have 1 to {room:,} tokens, of 0 to {vocabulary - 1:,}"
        raise Refused("golden_invalid", reason)
    return log_mel.features(samples, before.mels, before.seconds), prompt, expected


def _prompt(language: str | None, number: int, after: Transcription) -> list[int]:
    if (language is None) != (not after.languages) or (language is not None and language not in after.languages):
        known = ", ".join(sorted(after.languages)) or "none, as the model has only one"
        raise Refused("golden_invalid", f"case {number} of the golden set must say a language of: {known}")
    prompt = [after.start, *([after.languages[language]] if language is not None else [])]
    prompt += [after.transcribe] if after.transcribe is not None and after.languages else []
    return prompt + ([] if after.timestamps else [after.no_timestamps])
