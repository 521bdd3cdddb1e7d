"""Golden sets of speech: sounds, and the tokens that a model must find the likeliest."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from shared.ingest.candidate import Rejected
from tests.speech import folders, tokens
from tests.speech.test_gate import Check, check
from tests.speech.test_hearer import MODELS
from tests.speech.tones import RATE, tones

__all__ = ["check"]  # a fixture


def encoded(samples: np.ndarray, kind: str = "WAV", rate: int = RATE) -> str:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, "FLOAT" if kind == "WAV" else None, format=kind)
    return base64.b64encode(file.getvalue()).decode()


def case(seed: int, sound: np.ndarray | None = None) -> dict[str, Any]:
    """A window, with the tokens that transformers finds the likeliest."""
    with np.load(MODELS / "reference.npz") as arrays:
        _, language, _, *expected = (int(token) for token in arrays["timed"][seed] if token >= 0)
    name = {tokens.EN: "en", tokens.DE: "de"}[language]
    audio = encoded(tones(1, seed) if sound is None else sound)
    return {"inputs": {"audio": audio, "language": name}, "outputs": {"tokens": expected}}


def test_what_transformers_hears_is_what_the_model_must_hear(check: Check, tmp_path: Path) -> None:
    cases = [case(seed) for seed in range(8)]
    candidate = check(folders.write(tmp_path / "model"), golden={"cases": cases, "agree": 1.0})
    count = sum(len(one["outputs"]["tokens"]) for one in cases)
    assert count > 50
    assert (candidate.manifest.gate or {})["golden"] == {"cases": 8, "tokens": count, "agreed": 1.0, "passed": True}


def test_one_wrong_token_is_one(check: Check, tmp_path: Path) -> None:
    wrong = case(0)
    told = wrong["outputs"]["tokens"]
    told[-1] = 8 if told[-1] != 8 else 9
    of = f"of {len(told)} tokens in the golden set, the model as it is served finds {len(told) - 1} the likeliest"
    with pytest.raises(Rejected, match=of) as caught:
        check(folders.write(tmp_path / "model"), golden={"cases": [wrong], "agree": 1.0})
    assert caught.value.code == "golden_mismatch"


def test_of_another_sound_too_few_tokens_agree(check: Check, tmp_path: Path) -> None:
    noise = np.asarray(np.random.default_rng(1).normal(0, 0.2, RATE), np.float32)
    with pytest.raises(Rejected, match=r"fewer than the 97\.0%") as caught:
        check(folders.write(tmp_path / "model"), golden={"cases": [case(0, noise)]})
    assert caught.value.code == "golden_mismatch"


@pytest.mark.parametrize(("kind", "rate"), [("FLAC", 8000), ("OGG", 16_000), ("MP3", 44_100)])
def test_sounds_of_other_kinds_are_read_in_the_confined_process(
    check: Check, tmp_path: Path, kind: str, rate: int
) -> None:
    audio = encoded(np.zeros(rate // 2, np.float32), kind, rate)
    golden = {"cases": [{"inputs": {"audio": audio, "language": "en"}, "outputs": {"tokens": [5]}}], "agree": 0.5}
    with pytest.raises(Rejected) as caught:
        check(folders.write(tmp_path / "model"), golden=golden)
    assert caught.value.code == "golden_mismatch", "it was heard, and is another text"


SOUND = encoded(tones(0.5))


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ({"audio": "no base64!", "language": "en"}, [5], "case 0"),
        ({"audio": base64.b64encode(b"no sound").decode(), "language": "en"}, [5], "no sound"),
        ({"language": "en"}, [5], "audio"),
        ({"audio": SOUND, "language": "en", "more": 1}, [5], "more"),
        ({"audio": SOUND}, [5], "language of: de, en"),
        ({"audio": SOUND, "language": "fr"}, [5], "language of: de, en"),
        ({"audio": encoded(tones(1.2)), "language": "en"}, [5], "1.2 s of sound, and a window 1"),
        ({"audio": SOUND, "language": "en"}, [], "1 to 61 tokens"),
        ({"audio": SOUND, "language": "en"}, [160], "of 0 to 159"),
        ({"audio": SOUND, "language": "en"}, [5] * 62, "1 to 61 tokens"),
        ({"audio": SOUND, "language": "en"}, "x", "tokens"),
    ],
)
def test_what_is_no_case_is_refused(
    check: Check, tmp_path: Path, inputs: dict[str, Any], outputs: Any, words: str
) -> None:
    golden = {"cases": [{"inputs": inputs, "outputs": {"tokens": outputs}}]}
    with pytest.raises(Rejected, match=words) as caught:
        check(folders.write(tmp_path / "model"), golden=golden)
    assert caught.value.code == "golden_invalid"


def test_too_many_sounds_are_refused(check: Check, tmp_path: Path) -> None:
    many = [{"inputs": {"audio": SOUND, "language": "en"}, "outputs": {"tokens": [tokens.END]}}] * 21
    with pytest.raises(Rejected, match="has 21 sounds, and up to 20"):
        check(folders.write(tmp_path / "model"), golden={"cases": many})
