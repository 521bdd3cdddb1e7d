"""Photos as cameras, phones and editors write them: the pixels count, and what is odd beside them does not."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from shared.errors import BadInput, TooLarge, Unsupported
from shared.serving.inputs import image_files, images

RANDOM = np.random.default_rng(3)
SMOOTH = np.add.outer(np.arange(24) * 5, np.arange(16) * 3).astype(np.uint8)  # no two corners alike, few losses
COLOR = np.stack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1]], 2)
ORIENTATION = 0x0112
# type of a tag, and the bytes of its value: of TIFF's types 1 to 13, and one that there is not
ODD = {
    "text": (2, b"6\0\0\0"),
    "float": (11, struct.pack("<f", 6.0)),
    "rational by zero": (5, None),
    "nothing": (3, struct.pack("<HH", 0, 0)),
    "nine": (3, struct.pack("<HH", 9, 0)),
    "undefined": (7, b"\x06\0\0\0"),
    "of no type": (77, b"\x06\0\0\0"),
}
STRANGE_TAGS = {  # beside a true orientation: each in its own way cannot be written anew
    "resolution unit below 0": (0x0128, 8, 1, struct.pack("<hh", -1, 0)),
    "resolution that is NaN": (0x011A, 11, 1, struct.pack("<f", float("nan"))),
    "rational -1/0": (0x011A, 10, 1, None),
    "offset below 0": (0x8769, 9, 1, struct.pack("<i", -5)),
    "number as text": (0x0100, 2, 4, b"abc\0"),
    "of a type that there is not": (0x010F, 99, 1, b"abcd"),
    "beyond the end": (0x010E, 2, 9999, struct.pack("<I", 5000)),
}


def exif(*tags: tuple[int, int, int, bytes | None]) -> bytes:
    """A block of EXIF; a tag without bytes has a rational of -1/0 behind the directory."""
    end = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHI", tag, kind, count) + (struct.pack("<I", end) if value is None else value)
        for tag, kind, count, value in sorted(tags, key=lambda one: one[0])
    )
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + struct.pack("<ii", -1, 0)


def saved(pixels: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg_with(block: bytes) -> bytes:
    """As a camera has it: behind the first two bytes, so that nothing of Pillow's has seen it."""
    plain = saved(COLOR, "JPEG", quality=95)
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def pixels(body: bytes, mode: str = "RGB") -> np.ndarray:
    with warnings.catch_warnings(action="ignore"):  # of Pillow, about tags
        return np.asarray(images.decode(body, mode))


def orientation(value: int) -> tuple[int, int, int, bytes]:
    return ORIENTATION, 3, 1, struct.pack("<HH", value, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_each_orientation_is_undone_in_each_kind(kind: str, turned: int) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = turned
    options = {} if kind in ("PNG", "TIFF") else {"quality": 100}
    plain = pixels(saved(COLOR, kind, **options))
    method = image_files.TRANSPOSITIONS.get(turned)
    expected = np.asarray(Image.fromarray(plain).transpose(method)) if method is not None else plain
    assert np.array_equal(pixels(saved(COLOR, kind, exif=tags, **options)), expected)


@pytest.mark.parametrize("value", ODD)
def test_an_orientation_that_is_none_leaves_the_pixels_as_they_are(value: str) -> None:
    kind, data = ODD[value]
    assert np.array_equal(pixels(jpeg_with(exif((ORIENTATION, kind, 1, data)))), pixels(jpeg_with(b"Exif\0\0")))


@pytest.mark.parametrize("tag", STRANGE_TAGS)
@pytest.mark.parametrize("turned", [1, 3, 6])
def test_odd_tags_beside_the_orientation_change_nothing(tag: str, turned: int) -> None:
    plain = pixels(saved(COLOR, "JPEG", quality=95))
    expected = np.rot90(plain, {1: 0, 3: 2, 6: -1}[turned])
    block = exif(orientation(turned), STRANGE_TAGS[tag])
    assert np.array_equal(pixels(jpeg_with(block)), expected)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        assert np.array_equal(
            pixels(saved(COLOR, kind, exif=block, **options)),
            np.rot90(pixels(saved(COLOR, kind, **options)), {1: 0, 3: 2, 6: -1}[turned]),
        )


def test_odd_tags_in_the_directory_of_a_tiff_change_nothing() -> None:
    plain = saved(COLOR, "TIFF", tiffinfo={ORIENTATION: 6, 0x0131: "a program"})
    assert np.array_equal(pixels(plain), np.rot90(COLOR, -1))
    for kind, count, value in ((11, 1, struct.pack("<f", float("nan"))), (2, 4, b"abc\0"), (8, 1, b"\xff\xff\0\0")):
        at = plain.index(struct.pack("<HHI", 0x0131, 2, 10))
        odd = plain[:at] + struct.pack("<HHI", 0x0131, kind, count) + value + plain[at + 12 :]
        assert np.array_equal(pixels(odd), np.rot90(COLOR, -1))
    at = plain.index(struct.pack("<HHI", ORIENTATION, 3, 1))
    as_float = plain[:at] + struct.pack("<HHIf", ORIENTATION, 11, 1, 6.0) + plain[at + 12 :]
    assert np.array_equal(pixels(as_float), COLOR)


def test_an_avif_that_is_turned_by_its_box_and_has_odd_exif() -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    tags[0x010E] = "x" * 40
    body = saved(COLOR, "AVIF", quality=100, exif=tags)
    at = body.index(b"x" * 40)
    # in the place of the description: a tag of negative numbers, where none may be
    entry = body.index(struct.pack(">HHI", 0x010E, 2, 41), 0, at)
    odd = body[:entry] + struct.pack(">HHIhh", 0x0128, 8, 1, -1, 0) + body[entry + 12 :]
    assert np.array_equal(pixels(odd), pixels(body))
    assert pixels(body).shape == (16, 24, 3)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.fromarray(COLOR), Image.fromarray(255 - COLOR)]
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    moving = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    still = pixels(saved(frames[0], kind, **options))
    assert np.abs(pixels(moving).astype(int) - still).mean() < 3  # palettes and predictions may differ a little
    assert np.abs(pixels(moving).astype(int) - (255 - still)).mean() > 30


