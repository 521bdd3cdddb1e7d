"""What two fish say to each other in many languages: the dialogues of a game in Debian's package fillets-ng-data."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.clean import plain
from training.data.named import messages

PACKAGE = "fillets-ng-data"
CODES = ("bg", "cs", "de", "en", "es", "fr", "it", "nl", "pl", "ru", "sv")  # nearly all of it is translated into these
LICENCE = "GPL-2"
COPYRIGHT = "Ivo and Pavel Danihelka, ALTAR interactive and the translators of Fish Fillets"
PLACE = Path("usr/share/games/fillets-ng/script")
FILES = "*/dialogs_{code}.lua"
STRING = r'"((?:[^"\\\n]|\\.)*)"'  # Lua's, as C's
# a line's name, its font and what is said in English; the call after it has the translation
ENGLISH = re.compile(rf"^dialogId\({STRING}, *{STRING}, *{STRING}\)", re.MULTILINE)
TRANSLATED = re.compile(rf"^dialogId\({STRING}, *{STRING}, *{STRING}\)\s*^dialogStr\({STRING}\)", re.MULTILINE)


def of(folder: Path, code: str) -> list[tuple[str, str]]:
    """One language's lines, each once, in the order of their text; with each, its place: level and name."""
    pattern = ENGLISH if code == "en" else TRANSLATED
    lines: dict[str, tuple[str, str]] = {}
    for path in sorted((folder / PLACE).glob(FILES.format(code=code))):
        for name, *_, said in pattern.findall(path.read_text(encoding="utf-8")):
            text = plain(said.replace('\\"', '"'))
            if messages.is_prose(text):
                lines.setdefault(text.casefold(), (text, f"{path.parent.name}/{name}"))
    return [lines[key] for key in sorted(lines)]
