"""Small bodies that would become large: each is refused with a reason, in little time and memory."""

from __future__ import annotations

import json
import re
import resource
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.config import MAX_BODY_BYTES
from shared.errors import AmaasError, BadInput, TooLarge
from shared.package import processing
from shared.package.table import Column, Table
from shared.serving import tasks
from shared.serving.inputs import images
from shared.serving.loaded import Loaded
from shared.serving.tasks import image_classification
from tests.serving import packages
from tests.serving.packages import loaded, lookup, loudness
from tests.support import linear, tiny_classifier

HEADROOM = 512 << 20
SECONDS = 3.0

JSON = "application/json"
ENDLESS = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"9" * 5000]


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """No more than HEADROOM beyond what the process has already, while a test runs."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + HEADROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(model: Loaded, body: bytes, content_type: str) -> AmaasError:
    assert len(body) <= MAX_BODY_BYTES
    started = time.thread_time()
    with pytest.raises(AmaasError) as refusal:
        tasks.predict(model, body, content_type, {})
    assert time.thread_time() - started < SECONDS
    assert 400 <= refusal.value.status < 500
    return refusal.value


def png(width: int, height: int) -> bytes:
    """A black image of one bit per pixel, which a thousandth of its pixels' bytes are enough for."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + -(-width // 8)) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def wav(samples: int, rate: int, claimed: int | None = None) -> bytes:
    """Silence of one channel; claimed: bytes of samples in the header, where they are not as many."""
    size = 2 * samples if claimed is None else claimed
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + size, 2**32 - 1), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return riff + form + struct.pack("<4sI", b"data", size) + bytes(2 * samples)


def picture(**plan: Any) -> Loaded:
    return loaded(tiny_classifier(), task="image-classification", preprocess=processing.Image(mode="L", **plan))


def sound(**plan: Any) -> Loaded:
    return loaded(loudness(4000), task="audio-classification", preprocess=processing.Audio(**plan))


def table(columns: int = 2) -> Loaded:
    plan = Table(columns=[Column(name=f"c{n}") for n in range(columns)])
    return loaded(linear([[1.0]] * columns), task="tabular", preprocess=plan)


def text(**plan: Any) -> Loaded:
    files = {"tokenizer.json": packages.tokenizer().to_str().encode()}
    return loaded(
        lookup(4), files=files, task="embedding", preprocess=processing.Text(tokenizer="tokenizer.json", **plan)
    )


@pytest.mark.parametrize("side", [8_000, 20_000, 60_000])
def test_images_of_too_many_pixels(side: int) -> None:
    assert f"{side}x{side} pixels" in str(refused(picture(), png(side, side), "image/png"))


@pytest.mark.parametrize(
    "plan",
    [
        {"shorter": 256, "crop": [4, 4]},
        {"size": [224, 224], "resize": "crop", "crop": [4, 4]},
    ],
)
@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_images_that_resizing_makes_huge(plan: dict[str, Any], size: tuple[int, int]) -> None:
    error = refused(picture(**plan), png(*size), "image/png")
    assert isinstance(error, TooLarge)
    assert "less narrow" in str(error)


def test_many_images_that_are_too_much_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_classification.TASK, "answer", pytest.fail)  # before a single one is decoded
    body = json.dumps({"inputs": [b64encode(png(7000, 7000)).decode()] * 5}).encode()
    assert "245,000,000 pixels together" in str(refused(picture(), body, JSON))


def test_what_is_no_image_counts_nothing() -> None:
    images.check_pixels([b"", b"hello", png(7000, 7000)[:40], png(10, 10)])
    body = json.dumps({"inputs": [b64encode(b"hello").decode(), b64encode(png(9, 9)).decode()]}).encode()
    assert "no image" in str(refused(picture(), body, JSON))


@pytest.mark.parametrize("rate", [1, 100])
def test_sounds_that_resampling_makes_huge(rate: int) -> None:
    error = refused(sound(seconds=0.25), wav(2_000_000, rate), "audio/wav")
    assert isinstance(error, TooLarge)
    assert f"at {rate} Hz" in str(error)


