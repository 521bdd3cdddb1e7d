"""Texts of any length in fourteen languages, and in none of them: quotations, dialogues, messages, everyday sentences.

The bundled model `languages` is trained on it. Quotations are those of `fortunes`, split as that set is by itself, so
that their share of the test set stays what it was; dialogues are a game's; messages are what programs say, in many
translations; everyday sentences are our own, in everyday/*.txt.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.data import cache
from training.data.named import debian, dialogues, fortunes, messages
from training.data.source import Report, Source, objects, targets
from training.data.split import stratified
from training.errors import TrainingError

UNKNOWN = "unknown"
OWN = Path(__file__).parent / "everyday"
FILE = "messages-and-dialogues.jsonl"
# of what the authors of this repository wrote: its own licence, and the one of the data set as a whole, which may not
# have texts in it that are under Apache-2.0 alone
OWN_LICENCE = "Apache-2.0 OR GPL-2.0-only"
SEED, TEST = 0, 0.15  # as `fortunes` is split where nobody says otherwise
MOST, MOST_ALONE = 300, 600  # messages of one language, and of one that has no dialogues
MOST_UNKNOWN, MOST_NEAR = 250, 450
LONGEST_CUT = 6  # words
CUTS, OWN_CUTS, OWN_UNKNOWN_CUTS = 1, 3, 6  # of a text; of an everyday one, of which there are few, fewest of others
MOST_DIALOGUES, MOST_WITH_FORTUNES = 600, 300  # lines of one language, as many as another has quotations, or half
# of the framework; not those that are nearly one of the known, as Galician, Macedonian, Scottish Gaelic or Afrikaans
OTHERS = (
    "ar az be br ca cy da el et eu fa fi he hi hr hu hy id is ja ka kk ko lt lv mn nb nn ro sk sl sq sr sr_Latn sw ta "
    "te th tr tt uk ur uz vi zh_Hans"
)
NEAR = ("be", "ca", "da", "hr", "nb", "nn", "ro", "sl", "sr", "sr_Latn", "uk")  # relatives: more to tell them by
ADDED = {"cs": "Czech", "fr": "French", "nl": "Dutch", "sv": "Swedish"}  # to the languages of which there are fortunes
NAMES = dict(sorted(({code: language.name for code, language in fortunes.LANGUAGES.items()} | ADDED).items()))
CATALOGS = {code: (code,) for code in NAMES} | {"pt": ("pt", "pt_BR")}
ABOUT: dict[str, Any] = fortunes.ABOUT | {
    "name": "Languages",
    "licences": fortunes.ABOUT["licences"]
    | {"dialogues": dialogues.LICENCE, "messages": messages.LICENCE, "everyday": OWN_LICENCE},
    "copyright": f"{fortunes.ABOUT['copyright']}; {dialogues.COPYRIGHT}; {messages.COPYRIGHT}; Amaas",
    "source": f"{fortunes.ABOUT['source']}, {dialogues.PACKAGE}, {messages.PACKAGE}; everyday sentences written for it",
}
PLAIN = str.maketrans({"ł": "l", "Ł": "L", "ß": "ss", "ø": "o", "đ": "d", "ё": "е", "Ё": "Е"})


class Row(NamedTuple):
    """A text, the code of its language, and what it is a part of."""

    text: str
    label: str
    group: str
    own: bool = False


def source(root: Path, report: Report) -> Source:
    """Texts, their language as class, the last of which is `unknown`. Raises TrainingError when they cannot be had."""
    quotations = fortunes.source(root, report)
    codes, quoted = [*NAMES, UNKNOWN], sorted(fortunes.LANGUAGES)
    values, labels = quotations.splits["train"]
    groups = np.array(quotations.groups["train"])
    rows = [Row(*row) for row in zip(values, (quoted[label] for label in labels), groups, strict=True)]
    train, test = _divided(rows)
    for part in (_fetched(root), everyday()):
        more, tested = _divided(part)
        train, test = train + more, test + tested
    train += _variants(train)
    splits = {
        name: (objects(row.text for row in part), targets(codes.index(row.label) for row in part))
        for name, part in (("train", train), ("test", test))
    }
    named = {name: [row.group for row in part] for name, part in (("train", train), ("test", test))}
    return Source("text", splits, [*NAMES.values(), UNKNOWN], ABOUT, groups=named)


def everyday() -> list[Row]:
    """The product's own sentences, one a line; what is in none of the languages, too."""
    return [
        Row(line, path.stem, f"{path.stem}/own/{number}", own=True)
        for path in sorted(OWN.glob("*.txt"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
    ]


def _divided(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    labels = np.array([row.label for row in rows])
    parts = stratified(np.arange(len(rows)), labels, TEST, SEED, np.array([row.group for row in rows]))
    return [rows[index] for index in parts[0][0]], [rows[index] for index in parts[1][0]]


def _variants(rows: list[Row]) -> list[Row]:
    """What people make of a sentence: some words of it, and letters without their marks. Each once, nothing twice."""
    random = np.random.default_rng(SEED)
    seen = {row.text for row in rows}
    made = []
    for row in rows:
        count = CUTS if not row.own else OWN_UNKNOWN_CUTS if row.label == UNKNOWN else OWN_CUTS
        cuts = [_cut(row.text, random) for _ in range(count)]
        for text in [*cuts, without_marks(row.text)]:
            if text not in seen:
                seen.add(text)
                made.append(Row(text, row.label, row.group))
    return made


def _cut(text: str, random: np.random.Generator) -> str:
    """One to six words in a row; the text where it has no more."""
    words = text.split()
    count = int(random.integers(1, LONGEST_CUT + 1))
    start = int(random.integers(0, max(1, len(words) - count + 1)))
    return " ".join(words[start : start + count])


def without_marks(text: str) -> str:
    """As it is typed on a keyboard that lacks them: Latin letters bare, й and ѝ as they are, ё as е."""
    letters = (
        character if "\u0400" <= character <= "\u04ff" else unicodedata.normalize("NFD", character)[0]
        for character in text.translate(PLAIN)
    )
    return "".join(letters)


def _fetched(root: Path) -> list[Row]:
    file = root / "languages" / FILE
    if not file.is_file():
        _fetch(file)
    return [Row(*json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _fetch(file: Path) -> None:
    count = len(NAMES) + len(OTHERS.split())
    print(f"fetching messages in {count} languages (3 MB) and dialogues in {len(dialogues.CODES)} (71 MB)")
    packages = [messages.PACKAGE, dialogues.PACKAGE]
    with debian.unpacked(packages) as content:
        if content is None:
            raise TrainingError(
                f"messages and dialogues are not in {file.parent} and could not be fetched: that needs apt-get, "
                f"dpkg-deb and a Debian mirror with {' and '.join(packages)}"
            )
        said = [row for code in dialogues.CODES for row in _dialogues(content, code)]
        written = []
        for code, names in CATALOGS.items():
            written += _messages(content, code, names, MOST if code in dialogues.CODES else MOST_ALONE)
        for name in OTHERS.split():
            written += _messages(content, UNKNOWN, (name,), MOST_NEAR if name in NEAR else MOST_UNKNOWN)
    _refuse_lacking(written, {*NAMES, UNKNOWN}, messages.PACKAGE, "messages", messages.PLACE)
    _refuse_lacking(said, set(dialogues.CODES), dialogues.PACKAGE, "dialogues", dialogues.PLACE)
    with cache.beside(file) as folder:
        draft = folder / FILE
        lines = (json.dumps(row[:3], ensure_ascii=False) + "\n" for row in said + written)
        draft.write_text("".join(lines), encoding="utf-8")
        cache.publish(draft, file)


def _refuse_lacking(rows: list[Row], labels: set[str], package: str, what: str, place: Path) -> None:
    if lacking := sorted(labels - {row.label for row in rows}):
        raise TrainingError(
            f"{package} was fetched, and holds no {what} in {', '.join(lacking)} under {place}: the Debian mirror of "
            "this machine has another version of it, so nothing was kept; use another release's"
        )


def _messages(content: Path, label: str, names: tuple[str, ...], most: int) -> list[Row]:
    """One language's messages, at most so many: the same ones on each machine."""
    all_of_them = messages.of(content, names)
    return [Row(text, label, f"{names[0]}/{original}") for text, original in _some(all_of_them, most)]


def _dialogues(content: Path, code: str) -> list[Row]:
    most = MOST_WITH_FORTUNES if code in fortunes.LANGUAGES else MOST_DIALOGUES
    lines = _some(dialogues.of(content, code), most)
    return [Row(text, code, f"{code}/{place}") for text, place in lines]


def _some(texts: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """At most so many of them, the same ones each time, in their order."""
    chosen = np.random.default_rng(SEED).permutation(len(texts))[:most]
    return [texts[index] for index in sorted(chosen)]
