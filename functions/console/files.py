"""What the console consists of: the files in static/, read and compressed once in a process."""

from __future__ import annotations

import gzip
import hashlib
import html
import re
from functools import cache
from pathlib import Path

from msgspec import Struct

from shared.errors import NotFound

STATIC = Path(__file__).parent / "static"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"
API_PAGE = Path(__file__).parent / "api.html"  # made when this function is built: api/page
OWN_POLICY = re.compile(rb'<meta http-equiv="Content-Security-Policy" content="([^"]+)">')


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


@cache
def api_page() -> tuple[File, str]:
    """The API's page, and the policy that it names itself, with no requests but to its origin. Raises NotFound."""
    try:
        body = API_PAGE.read_bytes()
    except FileNotFoundError:
        raise NotFound("this function was built without the API's page: build it with make build") from None
    named = OWN_POLICY.search(body)
    assert named is not None
    kept = [part for part in html.unescape(named[1].decode()).split("; ") if not part.startswith("connect-src")]
    return File.of(PAGE, body), "; ".join([*kept, "connect-src 'self'", "frame-ancestors 'none'"])


def _paths() -> list[Path]:
    return sorted(path for path in STATIC.iterdir() if path.suffix in MEDIA)
