"""Images in the 8-bit color mode that a model takes: one piece, so that training and serving agree to the bit.

White is 255 of 8 bits and 65535 of 16. Numbers of 32 bits have no white of their own: they count as 8 bits do, and
what does not fit is refused, as nothing can be said of how much of it is white.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from shared.errors import BadInput

STEP = 257  # of 16 bits for one of 8: 65535 / 255
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF
WIDE = {"I": "whole numbers of 32 bits", "F": "floats"}
GRAY = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}  # modes that have no color


class Depth(NamedTuple):
    """bits: of a number of grey, of those that are stored in 16. reversed: 0 is white, as a TIFF may have it."""

    bits: int = 16
    reversed: bool = False


DEPTH = Depth()


def depth(image: Image.Image) -> Depth:
    """What a file says of its grey of more than 8 bits, which Pillow leaves as it is."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or not image.mode.startswith("I;16"):
        return DEPTH
    return Depth(12 if tags.get(BITS_PER_SAMPLE) == (12,) else 16, tags.get(PHOTOMETRIC) == 0)


def convert(image: Image.Image, mode: str, deep: Depth = DEPTH) -> Image.Image:
    """Grey of 16 bits, as PNG and TIFF have it, is scaled: Pillow alone would make white of all above 255.

    mode: `L` or `RGB`. Raises BadInput, and what Pillow does for an image that is cut off.
    """
    if image.mode.startswith("I;16"):
        image = _to_8_bits(np.asarray(image), deep)
    if image.mode in WIDE:
        _check_range(image)
    if image.mode == mode:
        image.load()  # else nothing was decoded yet
        return image
    if image.mode in ("LAB", "HSV") and mode == "L":  # Pillow has no way from these to grey
        image = image.convert("RGB")
    return image.convert(mode)


def _to_8_bits(values: np.ndarray, deep: Depth) -> Image.Image:
    if deep.bits == 12:
        values = (values << 4) | (values >> 8)
    if deep.reversed:
        values = 65535 - values
    rounded = values // STEP + (values % STEP > STEP // 2)  # stays within 16 bits
    return Image.fromarray(rounded.astype(np.uint8))


def _check_range(image: Image.Image) -> None:
    """Raises BadInput for numbers that Pillow would cut off at white or at black, or all take for black."""
    values = np.asarray(image)
    least, most = values.min(), values.max()
    if image.mode == "F" and least >= 0 and 0 < most <= 1:
        raise BadInput(
            "the image has floats between 0 and 1, and could be a dark one of 0 to 255: multiply it by 255, and save "
            "it as PNG with 8 bits"
        )
    if not (least >= 0 and most <= 255):  # neither is so for NaN
        raise BadInput(
            f"the image has {WIDE[image.mode]} from {least} to {most}, of which nobody can say what is white: save it "
            "as PNG with 8 bits (white is 255) or 16 (65535)"
        )