def test_color_modes_of_all_kinds_of_files() -> None:
    color = Image.fromarray(COLOR)
    clear = Image.fromarray(np.dstack([COLOR, np.full(SMOOTH.shape, 90, np.uint8)]))
    assert np.array_equal(pixels(saved(clear, "PNG")), COLOR)
    assert np.array_equal(pixels(saved(clear.convert("LA"), "PNG"), "L"), np.asarray(clear.convert("L")))
    palette = color.quantize(256)
    palette.info["transparency"] = 3
    assert np.array_equal(pixels(saved(palette, "PNG", transparency=3)), np.asarray(palette.convert("RGB")))
    cmyk = color.convert("CMYK")
    assert np.array_equal(pixels(saved(cmyk, "TIFF")), COLOR)
    ink = saved(cmyk, "JPEG", quality=100)
    assert b"Adobe" in ink  # which inverts all four
    assert np.abs(pixels(ink).astype(int) - COLOR).max() < 12
    stencil = Image.fromarray(SMOOTH > 60)
    assert np.array_equal(pixels(saved(stencil, "PNG"), "L"), np.where(SMOOTH > 60, 255, 0))
    assert np.array_equal(pixels(saved(color.resize((1, 1)), "BMP")).shape, (1, 1, 3))
    lab = Image.frombytes("LAB", (2, 1), bytes([128, 128, 128, 255, 128, 128]))
    grey = Image.fromarray(pixels(saved(lab, "TIFF"))).convert("L")
    assert np.array_equal(pixels(saved(lab, "TIFF"), "L"), np.asarray(grey))
    wide = saved(color, "JPEG2000", irreversible=False)
    assert np.array_equal(pixels(wide), COLOR)
    several = io.BytesIO()
    color.save(several, "MPO", save_all=True, append_images=[color.resize((4, 4))], quality=95)
    assert np.array_equal(pixels(several.getvalue()), pixels(saved(COLOR, "JPEG", quality=95)))


def test_grey_of_16_bits_has_one_white_however_it_is_written() -> None:
    deep = np.linspace(0, 65535, 24 * 16).astype(np.uint16).reshape(24, 16)
    expected = np.round(deep / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF", "JPEG2000"):
        assert np.array_equal(pixels(saved(deep, kind), "L"), expected), kind
    white_is_0 = saved(65535 - deep, "TIFF")
    at = white_is_0.index(struct.pack("<HHI", 262, 3, 1))
    assert np.array_equal(
        pixels(white_is_0[: at + 8] + struct.pack("<HH", 0, 0) + white_is_0[at + 12 :], "L"), expected
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 40_000]], np.int32), "from 0 to 40000"),
        (np.array([[-1, 3]], np.int32), "from -1 to 3"),
        (np.array([[0.0, 256.0]], np.float32), "from 0.0 to 256.0"),
        (np.array([[0.0, np.nan]], np.float32), "floats from nan"),
        (np.array([[0.0, np.inf]], np.float32), "to inf"),
        (np.array([[0.0, 0.5]], np.float32), "between 0 and 1"),
        (np.array([[1.0, 1.0]], np.float32), "between 0 and 1"),
    ],
)
def test_numbers_of_32_bits_are_never_cut_off_in_silence(values: np.ndarray, said: str) -> None:
    for mode in ("L", "RGB"):
        with pytest.raises(BadInput, match=said):
            images.decode(saved(values, "TIFF"), mode)


def test_numbers_of_32_bits_that_are_those_of_8_bits_are_taken() -> None:
    for kind in (np.int32, np.float32):
        assert np.array_equal(pixels(saved(SMOOTH.astype(kind), "TIFF"), "L"), SMOOTH)
    assert pixels(saved(np.zeros((2, 2), np.float32), "TIFF"), "L").tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99), "HEIC"),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp41" + bytes(99), "MP4"),
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\x01", "Photoshop"),
        (b'  <svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    ],
)
def test_a_file_of_another_kind_is_named_and_how_to_save_it(body: bytes, kind: str) -> None:
    for mode in ("RGB", "L"):
        with pytest.raises(Unsupported, match=f"{kind}.*save it as JPEG or PNG"):
            images.decode(body, mode)


def test_what_is_broken_is_refused_and_never_a_fault_of_ours() -> None:
    whole = [saved(COLOR, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000")]
    whole += [saved(COLOR, "JPEG", progressive=True), saved(SMOOTH, "TIFF", compression="tiff_lzw")]
    refused = 0
    for body in whole:
        for _ in range(40):
            cut = body[: RANDOM.integers(1, len(body))]
            at = int(RANDOM.integers(len(body)))
            changed = body[:at] + RANDOM.bytes(4) + body[at + 4 :]
            for broken in (cut, changed):
                try:
                    pixels(broken)
                except (BadInput, TooLarge, Unsupported):
                    refused += 1
    assert refused > 300
