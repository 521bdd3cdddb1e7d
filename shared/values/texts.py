"""Bytes → text: by the charset that their sender declares, UTF-8 where none is, without a byte order mark.

Nothing is guessed from the content. What is surely no UTF-8 is refused with a word of how to declare what it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.errors import BadInput, Unsupported

UTF8 = "utf-8"
MARK = b"\xef\xbb\xbf"
OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16 and UTF-32, with which no UTF-8 begins
PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
# names as they are declared → Python's. A list of our own, as Python's knows what is no charset: zip, punycode, rot13
CHARSETS = (
    {name: name for name in (UTF8, "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")}
    | {f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)}
    | {f"windows-125{part}": f"cp125{part}" for part in range(9)}
    | {f"cp125{part}": f"cp125{part}" for part in range(9)}
    | {"us-ascii": "ascii", "windows-874": "cp874", "windows-31j": "cp932"}
    | {name: name for name in ("koi8-r", "koi8-u", "shift_jis", "gb2312", "gbk", "gb18030", "big5", "euc-jp", "euc-kr")}
)
ALIASES = {
    "utf8": UTF8,
    "utf16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
    "ascii": "us-ascii",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "iso_8859-1": "iso-8859-1",
    "iso8859-15": "iso-8859-15",
    "shift-jis": "shift_jis",
    "sjis": "shift_jis",
    "cp932": "windows-31j",
}
NAMED = (
    "utf-8, utf-16, utf-16le, utf-16be, utf-32, utf-32le, utf-32be, us-ascii, iso-8859-1 to -16, windows-1250 to "
    "-1258, windows-874, windows-31j, koi8-r, koi8-u, shift_jis, gb2312, gbk, gb18030, big5, euc-jp, euc-kr"
)
UNSAID = ("", "application/x-www-form-urlencoded")  # what curl says of JSON where its caller says nothing
HOW = "send UTF-8, or declare what it is, as in Content-Type: text/plain; charset=utf-16le"


class ContentType(NamedTuple):
    """A header's media type, and its parameters by name, all in lower case but the parameters' values."""

    kind: str
    parameters: dict[str, str]

    @property
    def charset(self) -> str | None:
        return self.parameters.get("charset")

    @property
    def is_text(self) -> bool:
        """Whether bytes of the type are text, as JSON and CSV are."""
        return self.kind.startswith("text/") or self.is_json

    @property
    def is_json(self) -> bool:
        return self.kind == "application/json" or self.kind.endswith("+json")


def content_type(header: str) -> ContentType:
    """What a Content-Type says. Of a parameter that is there twice, the first counts."""
    parameters: dict[str, str] = {}
    for name, value in PARAMETER.findall(header):
        plain = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value.strip()
        parameters.setdefault(name.lower(), plain)
    return ContentType(header.partition(";")[0].strip().lower(), parameters)


def decoded(body: bytes, charset: str | None = None) -> str:
    """The text, without its byte order mark. charset: as declared; None: UTF-8.

    Raises BadInput with the place of the first byte that is none, Unsupported for a charset that is not in the list.
    """
    name = _known(charset)
    try:
        return body.decode(CHARSETS[name]).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        said = "" if charset else f": {HOW}"
        raise BadInput(
            f"the text is not {name.upper()}: byte {error.start:,} (0x{body[error.start : error.start + 1].hex()}), "
            f"{error.reason}{said}"
        ) from error


def in_utf8(body: bytes, header: str) -> tuple[bytes, str]:
    """A body as its readers take it, and its type without parameters: text is UTF-8 without a mark, all else as it is.

    Whether UTF-8 is what was declared, or nothing was, its readers find out. Raises BadInput, Unsupported.
    """
    declared = content_type(header)
    if not declared.is_text:
        return body.removeprefix(MARK) if declared.kind in UNSAID else body, declared.kind
    if declared.charset is not None and _known(declared.charset) != UTF8:
        return decoded(body, declared.charset).encode(), declared.kind
    if declared.charset is None:
        _require_no_utf16(body, declared)
    return body.removeprefix(MARK), declared.kind


def _known(charset: str | None) -> str:
    name = (charset or UTF8).strip().lower()
    name = ALIASES.get(name, name)
    if name not in CHARSETS:
        raise Unsupported(f"the charset {name[:40]!r} is not read here: send UTF-8, or declare one of {NAMED}")
    return name


def _require_no_utf16(body: bytes, declared: ContentType) -> None:
    """NUL is in no text that somebody wrote: JSON begins with none, and has it as an escape."""
    if body.startswith(OTHER_MARKS) or b"\0" in (body[:4] if declared.is_json else body):
        raise BadInput(f"the body is text of no declared charset, and not UTF-8, but perhaps UTF-16: {HOW}")
