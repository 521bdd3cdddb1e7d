"""Arrays of numpy and images of Pillow → PNG, which image models take. Pillow is not imported: callers may lack it."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from amaas.errors import AmaasError

COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG's color type: grey, grey with alpha, RGB, RGBA


def png(array: Any) -> bytes:
    """array: of UINT8, [height, width] or [height, width, channels]. Raises AmaasError."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if str(array.dtype) != "uint8" or array.ndim not in (2, 3) or channels not in COLORS or 0 in array.shape:
        raise AmaasError(
            f"an array of {array.dtype} and shape {list(array.shape)} is no image: give one of uint8, of height, "
            "width and channels (1, 3 or 4), or of height and width"
        )
    height, width = array.shape[:2]
    size = width * channels
    pixels = array.tobytes()
    rows = b"".join(b"\x00" + pixels[start : start + size] for start in range(0, height * size, size))
    header = struct.pack(">IIBBBBB", width, height, 8, COLORS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def of_pillow(image: Any) -> bytes:
    """Raises AmaasError for an image without pixels."""
    if 0 in image.size:
        raise AmaasError("the image has no pixels: give one of a width and a height")
    out = io.BytesIO()
    try:
        image.save(out, "PNG")
    except OSError:  # of a mode that PNG has not, such as CMYK
        out = io.BytesIO()
        image.convert("RGB").save(out, "PNG")
    return out.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
