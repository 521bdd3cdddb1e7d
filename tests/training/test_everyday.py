"""What the bundled text model is tested on has no part in what it was trained on."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from training.data import dataset as data
from training.data.named import languages
from training.options import CACHE

HELD_OUT = Path(__file__).parent / "everyday"
NEAR = 0.8  # share of a text's words that one other text of its class has
SHORT = 3  # words, of which fewer make no text of their own: "Good night" is what everybody says


def normalized(text: str) -> str:
    """Without case, punctuation and blanks; what has no letter or digit as it is."""
    return "".join(re.findall(r"\w", text.casefold())) or text


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def held_out() -> dict[str, list[str]]:
    """Texts by class."""
    found = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted(HELD_OUT.glob("*.txt"))}
    unknown = [text for name in sorted(found) if name.startswith(languages.UNKNOWN) for text in found[name]]
    return {code: found[code] for code in languages.NAMES} | {languages.UNKNOWN: unknown}


def leaks(kept: list[str], trained: list[str]) -> list[tuple[str, str]]:
    """Of the texts that are kept, those that are in the others, or nearly."""
    same = {normalized(text): text for text in trained}
    bags = [(words(text), text) for text in trained]
    found = [(text, same[normalized(text)]) for text in kept if normalized(text) in same]
    for text in kept:
        own = words(text)
        if sum(own.values()) >= SHORT:
            found += [(text, other) for bag, other in bags if (own & bag).total() >= NEAR * own.total()]
    return found


def test_leaks_are_found() -> None:
    trained = ["Der Zug hat heute wieder zwanzig Minuten Verspätung.", "Wo bist du?", "Guten Tag"]
    assert leaks(["Der Zug hat heute zwanzig Minuten Verspätung"], trained)
    assert set(leaks(["wo BIST du!", "guten  tag."], trained)) == {
        ("wo BIST du!", trained[1]),
        ("guten  tag.", trained[2]),
    }
    assert not leaks(["Wo ist der Zug nach Bremen?", "Gute Nacht"], trained)


def test_nothing_held_out_is_among_the_everyday_sentences() -> None:
    own = languages.everyday()
    assert {row.label for row in own} == {*languages.NAMES, languages.UNKNOWN}
    for label, texts in held_out().items():
        assert leaks(texts, [row.text for row in own if row.label == label]) == []


def test_nothing_held_out_is_in_the_data_set() -> None:
    """As it is trained on: with quotations and messages, and with all that was cut out of any of them."""
    if not ((CACHE / "languages").is_dir() or shutil.which("apt-get")):
        pytest.skip("the messages are not in the cache, and there is no apt-get to fetch them with")
    loaded = data.load("languages", CACHE, seed=0)
    assert loaded.labels == [*languages.NAMES.values(), languages.UNKNOWN]
    for label, texts in held_out().items():
        target = loaded.labels.index(languages.NAMES.get(label, label))
        for values, labels in (loaded.train, loaded.validation):
            assert leaks(texts, list(values[labels == target])) == [], label
    alone = data.load("fortunes", CACHE, seed=0)
    assert set(alone.test[0]) <= set(loaded.test[0])  # what the fortunes are tested on has stayed what it was
    assert not set(alone.test[0]) & set(np.concatenate([loaded.train[0], loaded.validation[0]]))
