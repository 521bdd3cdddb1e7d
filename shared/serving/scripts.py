"""The script that most letters of a text have, by blocks of Unicode: a plain sign of another language."""

from __future__ import annotations

import numpy as np

LOOKED_AT = 1000  # characters of a text
NONE, OTHER = "no letters", "other scripts"
# first code points of blocks, and whose letters these are; blocks that lie together and share a script are one
BLOCKS = {
    0x0: NONE,
    0x41: "Latin",
    0x5B: NONE,
    0x61: "Latin",
    0x7B: NONE,
    0xC0: "Latin",
    0x250: OTHER,
    0x370: "Greek",
    0x400: "Cyrillic",
    0x530: OTHER,
    0x590: "Hebrew",
    0x600: "Arabic",
    0x780: OTHER,
    0x900: "Devanagari",
    0x980: OTHER,
    0x1100: "Korean",
    0x1200: OTHER,
    0x1E00: "Latin",
    0x1F00: "Greek",
    0x2000: NONE,
    0x2E80: "Chinese or Japanese",
    0xAC00: "Korean",
    0xD7B0: OTHER,
    0xD800: NONE,  # halves of characters, and private ones
    0xF900: OTHER,
    0x1F000: NONE,
    0x20000: "Chinese or Japanese",
}
SCRIPTS = [NONE, OTHER, "Latin", "Cyrillic", "Greek", "Hebrew", "Arabic", "Devanagari", "Korean", "Chinese or Japanese"]
_STARTS = np.array(list(BLOCKS), np.uint32)
_OF_BLOCK = np.array([SCRIPTS.index(script) for script in BLOCKS.values()])


def script(text: str) -> str:
    """Of the first letters of a text; NONE where there are none."""
    codes = np.frombuffer(text[:LOOKED_AT].encode("utf-32-le", "surrogatepass"), "<u4")
    numbers = np.bincount(_OF_BLOCK[np.searchsorted(_STARTS, codes, "right") - 1], minlength=len(SCRIPTS))
    numbers[0] = 0  # of what is no letter
    return SCRIPTS[int(numbers.argmax())]
