"""Features of sounds, beside those of transformers' WhisperFeatureExtractor."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from shared.serving.inputs import log_mel, sounds
from tests.speech.test_hearer import MODELS
from tests.speech.tones import RATE, tones


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_those_of_transformers(mels: int) -> None:
    with np.load(MODELS / "features.npz") as arrays:
        expected = arrays[str(mels)]
    given = log_mel.features(tones(1.5), mels, 30)
    assert given.shape == expected.shape == (mels, 3000) and given.dtype == np.float32
    assert np.abs(given - expected).max() < 1e-5


def test_a_window_anywhere_in_a_long_sound_is_whole() -> None:
    sound = tones(45)
    given = log_mel.features(sound, 80, 30)
    assert given.shape == (80, 4500 + 3000)
    # a window that begins behind the first is that of the sound from there on, but where frames reach back
    window = log_mel.features(sound[20 * RATE :], 80, 30)
    inner = slice(2, 2400)
    assert np.abs(given[:, 2000:5000][:, inner] - window[:, inner]).max() < 1e-4


def test_silence_has_features_and_they_are_numbers() -> None:
    given = log_mel.features(np.zeros(RATE, np.float32), 80, 30)
    assert np.isfinite(given).all() and np.ptp(given) == 0


def test_a_file_of_any_rate_and_channels_is_heard_alike() -> None:
    sound = tones(2)
    file = io.BytesIO()
    louder = np.repeat(np.stack([sound, sound], axis=1), 3, axis=0)  # held for three samples: 48 kHz
    soundfile.write(file, louder, 3 * RATE, "FLOAT", format="WAV")
    given = log_mel.features(sounds.decode(file.getvalue(), RATE), 80, 30)
    expected = log_mel.features(sound, 80, 30)
    voice = slice(0, 40)  # below where holding samples adds tones of its own
    assert np.corrcoef(given[voice, :200].ravel(), expected[voice, :200].ravel())[0, 1] > 0.99
