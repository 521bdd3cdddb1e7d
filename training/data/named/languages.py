"""Texts of any length in ten languages, and in none of them: quotations, what programs say, what people say every day.

The bundled model `languages` is trained on it. Quotations are those of `fortunes`, split as that set is by itself, so
that their share of the test set stays what it was; messages are of a package of Debian's, in many translations;
everyday sentences are our own, in everyday/*.txt.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.data import cache
from training.data.named import debian, fortunes, messages
from training.data.source import Report, Source, objects, targets
from training.data.split import stratified
from training.errors import TrainingError

UNKNOWN = "unknown"
OWN = Path(__file__).parent / "everyday"
FILE = "messages.jsonl"
# of what the authors of this repository wrote: its own licence, and the one of the data set as a whole, which may not
# have texts in it that are under Apache-2.0 alone
OWN_LICENCE = "Apache-2.0 OR GPL-2.0-only"
SEED, TEST = 0, 0.15  # as `fortunes` is split where nobody says otherwise
MOST, MOST_UNKNOWN = 300, 250  # messages of one language
LONGEST_CUT = 6  # words
CUTS, OWN_CUTS, OWN_UNKNOWN_CUTS = 1, 3, 6  # of a text; of an everyday one, of which there are few, fewest of others
# of the framework; not those that are nearly one of the ten, as Galician, Macedonian, Scottish Gaelic or Ido
OTHERS = (
    "af ar az be br ca cs cy da el et eu fa fi fr he hi hr hu hy id is ja ka kk ko lt lv mn nb nl nn ro sk sl sq sr "
    "sr_Latn sv sw ta te th tr tt uk ur uz vi zh_Hans"
)
TEN = {code: (code,) for code in fortunes.LANGUAGES} | {"pt": ("pt", "pt_BR")}
ABOUT: dict[str, Any] = fortunes.ABOUT | {
    "name": "Languages",
    "licences": fortunes.ABOUT["licences"] | {"messages": messages.LICENCE, "everyday": OWN_LICENCE},
    "copyright": f"{fortunes.ABOUT['copyright']}; {messages.COPYRIGHT}; Amaas",
    "source": f"{fortunes.ABOUT['source']}, {messages.PACKAGE}; everyday sentences written for it",
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
    codes = [*sorted(fortunes.LANGUAGES), UNKNOWN]
    values, labels = quotations.splits["train"]
    groups = np.array(quotations.groups["train"])
    rows = [Row(*row) for row in zip(values, (codes[label] for label in labels), groups, strict=True)]
    train, test = _divided(rows)
    for part in (_messages(root), everyday()):
        more, tested = _divided(part)
        train, test = train + more, test + tested
    train += _variants(train)
    splits = {
        name: (objects(row.text for row in part), targets(codes.index(row.label) for row in part))
        for name, part in (("train", train), ("test", test))
    }
    named = {name: [row.group for row in part] for name, part in (("train", train), ("test", test))}
    return Source("text", splits, [*quotations.labels, UNKNOWN], ABOUT, groups=named)


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


def _messages(root: Path) -> list[Row]:
    file = root / "languages" / FILE
    if not file.is_file():
        _fetch(file)
    return [Row(*json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _fetch(file: Path) -> None:
    print(f"fetching messages in {len(TEN) + len(OTHERS.split())} languages (3 MB) into {file.parent}")
    with debian.unpacked([messages.PACKAGE]) as content:
        if content is None:
            raise TrainingError(
                f"the messages are not in {file.parent} and could not be fetched: that needs apt-get, dpkg-deb and a "
                f"Debian mirror with {messages.PACKAGE}"
            )
        rows = [row for code, names in TEN.items() for row in _of(content, code, names, MOST)]
        rows += [row for name in OTHERS.split() for row in _of(content, UNKNOWN, (name,), MOST_UNKNOWN)]
    if lacking := sorted({*TEN, UNKNOWN} - {row.label for row in rows}):
        raise TrainingError(
            f"{messages.PACKAGE} was fetched, and holds no messages in {', '.join(lacking)} under {messages.PLACE}: "
            "the Debian mirror of this machine has another version of it, so nothing was kept; use another release's"
        )
    with cache.beside(file) as folder:
        draft = folder / FILE
        draft.write_text("".join(json.dumps(row[:3], ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        cache.publish(draft, file)


def _of(content: Path, label: str, names: tuple[str, ...], most: int) -> list[Row]:
    """One language's messages, at most so many: the same ones on each machine."""
    found = messages.of(content, names)
    chosen = np.random.default_rng(SEED).permutation(len(found))[:most]
    return [Row(found[index][0], label, f"{names[0]}/{found[index][1]}") for index in sorted(chosen)]
