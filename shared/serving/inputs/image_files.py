"""Image files → upright pixels: the one place that opens them, of serving and of training.

Of EXIF, the orientation alone is read, and what is odd in it counts as absent: the pixels are not less fine for it.
Whatever else a decoder does about a file, it is the file's fault, and its sender is told.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from PIL import ExifTags, Image

from shared.errors import AmaasError, BadInput, TooLarge, Unsupported
from shared.serving.inputs import colors

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000")
Image.MAX_IMAGE_PIXELS = None  # those who decode have limits, and look before
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "CR3"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIC"
)  # of the files that are boxes, as MP4 is
# what is none of ours, by its first bytes, so that its sender is told what it is
SIGNATURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"<svg": "SVG",
    b"<?xml": "SVG or XML",
    b"<!DOCTYPE": "HTML",
    b"<html": "HTML",
    b"\0\0\x01\0": "ICO",
    b"qoif": "QOI",
    b"DDS ": "DDS",
    b"PK\x03\x04": "ZIP",
}
AS = "save it as JPEG or PNG"


def opened(body: bytes) -> Image.Image:
    """What the header says of an image, whose pixels are not decoded yet. Raises BadInput, Unsupported."""
    if not body:
        raise BadInput("the body is empty: send the image's bytes, as in curl --data-binary @image.png")
    try:
        return _opened(body)
    except Exception as error:  # a decoder may raise anything
        _refuse(body, error)


def upright(body: bytes, image: Image.Image) -> Image.Image:
    """Its first frame, decoded and turned as its orientation says. image: as opened. Raises BadInput, TooLarge."""
    orientation = None
    try:
        is_tiff = image.format == "TIFF"  # Pillow turns these itself, and fails about what else is in their directory
        if is_tiff:
            orientation = _orientation(image.tag_v2)  # type: ignore[attr-defined]
            image.load_end = lambda: None  # type: ignore[attr-defined]
        image.load()
        if not is_tiff:
            with suppress(Exception):
                orientation = _orientation(image.getexif())
        if orientation in TRANSPOSITIONS:
            return image.transpose(TRANSPOSITIONS[orientation])
        return image if image.size == image.im.size else image.copy()  # a TIFF that an odd orientation made wide
    except MemoryError as error:
        raise TooLarge("the image takes more memory than there is: send it smaller") from error
    except Exception as error:
        _refuse(body, error)


def decode(body: bytes, image: Image.Image, mode: str) -> Image.Image:
    """Upright and in the mode `L`, `RGB` or `BGR`, whose pixels come as RGB. Raises BadInput, TooLarge."""
    deep = colors.depth(image)
    turned = upright(body, image)
    try:
        return colors.convert(turned, "RGB" if mode == "BGR" else mode, deep)
    except AmaasError:
        raise
    except Exception as error:
        _refuse(body, error)


def _opened(body: bytes) -> Image.Image:
    if body[4:8] != b"ftyp":
        return Image.open(io.BytesIO(body), formats=FORMATS)
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each has a frame of its own, beside the budget
    try:
        return Image.open(io.BytesIO(body), formats=("AVIF",))
    except (
        Exception
    ):  # Pillow writes the EXIF anew in opening it: once more, with an item in its place that nobody reads
        return Image.open(io.BytesIO(body.replace(b"Exif", b"exif", 1)), formats=("AVIF",))


def _orientation(tags: Mapping[int, Any]) -> int | None:
    """1 to 8, or None for whatever else is there."""
    value = None
    with suppress(Exception):  # what a tag holds is decoded when it is asked for
        value = tags.get(ExifTags.Base.Orientation)
    return value if type(value) is int and 1 <= value <= 8 else None


def _refuse(body: bytes, error: Exception) -> NoReturn:
    """Raises Unsupported for a file of another kind, BadInput for a broken one."""
    kind = _kind(body)
    if kind:
        raise Unsupported(
            f"the body is a file of the kind {kind}, which is not read here: {AS}; "
            f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]} are read"
        ) from error
    raise BadInput(
        f"the body is no image that can be read: send a whole PNG or JPEG file; of another kind, {AS}"
    ) from (error)


def _kind(body: bytes) -> str | None:
    """What a file is that no decoder here takes; None where that is not known, or it is one of ours."""
    if body[4:8] == b"ftyp":
        brands = [body[8:12], *(body[at : at + 4] for at in range(16, min(int.from_bytes(body[:4]), 256), 4))]
        known = [BRANDS[brand] for brand in brands if brand in BRANDS]
        if "AVIF" in known:
            return None  # a broken one
        return known[0] if known else "MP4, or another one of videos"
    start = body[:256].lstrip()
    return next((name for signature, name in SIGNATURES.items() if start.startswith(signature)), None)
