"""Images as a caller has them: files, bytes, of Pillow, or arrays of numpy; and what a file is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from amaas import AmaasError, Client
from amaas.api import kinds, pictures
from PIL import Image

from shared.registry.log import Log
from tests.client.models import PNG, served


@pytest.fixture(autouse=True)
def models(log: Log) -> None:
    served(log)


def picture(mode: str = "L") -> Image.Image:
    return Image.open(io.BytesIO(PNG)).convert(mode)


def test_an_image(client: Client, tmp_path: Path) -> None:
    expected = client.predict("digits", PNG)["predictions"]
    (tmp_path / "shoe.png").write_bytes(PNG)
    grey = picture()
    array = np.asarray(grey)
    for value in (
        grey, picture("RGB"), picture("RGBA"), array, array[:, :, None], np.stack([array] * 3, 2), array.T.copy().T,
        "shoe.png", Path("shoe.png"), bytearray(PNG), memoryview(PNG), {"input": PNG}, {"input": grey},
        {"input": Path("shoe.png")},
    ):  # fmt: skip
        assert client.predict("digits", value)["predictions"] == expected, value
    for value in ([PNG, grey], [Path("shoe.png"), PNG], np.stack([array, array]), np.stack([array, array])[..., None]):
        if isinstance(value, np.ndarray) and value.ndim == 3:
            continue  # height and width of four, with four channels
        assert [result["predictions"] for result in client.predict("digits", value).results] == [expected] * 2


def test_images_of_modes_that_png_has_not(client: Client) -> None:
    for mode in ("CMYK", "YCbCr", "HSV", "LAB", "P", "1", "I;16"):
        image = picture().convert("RGB").convert(mode) if mode != "I;16" else Image.new(mode, (4, 4))
        assert client.predict("digits", image).predictions


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 4, 5), (1, 4, 4, 5)])
def test_arrays_that_are_no_image(client: Client, shape: tuple[int, ...]) -> None:
    with pytest.raises(AmaasError, match="is no image: give one of uint8"):
        client.predict("digits", np.zeros(shape, np.uint8))
    with pytest.raises(AmaasError, match="float64 and shape"):
        client.predict("digits", np.zeros((4, 4)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_an_array_is_that_array(channels: int) -> None:
    array = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), np.uint8)
    read = np.asarray(Image.open(io.BytesIO(pictures.png(array))))
    assert np.array_equal(read.reshape(array.shape), array)
    turned = array.transpose(1, 0, 2)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(pictures.png(turned)))).reshape(turned.shape), turned)


@pytest.mark.parametrize(
    ("body", "name", "kind"),
    [
        (b"fLaC....", "", "audio/flac"),
        (b"OggS", "a.txt", "audio/ogg"),
        (b"BM\x00\x01", "", "image/bmp"),
        (b"BMW is a car", "", "text/plain"),
        ("Grüße".encode(), "", "text/plain"),
        ("ß".encode() * 40_000, "", "text/plain"),
        (b"x" + "ß".encode() * 40_000, "", "text/plain"),
        ("ß".encode("latin-1"), "", "application/octet-stream"),
        (b"a\x00b", "", "application/octet-stream"),
        (b"", "", "application/octet-stream"),
        (b"a,b", "x.csv", "text/csv"),
        (b"\xff\xfe", "x.txt", "text/plain"),
    ],
)
def test_the_kind_of_a_file(body: bytes, name: str, kind: str) -> None:
    assert kinds.content_type(body, name) == kind
