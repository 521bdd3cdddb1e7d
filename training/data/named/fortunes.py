"""Short texts in ten languages, to tell the language: sentences out of Debian's fortunes-* packages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.data import cache
from training.data.clean import plain
from training.data.named import debian
from training.data.source import Report, Source, objects, targets
from training.errors import TrainingError


class Language(NamedTuple):
    """files: of the package, those with quotations and proverbs. licence: as its debian/copyright states it."""

    name: str
    package: str
    files: tuple[str, ...]
    licence: str


# not Czech: fortunes-cs is under GPL-3+, which nothing can be that has fortunes-ru under GPL-2 in it
LANGUAGES = {
    "bg": Language("Bulgarian", "fortunes-bg", ("bg/*",), "GPL-1+"),
    "de": Language("German", "fortunes-de", ("de/zitate", "de/sprichworte"), "GPL-2+"),
    "en": Language("English", "fortunes-min", ("fortunes", "literature", "riddles"), "BSD-3-clause"),
    "eo": Language("Esperanto", "fortunes-eo", ("eo/*",), "GPL, of a work in the public domain"),
    "es": Language(
        "Spanish", "fortunes-es", ("es/sabiduria.*", "es/vida.*", "es/arte.*", "es/refranes.*"), "public domain"
    ),
    "ga": Language("Irish", "fortunes-ga", ("ga/proverbs",), "BSD-3-clause"),
    "it": Language("Italian", "fortunes-it", ("it/italia", "it/leggi", "it/definizioni"), "public domain"),
    "pl": Language(
        "Polish", "fortunes-pl", ("pl/seneka", "pl/nauka", "pl/sapkowski", "pl/misc", "pl/zen", "pl/stachura"), "GPL-2+"
    ),
    "pt": Language("Portuguese", "fortunes-br", ("brasil",), "GPL-2+"),
    "ru": Language("Russian", "fortunes-ru", ("ru/life", "ru/truth", "ru/knowledge", "ru/time", "ru/citates"), "GPL-2"),
}
ABOUT: dict[str, Any] = {
    "name": "Fortunes",
    "licence": "GPL-2.0-only",  # as a whole
    "licences": {code: language.licence for code, language in LANGUAGES.items()},
    "copyright": "the collectors named in the packages' copyright files",
    "source": "Debian's packages " + ", ".join(language.package for language in LANGUAGES.values()),
}
FILE = "sentences.jsonl"
PLACE = Path("usr/share/games/fortunes")
SHORTEST, LONGEST = 20, 200  # characters
EACH = 3  # pieces of one fortune at most
MOST = 600  # pieces of one language: the collections differ a hundredfold in size
END = re.compile(r"(?<=[.!?…])[\"'»”)]*\s+")
SIGNED = re.compile(r"^\s*(--|—|–|―)\s*\S", re.MULTILINE)  # the author, whose name tells little of the language


def source(root: Path, report: Report) -> Source:
    """Texts of 20 to 200 characters, their language as class. Raises TrainingError when they cannot be had."""
    file = root / "fortunes" / FILE
    if not file.is_file():
        _fetch(file)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if lacking := _lacking(rows):
        raise TrainingError(f"{file} has no sentences in {lacking}: remove it, and they are fetched again")
    codes = sorted(LANGUAGES)
    splits = {"train": (objects(row["text"] for row in rows), targets(codes.index(row["label"]) for row in rows))}
    groups = {"train": [row["fortune"] for row in rows]}
    return Source("text", splits, [LANGUAGES[code].name for code in codes], ABOUT, groups=groups)


def _fetch(file: Path) -> None:
    print(f"fetching fortunes of {len(LANGUAGES)} languages (5 MB) into {file.parent}")
    with debian.unpacked([language.package for language in LANGUAGES.values()]) as content:
        if content is None:
            raise TrainingError(
                f"the fortunes are not in {file.parent} and could not be fetched: that needs apt-get, dpkg-deb and "
                f"a Debian mirror with {ABOUT['source'].removeprefix('Debian')}"
            )
        rows = [
            {"text": text, "label": code, "fortune": fortune}
            for code in LANGUAGES
            for text, fortune in of(content / PLACE, code)
        ]
    if lacking := _lacking(rows):
        raise TrainingError(
            f"the fortunes were fetched, and hold no sentences in {lacking} under {PLACE}: the Debian mirror of this "
            "machine has other versions of the packages, so nothing was kept; use the one of another Debian release"
        )
    with cache.beside(file) as folder:
        draft = folder / FILE
        draft.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        cache.publish(draft, file)


def _lacking(rows: list[dict[str, str]]) -> str:
    """The languages of which there is no row, in words; nothing where all are there."""
    codes = {row["label"] for row in rows}
    return ", ".join(language.name for code, language in LANGUAGES.items() if code not in codes)


def of(folder: Path, code: str) -> list[tuple[str, str]]:
    """One language's pieces, no two equal, at most MOST: the same ones on each machine. With each, its fortune."""
    paths = sorted({path for pattern in LANGUAGES[code].files for path in folder.glob(pattern)})
    texts = [path for path in paths if path.is_file() and not path.is_symlink() and path.suffix != ".dat"]
    unique: dict[str, tuple[str, str]] = {}
    for path in texts:
        fortunes = re.split(r"^%.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for number, fortune in enumerate(fortunes):
            for piece in pieces(fortune):
                unique.setdefault(piece.casefold(), (piece, f"{code}/{path.name}/{number}"))
    texts_with_fortune = list(unique.values())
    indices = np.random.default_rng(0).permutation(len(texts_with_fortune))[:MOST]
    return [texts_with_fortune[index] for index in sorted(indices)]


def pieces(fortune: str) -> list[str]:
    """Sentences of a fortune without its signature; short ones stay with the next."""
    signed = SIGNED.search(fortune)
    text = plain(fortune[: signed.start()] if signed else fortune)
    sentences, begun = [], ""
    for sentence in END.split(text):
        begun = f"{begun} {sentence}".strip()
        if len(begun) >= SHORTEST:
            sentences.append(begun)
            begun = ""
    return [piece for piece in sentences if len(piece) <= LONGEST and _is_prose(piece)][:EACH]


def _is_prose(text: str) -> bool:
    """Four fifths are letters, and nothing is a control character: no tables, drawings or addresses."""
    letters = sum(character.isalpha() for character in text)
    return letters >= 0.8 * len(text.replace(" ", "")) and text.isprintable() and "http" not in text
