"""Why a body is no JSON, in words: its reader's own name a byte, and not what is wrong there.

What is usual is told apart: what Python and JavaScript write and JSON has not, cut bodies, other charsets. Only bodies
that were refused are looked at.
"""

from __future__ import annotations

import re

PLACE = r"\(byte ([0-9]+)\)"
ESCAPE = r"\\(?:u([0-9a-fA-F]{4})|[^u])"
NUMBERS = ("NaN", "Infinity", "-Infinity", "inf", "-inf", "nan")
WORDS = {
    "True": "JSON writes true",
    "False": "JSON writes false",
    "None": "JSON writes null",
    "undefined": "JSON writes null, or leaves the member out",
    "'": "JSON has text and names in double quotes",
    "//": "JSON has no comments",
    "/*": "JSON has no comments",
    "\ufeff": "a byte order mark belongs in front of all else, or nowhere",
}
SHOWN = 20


def reason(body: bytes | memoryview, error: Exception) -> str:
    """The end of "is not valid JSON: …". error: its reader's, whose own words are it where nothing better is known."""
    raw = bytes(body)
    if not raw.strip():
        return "it is empty"
    if isinstance(error, RecursionError):
        return "it has too many lists or objects within each other: make it flatter"
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        return f"byte {fault.start:,} (0x{raw[fault.start]:02x}) is no UTF-8: send it in UTF-8, or declare its charset"
    words = str(error)
    if words.startswith("Number out of range"):
        return f"{words}: a number beyond 1.8e308 is none that can be read"
    if "truncated" in words or "surrogate" in words:
        return _half(text) or ("it ends before its end: send all of it" if "truncated" in words else words)
    if "trailing characters" in words:
        return f"{words}: a body is one value; many, one on each line, are a file .jsonl of a batch job"
    place = re.search(PLACE, words)
    return (_at(raw, int(place[1])) if place else None) or words


def _half(text: str) -> str | None:
    """Which escape is half of a pair that is one character, without its other half beside it."""
    first = None  # half of a pair, and where the other one has to begin
    for escape in re.finditer(ESCAPE, text):
        code = int(escape[1] or "0", 16)
        if first and not (first.end() == escape.start() and 0xDC00 <= code < 0xE000):
            break
        if not first and 0xDC00 <= code < 0xE000:
            first = escape
            break
        first = escape if 0xD800 <= code < 0xDC00 else None
    return f"{first[0]} is half of a character, and its other half is not behind it" if first else None


def _at(raw: bytes, place: int) -> str | None:
    """What stands at a byte. The reader names the letter behind the sign of -Infinity, and the second mark of // ."""
    for start in (place - 1, place):
        rest = raw[max(start, 0) : start + SHOWN].decode(errors="replace")
        where = f"at byte {start:,}"
        for number in NUMBERS:
            if rest.startswith(number):
                return (
                    f"{where}, {number} is none of JSON's numbers, which are finite: null stands for a gap of a table"
                )
        for word, remedy in WORDS.items():
            if rest.startswith(word):
                return f"{where}, {word} is no JSON: {remedy}"
    if place < len(raw) and raw[place] < 32 and raw[place - 1 : place] not in (b"{", b"[", b",", b":"):
        return f"byte {place:,} is a control character (0x{raw[place]:02x}) within text: write it as an escape"
    return None
