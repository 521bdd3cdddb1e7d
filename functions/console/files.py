"""What the console consists of: the files in static/, read and compressed once in a process."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"


class File(Struct, frozen=True):
    """A file as it is sent. etag: quoted, as in the header. compressed: with gzip."""

    body: bytes
    compressed: bytes
    etag: str
    media: str

    @classmethod
    def of(cls, name: str, body: bytes) -> File:
        """Raises KeyError for a kind of file that has no media type here."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, gzip.compress(body, 9, mtime=0), f'"{digest}"', MEDIA[Path(name).suffix])


@cache
def load() -> dict[str, File]:
    """The files that the page names and that they import, by name."""
    return {path.name: File.of(path.name, path.read_bytes()) for path in _paths() if path.name != PAGE}


@cache
def build() -> str:
    """A digest of all files: part of their addresses, so that browsers may keep them for ever."""
    whole = hashlib.sha256()
    for path in _paths():
        whole.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


def page(address: str) -> bytes:
    """The page. address: of the console, as the browser has it, escaped for HTML."""
    text = (STATIC / PAGE).read_text()
    return text.replace("{files}", f"{address}/{build()}").encode()


def _paths() -> list[Path]:
    return sorted(path for path in STATIC.iterdir() if path.suffix in MEDIA)
