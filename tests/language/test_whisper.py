"""A real model of speech: our tokens are those of transformers, on spoken sentences and on one that is long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from amaas.api import whisper as folders

from examples.models import voice, whisper_base
from shared.package.manifest import decode
from shared.package.speech import Speech, Transcription
from shared.runtime import onnx
from shared.runtime.hearer import Hearer, Listening
from shared.serving.inputs import log_mel
from shared.serving.speech.ears import Ears
from shared.serving.speech.transcribe import Ask, Transcriber

ROOT = Path(__file__).parents[2]
SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Please call me back before noon tomorrow.",
    "She sells sea shells by the sea shore.",
    "The weather in London is cold and wet.",
    "I would like a cup of coffee with milk.",
    "Our train leaves from platform number nine.",
    "Twenty people came to the meeting on Monday.",
    "He opened the window and looked at the garden.",
    "Music makes the long evenings shorter.",
    "The museum is closed on public holidays.",
    "Can you tell me the way to the station?",
    "A good book is the best of friends.",
    "They built the bridge in eighteen ninety.",
    "My sister works in a hospital.",
    "The children are playing in the park.",
    "Do not forget to lock the door.",
    "We need three eggs and some flour.",
    "The computer was switched off during the night.",
    "Birds fly south when winter comes.",
    "Thank you very much for your help.",
)
GREEDY = Ask(temperature=0.0)


@pytest.fixture(scope="session")
def folder() -> Path:
    return whisper_base.package(ROOT / ".local" / "language")


@pytest.fixture(scope="session")
def reference(folder: Path) -> Any:
    return transformers.WhisperForConditionalGeneration.from_pretrained(folder / "hf", dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def ours(folder: Path) -> Transcriber:
    import msgspec

    described = decode(msgspec.json.encode(folders.derive(folder)))
    before, after = described.preprocess, described.postprocess
    assert isinstance(before, Speech) and isinstance(after, Transcription)
    graphs = folders.graphs(folder)
    encoder, first, later = (
        onnx.open_session(str(graphs[name])) for name in (folders.ENCODER, "model.onnx", folders.LATER)
    )
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ears = Ears(Listening(Hearer((encoder, first, later), limit=after.context)))
    return Transcriber(ears, after, lambda ids: tokenizer.decode(list(ids)), mels=80, seconds=30)


@pytest.fixture(scope="session")
def spoken() -> list[np.ndarray]:
    return voice.speak(list(SENTENCES))


def test_tokens_with_times_are_those_of_transformers(
    reference: Any, ours: Transcriber, spoken: list[np.ndarray]
) -> None:
    extract = transformers.WhisperFeatureExtractor()
    same = total = 0
    for sound in spoken:
        extracted = extract(sound, sampling_rate=voice.RATE, return_tensors="pt").input_features
        window = log_mel.features(sound, 80, 30)
        assert np.abs(window - extracted[0].numpy()).max() < 1e-4
        with torch.no_grad():
            found = reference.generate(extracted, return_timestamps=True, language="en", task="transcribe")[0].tolist()
        ours._remaining = lambda: 1e9
        ours._ears.hear(window)
        given = ours._best(GREEDY, "en").tokens
        # without the four that begin it; of one window, transformers goes on with the silence behind the text
        expected = [token for token in found if token not in (50258, 50259, 50359, 50257)][: len(given)]
        same += sum(one == other for one, other in zip(expected, given, strict=False))
        total += max(len(expected), len(given))
        assert ours._detect() == "en"
    print(f"{same} of {total} tokens of {len(spoken)} sentences are the same")
    assert same == total


def test_texts_are_what_was_said(ours: Transcriber, spoken: list[np.ndarray]) -> None:
    right = 0
    for sentence, sound in zip(SENTENCES, spoken, strict=True):
        text = ours.transcribe(sound, Ask(), lambda: 1e9)
        right += _words(text.text) == _words(sentence)
    print(f"{right} of {len(SENTENCES)} sentences have all words right")
    assert right >= 0.5 * len(SENTENCES), "of a synthetic voice"


def test_a_long_sound_is_gone_through_in_windows(ours: Transcriber, spoken: list[np.ndarray]) -> None:
    pause = np.zeros(voice.RATE // 2, np.float32)
    sound = np.concatenate([part for one in spoken for part in (one, pause)])
    text = ours.transcribe(sound, GREEDY, lambda: 1e9)
    assert text.duration > 45
    starts = [segment.start for segment in text.segments]
    assert starts == sorted(starts) and starts[-1] > 0.85 * text.duration
    said = {word for sentence in SENTENCES for word in _words(sentence)}
    assert len(said & set(_words(text.text))) > 0.7 * len(said)


def _words(text: str) -> list[str]:
    return "".join(character for character in text.lower() if character.isalnum() or character == " ").split()
