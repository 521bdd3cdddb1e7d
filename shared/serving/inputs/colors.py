"""Images in the 8-bit color mode that a model takes: one piece, so that training and serving agree to the bit."""

from __future__ import annotations

import numpy as np
from PIL import Image

STEP = 257  # of 16 bits for one of 8: 65535 / 255


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Grey of 16 bits, as PNG and TIFF have it, is scaled: Pillow alone would make white of all above 255.

    mode: `L` or `RGB`. Raises what Pillow does for an image that is cut off.
    """
    if image.mode.startswith("I;16"):
        deep = np.asarray(image)
        rounded = deep // STEP + (deep % STEP > STEP // 2)  # stays within 16 bits
        image = Image.fromarray(rounded.astype(np.uint8))
    if image.mode == mode:
        image.load()  # else nothing was decoded yet
        return image
    return image.convert(mode)
