"""What a web framework says to its users in many languages: the translations in Debian's package python3-django."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from training.data.clean import plain

PACKAGE = "python3-django"
LICENCE = "BSD-3-Clause"
COPYRIGHT = "Django Software Foundation and individual contributors"
PLACE = Path("usr/lib/python3/dist-packages/django")
FILES = "**/locale/{code}/LC_MESSAGES/django.mo"
MAGIC = 0x950412DE  # of gettext's compiled catalogs, in the byte order that they are in
SHORTEST, LONGEST = 4, 200  # characters
MARKUP = re.compile(r"[%<>{}\\/@_=\n]|&\w+;|http")  # no running text


def of(folder: Path, codes: tuple[str, ...]) -> list[tuple[str, str]]:
    """One language's messages, each once, and what each translates. codes: of the framework; "en" is the originals."""
    source = ("de",) if codes == ("en",) else codes
    found: dict[str, tuple[str, str]] = {}
    for code in source:
        for path in sorted((folder / PLACE).glob(FILES.format(code=code))):
            for original, translated in catalog(path.read_bytes()):
                text = plain(original if codes == ("en",) else translated)
                if is_prose(text) and (codes == ("en",) or text.casefold() != plain(original).casefold()):
                    found.setdefault(text.casefold(), (text, original))
    return [found[key] for key in sorted(found)]


def catalog(raw: bytes) -> list[tuple[str, str]]:
    """Originals and translations of a compiled catalog, without contexts, the first of each one's plural forms."""
    order = "<" if struct.unpack_from("<I", raw)[0] == MAGIC else ">"
    count, originals, translations = struct.unpack_from(f"{order}3I", raw, 8)
    pairs = []
    for number in range(count):
        original, translated = (_string(raw, order, table + 8 * number) for table in (originals, translations))
        if original:  # the catalog's own header is the translation of nothing
            pairs.append((original.split("\x04")[-1], translated))
    return pairs


def _string(raw: bytes, order: str, at: int) -> str:
    length, start = struct.unpack_from(f"{order}2I", raw, at)
    return raw[start : start + length].decode("utf-8").split("\x00")[0]


def is_prose(text: str) -> bool:
    """Four fifths are letters, blanks and the marks of a sentence, and there is no markup, placeholder or address."""
    letters = sum(character.isalpha() or character.isspace() or character in "'’-,.!?" for character in text)
    return SHORTEST <= len(text) <= LONGEST and not MARKUP.search(text) and letters >= 0.8 * len(text)
