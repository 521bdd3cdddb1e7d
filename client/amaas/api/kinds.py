"""What a file is, by its first bytes, which are right more often than names; else by its name."""

from __future__ import annotations

import mimetypes

BINARY, JSON, TEXT = "application/octet-stream", "application/json", "text/plain"
UTF8_TEXT = f"{TEXT}; charset=utf-8"  # of what this side has encoded
MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg",
}
RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
PROBED = 64 << 10  # bytes of which a text is recognized


def content_type(body: bytes, name: str = "") -> str:
    """name: of the file, if it has one."""
    for magic, kind in MAGIC.items():
        if body.startswith(magic) and not (magic == b"BM" and _is_text(body)):
            return kind
    if body[:4] == b"RIFF":
        return RIFF.get(body[8:12], BINARY)
    guessed = mimetypes.guess_type(name)[0]
    if guessed:
        return guessed
    if body.lstrip()[:1] in (b"{", b"["):
        return JSON
    return TEXT if body and _is_text(body) else BINARY


def _is_text(body: bytes) -> bool:
    """Whether it is UTF-8 without control characters, but for those that texts have."""
    try:
        text = body[:PROBED].decode()
    except UnicodeDecodeError as error:
        if error.start < PROBED - 4 or len(body) <= PROBED:
            return False
        text = body[: error.start].decode()
    return not any(character < " " and character not in "\t\n\r\f" for character in text)
