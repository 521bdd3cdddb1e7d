"""Texts of sounds: tokens by the rules of transformers, windows and segments, prompts, tries, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from shared.errors import BadInput, OutOfTime
from shared.package.speech import Transcription
from shared.runtime.hearer import Listening
from shared.serving.inputs import log_mel
from shared.serving.speech import segments
from shared.serving.speech.ears import Ears
from shared.serving.speech.rules import Rules
from shared.serving.speech.transcribe import Ask, Transcriber
from tests.speech import tokens
from tests.speech.test_hearer import MODELS, hearer
from tests.speech.tones import RATE, tones

PLAN = Transcription(
    start=tokens.START,
    end=tokens.END,
    no_timestamps=tokens.NO_TIMESTAMPS,
    languages={"en": tokens.EN, "de": tokens.DE},
    transcribe=tokens.TRANSCRIBE,
    translate=tokens.TRANSLATE,
    previous=tokens.PREVIOUS,
    no_speech=tokens.NO_SPEECH,
    initial=20,
    suppress=tokens.GENERATION["suppress_tokens"],
    begin_suppress=tokens.GENERATION["begin_suppress_tokens"],
    context=58,  # half of it is what a text may have: as many as in the reference
)
GREEDY = Ask(temperature=0.0)
T = tokens.FIRST_TIME


def decode(ids: Sequence[int]) -> str:
    return tokens.tokenizer().decode(list(ids))


def transcriber(plan: Transcription = PLAN) -> Transcriber:
    return Transcriber(Ears(Listening(hearer("merged", plan.context))), plan, decode, mels=80, seconds=1)


def hours() -> float:
    return 3600.0


def heard_prompts(subject: Transcriber) -> list[list[int]]:
    """What is read at once, from now on."""
    read: list[list[int]] = []
    extend = subject._ears.extend

    def noting(ids: Sequence[int]) -> np.ndarray:
        read.append(list(ids))
        return extend(ids)

    subject._ears.extend = noting  # type: ignore[method-assign]
    return read


@pytest.mark.parametrize("seed", range(8))
def test_language_and_tokens_are_those_of_transformers(seed: int) -> None:
    with np.load(MODELS / "reference.npz") as arrays:
        _, language, _, *expected = (int(token) for token in arrays["timed"][seed] if token >= 0)
    subject = transcriber()
    subject._remaining = hours
    subject._ears.hear(log_mel.features(tones(1, seed), 80, 1))
    code = subject._detect()
    assert code is not None and PLAN.languages[code] == language
    tried = subject._best(GREEDY, code)
    assert [*tried.tokens, tokens.END][: len(expected)] == expected


def test_windows_follow_each_other_to_the_end_of_the_sound() -> None:
    text = transcriber().transcribe(tones(3.5), GREEDY, hours)
    assert text.duration == 3.5 and text.language in PLAN.languages
    starts = [segment.start for segment in text.segments]
    assert starts == sorted(starts) and starts[-1] >= 2.5
    assert all(0 <= segment.start <= segment.end <= 4.5 for segment in text.segments)
    assert text.text == "".join(segment.text for segment in text.segments).strip()
    assert all(token < tokens.END or token < T for segment in text.segments for token in segment.tokens)


def test_the_same_sound_gives_the_same_text_with_all_tries() -> None:
    first, again = (transcriber().transcribe(tones(1.5), Ask(), hours) for _ in range(2))
    assert first == again


def test_prompt_language_and_task_are_read_in_their_places() -> None:
    subject = transcriber()
    read = heard_prompts(subject)
    prompt = tuple(range(10, 60))
    subject.transcribe(tones(1), Ask(language="de", task="translate", prompt=prompt, temperature=0.0), hours)
    assert read[0] == [tokens.PREVIOUS, *prompt[-28:], tokens.START]
    assert read[1] == [tokens.DE, tokens.TRANSLATE]


def test_a_model_without_times_and_languages_has_one_segment_of_each_window() -> None:
    plan = Transcription(start=tokens.START, end=tokens.END, no_timestamps=108, timestamps=False, context=58)
    subject = transcriber(plan)
    read = heard_prompts(subject)
    text = subject.transcribe(tones(2), GREEDY, hours)
    assert read[:2] == [[tokens.START], [tokens.NO_TIMESTAMPS]] and text.language is None
    assert [(segment.start, segment.end) for segment in text.segments] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("ask", "words"),
    [(Ask(language="fr"), "de, en"), (Ask(task="translate"), "translate"), (Ask(prompt=(1,)), "prompt")],
)
def test_what_the_model_lacks_is_refused(ask: Ask, words: str) -> None:
    plan = PLAN if ask.language else Transcription(start=100, end=99, no_timestamps=108)
    with pytest.raises(BadInput, match=words):
        transcriber(plan).transcribe(tones(1), ask, hours)


def test_where_the_time_ends_it_says_how_far_it_came() -> None:
    left = iter([100.0] * 20 + [1.0] * 1000)
    with pytest.raises(OutOfTime, match=r"of 9 s of the sound"):
        transcriber().transcribe(tones(9), GREEDY, lambda: next(left))


def test_a_process_that_forgot_is_told_the_sound_again() -> None:
    session = Listening(hearer("merged"))
    ears = Ears(session)
    ears.hear(log_mel.features(tones(1), 80, 1))
    before = ears.extend([100, 101])
    expected = ears.extend([104])
    ears.rewind(2)
    session._hearer = hearer("merged")
    assert np.abs(ears.extend([104]) - expected).max() < 2e-4 < np.abs(before - expected).max()


@pytest.mark.parametrize(
    ("ids", "parts", "following"),
    [
        # one text whose end the model says
        ([T, 1, 2, T + 40], [(0, 80, [1, 2])], 95),
        # none said
        ([T, 1, 2], [(0, 95, [1, 2])], 95),
        # two, and no more behind them
        ([T, 1, T + 10, T + 12, 2, T + 40], [(0, 20, [1]), (24, 80, [2])], 95),
        # what follows the last pair is heard again
        ([T, 1, T + 10, T + 12, 2], [(0, 20, [1])], 20),
        ([T, 1, T + 10, T + 10], [(0, 20, [1])], 20),
        ([], [(0, 95, [])], 95),
    ],
)
def test_times_divide_segments(ids: list[int], parts: list[tuple[int, int, list[int]]], following: int) -> None:
    found, at = segments.split(ids, T, 95)
    assert [(part.start, part.end, part.tokens) for part in found] == parts and at == following


def allowed(chosen: list[int], shape: Callable[[np.ndarray], None] = lambda logits: None) -> set[int]:
    logits = np.zeros(160, np.float32)
    logits[T:] = -9  # else any time is likelier than all other tokens
    shape(logits)
    return set(np.flatnonzero(np.isfinite(Rules(PLAN, 160).apply(logits, chosen))).tolist())


def test_rules_of_times() -> None:
    texts = set(range(99)) - {5, 6, 7}
    assert allowed([]) == set(range(T, T + 21)), "a time begins"
    assert allowed([T + 3]) == texts | {99}, "not two at the beginning"
    assert allowed([T + 3, 8]) == texts | {99} | set(range(T + 4, 160)), "none that is not later"
    assert allowed([T + 3, 8, T + 9]) == {99} | set(range(T + 9, 160)), "an end is followed by a beginning"
    assert allowed([T + 3, 8, T + 9, T + 9]) == texts | {99}

    def certain(logits: np.ndarray) -> None:
        logits[T:] = -1

    assert allowed([T + 3, 8], certain) == set(range(T + 4, 160)), "where times together are likelier"


def test_a_package_that_suppresses_everything_ends_the_text() -> None:
    plan = Transcription(start=100, end=99, no_timestamps=108, suppress=list(range(160)))
    assert Rules(plan, 160).apply(np.zeros(160, np.float32), []).argmax() == 99


def test_silence_of_a_second_is_a_text_too() -> None:
    assert transcriber().transcribe(np.zeros(RATE, np.float32), Ask(), hours).duration == 1
