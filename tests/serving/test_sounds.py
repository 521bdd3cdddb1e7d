"""Sounds: decoding, resampling and features beside librosa's, then classes of whole sounds and of their parts."""

from __future__ import annotations

import base64
import io
import json

import librosa
import numpy as np
import pytest
import soundfile

from shared.errors import BadInput, TooLarge, Unsupported
from shared.package import processing
from shared.serving import tasks
from shared.serving.inputs import sound_files, sounds
from tests.serving import packages

RATE = 16_000
SOUND = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32) + 0.5 * np.sin(
    2 * np.pi * 440 * np.arange(RATE) / RATE
).astype(np.float32)


def encoded(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "FLOAT") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [("WAV", "FLOAT", 0), ("WAV", "PCM_16", 1 / 32768), ("WAV", "PCM_24", 1e-6), ("FLAC", "PCM_16", 1 / 32768)],
)
def test_decoding(kind: str, subtype: str, tolerance: float) -> None:
    clipped = np.clip(SOUND, -0.99, 0.99)
    samples = sounds.decode(encoded(clipped, kind=kind, subtype=subtype), RATE)
    assert samples.dtype == np.float32
    assert np.abs(samples - clipped).max() <= tolerance


def test_channels_are_mixed_and_the_rate_is_made_the_models() -> None:
    stereo = np.stack([SOUND, -SOUND / 2], axis=1)
    mixed = sounds.decode(encoded(stereo), RATE)
    assert np.allclose(mixed, SOUND / 4, atol=1e-7)
    samples = sounds.decode(encoded(SOUND, 44_100), RATE)
    assert np.array_equal(samples, librosa.resample(SOUND, orig_sr=44_100, target_sr=RATE, res_type="soxr_hq"))


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(
    ("center", "pad_mode", "win"), [(True, "reflect", 400), (True, "constant", 512), (False, "reflect", 300)]
)
def test_mel_features_are_librosas(scale: str, norm: str, power: int, center: bool, pad_mode: str, win: int) -> None:
    plan = processing.Audio(
        features="mel",
        n_fft=512,
        win_length=win,
        n_mels=40,
        f_min=50,
        f_max=7000,
        scale=scale,
        norm=norm,  # type: ignore[arg-type]
        power=power,
        center=center,
        pad_mode=pad_mode,  # type: ignore[arg-type]
    )
    expected = librosa.feature.melspectrogram(
        y=SOUND,
        sr=RATE,
        n_fft=512,
        win_length=win,
        hop_length=160,
        n_mels=40,
        fmin=50,
        fmax=7000,
        power=power,
        center=center,
        pad_mode=pad_mode,
        htk=scale == "htk",
        norm=None if norm == "none" else norm,
    )
    assert np.allclose(sounds.features(SOUND, plan), expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("log", ["ln", "log10", "db"])
def test_logarithms_and_normalizing(log: str) -> None:
    plan = processing.Audio(
        features="mel", log=log, top_db=60 if log == "db" else None, mean=-4.0, std=4.5, layout="time_mel"
    )  # type: ignore[arg-type]
    power = librosa.feature.melspectrogram(y=SOUND, sr=RATE, n_fft=400, hop_length=160, n_mels=80, pad_mode="reflect")
    logged = {
        "ln": lambda: np.log(np.maximum(power, 1e-10)),
        "log10": lambda: np.log10(np.maximum(power, 1e-10)),
        "db": lambda: librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=60),
    }[log]()
    assert np.allclose(sounds.features(SOUND, plan), ((logged + 4.0) / 4.5).T, rtol=1e-3, atol=1e-3)


def test_spectrogram() -> None:
    plan = processing.Audio(features="spectrogram", n_fft=256, hop_length=64, power=1)
    expected = np.abs(librosa.stft(SOUND, n_fft=256, hop_length=64, pad_mode="reflect"))
    assert np.allclose(sounds.features(SOUND, plan), expected, rtol=1e-4, atol=1e-4)


def loud_or_quiet(length: int) -> packages.Loaded:
    return packages.loaded(
        packages.loudness(length),
        task="audio-classification",
        labels=["loud", "quiet"],
        preprocess=processing.Audio(seconds=length / RATE, hop=length / RATE),
        postprocess=processing.Scores(activation="none", top_k=1),
    )


def test_classes_of_the_parts_of_a_sound() -> None:
    sound = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)
    model = loud_or_quiet(8000)
    answer = tasks.predict(model, encoded(sound), "audio/wav", {})
    assert [(s["start"], s["end"], s["predictions"][0]["label"]) for s in answer["segments"]] == [
        (0.0, 0.5, "quiet"),
        (0.5, 1.0, "loud"),
    ]
    assert answer["predictions"] == [{"label": "loud", "score": 0.125}]
    short = tasks.predict(model, encoded(sound[-100:]), "audio/wav", {})
    assert len(short["segments"]) == 1
    body = {"inputs": [base64.b64encode(encoded(sound)).decode()] * 2}
    assert (
        tasks.predict(model, json.dumps(body).encode(), "application/json", {})["results"]
        == [{"predictions": answer["predictions"], "segments": answer["segments"]}] * 2
    )


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loud_or_quiet(8000)
    for body in (b"", b"RIFF", b"hello" * 100, encoded(SOUND)[:30]):
        with pytest.raises(BadInput, match=r"sound|empty"):
            tasks.predict(model, body, "audio/wav", {})
    with pytest.raises(BadInput, match="no samples"):
        tasks.predict(model, encoded(SOUND[:0]), "audio/wav", {})
    with pytest.raises(Unsupported, match="audio/wav"):
        tasks.predict(model, b"x", "image/png", {})
    with pytest.raises(BadInput, match="too few"):
        sounds.features(SOUND[:100], processing.Audio(features="mel"))
    monkeypatch.setattr(sound_files, "MAX_SAMPLES", 1000)
    with pytest.raises(TooLarge, match="samples or more"):
        sounds.decode(encoded(SOUND), RATE)