@pytest.mark.parametrize("nest", [lambda values: values, lambda values: [[value] for value in values]])
def test_a_long_text_among_many_values_takes_no_room_for_each(nest: Callable[[list], list]) -> None:
    data = json.dumps({"inputs": {"x": nest([1.0] * 10_000 + ["a" * 60_000])}}).encode()
    assert "is text, not a value of FP32" in str(refused(loaded(linear([[1.0]])), data, JSON))


def test_sounds_of_too_many_parts() -> None:
    assert "parts of 0.25 s" in str(refused(sound(seconds=0.25, hop=0.001), wav(2_200_000, 16_000), "audio/wav"))


def test_sounds_whose_spectrogram_would_be_huge() -> None:
    model = sound(features="mel", n_fft=4096, hop_length=1)
    assert "bytes of memory" in str(refused(model, wav(2_200_000, 16_000), "audio/wav"))


@pytest.mark.parametrize("claimed", [50_000_000, 2**32 - 1])
def test_a_header_that_promises_more_sound_than_there_is(claimed: int) -> None:
    """What comes out of a pipe has one: it is taken as far as it goes, and nothing is allocated for the rest."""
    answer = tasks.predict(sound(seconds=0.25), wav(4000, 16_000, claimed), "audio/wav", {})
    assert answer == tasks.predict(sound(seconds=0.25), wav(4000, 16_000), "audio/wav", {})
    assert "no samples" in str(refused(sound(seconds=0.25), wav(0, 16_000, claimed), "audio/wav"))


@pytest.mark.parametrize("columns", [2, 5_000])
def test_tables_of_too_many_columns(columns: int) -> None:
    header = ",".join(f"x{n}" for n in range(400_000))
    error = refused(table(columns), f"{header}\n{'1,' * 399_999}1\n".encode(), "text/csv")
    assert isinstance(error, BadInput)
    assert len(str(error)) < 1000


def test_tables_of_too_many_rows() -> None:
    assert "50,000 rows" in str(refused(table(), b"c0,c1\n" + b"1,2\n" * 1_000_000, "text/csv"))


@pytest.mark.parametrize("value", [b"1e999", b"-inf", b"9" * 400])
def test_numbers_beyond_all_numbers(value: bytes) -> None:
    assert re.search("is a number|outside the range", str(refused(table(), b"c0,c1\n1," + value + b"\n", "text/csv")))


@pytest.mark.parametrize(
    "value", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"9" * 5000]
)
@pytest.mark.parametrize("model", [picture, sound, table, text, lambda: loaded(linear([[1.0]]))])
def test_json_without_end(model: Any, value: bytes) -> None:
    refused(model(), b'{"inputs": ' + value + b"}", JSON)
    refused(model(), b'{"inputs": [' + value + b'], "parameters": {"top_k": ' + value + b"}}", JSON)


@pytest.mark.parametrize("words", [b"the cat ", b"a"])
@pytest.mark.parametrize("plan", [{}, {"max_length": 128}])
def test_texts_of_too_many_characters(words: bytes, plan: dict[str, Any]) -> None:
    body = words * (MAX_BODY_BYTES // len(words))
    assert "characters" in str(refused(text(**plan), body, "text/plain"))


def test_texts_of_too_many_tokens() -> None:
    """Nobody cuts them, and what a model takes may grow with their square."""
    body = b"the cat " * 50_000
    assert "100,002 tokens" in str(refused(text(), body, "text/plain"))
    assert tasks.predict(text(max_length=128), body, "text/plain", {})["embedding"]


def test_what_does_not_fit_into_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausting(*_: Any) -> Any:
        return bytearray(1 << 40)

    monkeypatch.setattr(image_classification.TASK, "answer", exhausting)
    assert "more memory" in str(refused(picture(), png(9, 9), "image/png"))
