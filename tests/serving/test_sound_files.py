"""Recordings whose headers lie, or do not know: what was decoded counts. Samples that are no numbers are refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from shared import budget
from shared.errors import AmaasError, BadInput, TooLarge, Unsupported
from shared.package import processing
from shared.package.manifest import Tensor
from shared.serving.inputs import sound_files, sounds

RATE = 8000
SOUND = (0.5 * np.sin(np.arange(3 * RATE) / 5)).astype(np.float32)


def encoded(samples: np.ndarray, kind: str = "WAV", subtype: str | None = "PCM_16", rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def changed(body: bytes, at: int, form: str, value: int) -> bytes:
    return body[:at] + struct.pack(form, value) + body[at + struct.calcsize(form) :]


WAV = encoded(SOUND)
DATA, FORM = WAV.index(b"data"), WAV.index(b"fmt ")
FLAC = encoded(SOUND, "FLAC", None)
MP3 = encoded(SOUND, "MP3", None)
TAG = max(MP3.find(b"Xing"), MP3.find(b"Info"))


@pytest.mark.parametrize("said", [0, 1, 3, 10, 2**31 - 1, 2**32 - 1, 2**32 - 2, len(WAV), len(WAV) + 2])
@pytest.mark.parametrize("form", [0, 2**32 - 1, None])
def test_the_size_of_a_wavs_data_may_be_anything(said: int, form: int | None) -> None:
    body = changed(WAV, DATA + 4, "<I", said)
    body = body if form is None else changed(body, 4, "<I", form)
    assert np.array_equal(sounds.decode(body, RATE), sounds.decode(WAV, RATE))


@pytest.mark.parametrize(
    "behind", [b"LIST\x04\0\0\0INFO", b"xtra\x02\0\0\0ab", b"id3 \xff\xff\0\0ID3", bytes(600), b"\0"]
)
def test_what_is_behind_a_wavs_data_is_no_sound(behind: bytes) -> None:
    assert np.array_equal(sounds.decode(WAV + behind, RATE), sounds.decode(WAV, RATE))


def test_a_wav_without_any_data_is_empty() -> None:
    with pytest.raises(BadInput, match="no samples"):
        sounds.decode(changed(WAV[: DATA + 8], DATA + 4, "<I", 0), RATE)


@pytest.mark.parametrize(
    ("at", "form", "value", "said"),
    [
        (FORM + 10, "<H", 0, "Channel count is zero"),
        (FORM + 10, "<H", 65535, "Too many channels"),
        (FORM + 12, "<I", 0, "no rate"),
        (FORM + 12, "<I", 2**32 - 1, "no rate"),
        (FORM + 22, "<H", 0, "unimplemented"),
    ],
)
def test_a_header_of_nothing_is_told(at: int, form: str, value: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        sounds.decode(changed(WAV, at, form, value), RATE)


@pytest.mark.parametrize("total", [0, 1, len(SOUND) - 1, 2**36 - 1])
def test_a_flac_of_unknown_length_is_read_to_its_end(total: int) -> None:
    numbers = int.from_bytes(FLAC[18:26]) >> 36 << 36 | total
    assert np.array_equal(sounds.decode(FLAC[:18] + numbers.to_bytes(8) + FLAC[26:], RATE), sounds.decode(FLAC, RATE))


def test_a_flac_that_was_cut_is_refused() -> None:
    for cut in (0.5, 0.9, 0.99):
        with pytest.raises(BadInput, match=r"send the whole file|whole WAV"):
            sounds.decode(FLAC[: int(len(FLAC) * cut)], RATE)


ID3V1 = b"TAG" + b"a name".ljust(125, b"\0")
APE = b"APETAGEX" + struct.pack("<4I", 2000, 32 + 11, 1, 0xA0000000) + bytes(8)  # its header, one item, its footer
APE += struct.pack("<2I", 2, 0) + b"a\0b" + b"APETAGEX" + struct.pack("<4I", 2000, 32 + 11, 1, 0x80000000) + bytes(8)


@pytest.mark.parametrize("tags", [ID3V1, APE, APE + ID3V1], ids=["ID3v1", "APEv2", "both"])
@pytest.mark.parametrize("body", [WAV, FLAC], ids=["WAV", "FLAC"])
def test_tags_of_mp3_files_behind_others_are_no_sound(body: bytes, tags: bytes) -> None:
    assert np.array_equal(sounds.decode(body + tags, RATE), sounds.decode(body, RATE))


def test_several_sounds_in_one_file_are_refused() -> None:
    """The library reads the first, and the rest would be lost."""
    one = encoded(SOUND, "OGG", None)
    with pytest.raises(BadInput, match="several sounds, one behind the other: save them as one"):
        sounds.decode(one + one, RATE)
    assert len(sounds.decode(one, RATE)) == len(SOUND)


@pytest.mark.parametrize("said", [0, 1, 3, 100_000, 2**31, 2**32 - 1])
def test_the_number_of_an_mp3s_frames_may_be_anything(said: int) -> None:
    lying = changed(MP3, TAG + 8, ">I", said)
    id3 = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)
    for body in (lying, id3 + lying, id3 + MP3):
        assert np.array_equal(sounds.decode(body, RATE), sounds.decode(MP3, RATE))


def test_an_mp3_without_a_header_of_its_own_is_read_to_its_end() -> None:
    """Of a varying bitrate, from which the library would guess the length: it finds half of it."""
    loud = np.concatenate([SOUND, np.random.default_rng(0).normal(0, 0.3, 4 * RATE).astype(np.float32).clip(-1, 1)])
    whole = encoded(loud, "MP3", None)
    second = whole.index(whole[:2], 4)
    samples = sounds.decode(whole[second:], RATE)
    assert len(loud) <= len(samples) < len(loud) + 4 * 1152
    assert samples[len(loud) - RATE : len(loud)].std() == pytest.approx(loud[-RATE:].std(), rel=0.1)  # it is all there


def test_an_mp3_that_was_cut_is_as_long_as_what_is_there() -> None:
    half = sounds.decode(MP3[: len(MP3) // 2], RATE)
    assert 0.2 * len(SOUND) < len(half) < 0.8 * len(SOUND)
    assert np.allclose(half, sounds.decode(MP3, RATE)[: len(half)], atol=1e-4)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("place", [0, 5, len(SOUND) - 1])
@pytest.mark.parametrize("channel", [1, 2])
def test_a_sample_that_is_no_number_is_refused_with_its_place(
    subtype: str, value: float, place: int, channel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_files, "BLOCK", 5000)  # several of them
    samples = np.stack([SOUND, SOUND], 1).astype(np.float64)
    samples[place, channel - 1] = value if subtype == "DOUBLE" or abs(value) != 1e300 else np.inf
    with pytest.raises(BadInput, match=rf"sample {place:,} \(.* s\), channel {channel}, is .*(nan|inf)"):
        sounds.decode(encoded(samples.astype(np.float32) if subtype == "FLOAT" else samples, subtype=subtype), RATE)


def test_numbers_that_the_arithmetic_makes_infinite_are_refused() -> None:
    huge = np.full((100, 2), 3e38, np.float32)
    with pytest.raises(BadInput, match="too large to be mixed"):
        sounds.decode(encoded(huge, subtype="FLOAT"), RATE)
    tensor = Tensor("sound", "FP16", [-1, -1])
    with pytest.raises(BadInput, match=r"too loud.*FP16"):
        sounds.feeds(tensor, processing.Audio(), [np.full(10, 70_000, np.float32)])
    assert sounds.feeds(tensor, processing.Audio(), [SOUND[:10]])["sound"].dtype == np.float16


def test_blocks_are_no_limit_of_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {kind: sounds.decode(encoded(SOUND, kind, None), RATE) for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF")}
    monkeypatch.setattr(sound_files, "BLOCK", 1)
    monkeypatch.setattr(sound_files, "LEAST", 777)
    for kind, samples in whole.items():
        assert np.array_equal(sounds.decode(encoded(SOUND, kind, None), RATE), samples), kind


def test_a_small_file_of_a_long_sound_is_refused_before_all_of_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    long = encoded(np.zeros(4_000_000, np.int16), "FLAC", None)
    assert len(long) < 100_000
    monkeypatch.setattr(sound_files, "MAX_SAMPLES", 3_000_000)
    with pytest.raises(TooLarge, match="samples or more"):
        sounds.decode(long, RATE)
    monkeypatch.undo()
    before = budget.limit()
    budget.allow(20_000_000)
    try:
        with budget.part(), pytest.raises(TooLarge, match="bytes of memory"):
            sounds.decode(long, RATE)
    finally:
        budget.allow(before)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(99), "M4A"),
        (b"\x1a\x45\xdf\xa3" + bytes(99), "WebM"),
        (b"#!AMR\n" + bytes(99), "AMR"),
        (b"\xff\xf1\x50\x80" + bytes(99), "AAC"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
    ],
)
def test_a_file_of_another_kind_is_named(body: bytes, kind: str) -> None:
    with pytest.raises(Unsupported, match=f"{kind}.*save it as WAV"):
        sounds.decode(body, RATE)


def test_broken_files_are_refused_or_read() -> None:
    random = np.random.default_rng(1)
    for kind in ("WAV", "FLAC", "OGG", "MP3"):
        body = encoded(SOUND, kind, None)
        for _ in range(40):
            at = int(random.integers(min(len(body), 300)))
            broken = body[:at] + random.bytes(3) + body[at + 3 : random.integers(at + 3, len(body))]
            try:
                samples = sounds.decode(broken, RATE)
            except AmaasError:
                continue
            assert len(samples) and np.isfinite(samples).all()
