"""The bundled text model's data: messages of a package's catalogs, everyday sentences, and what is cut of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from training.data.named import dialogues, fortunes, languages, messages
from training.errors import TrainingError


def compiled(pairs: dict[str, str], order: str) -> bytes:
    """A catalog as gettext's msgfmt writes it, in one byte order or the other."""
    texts = [text.encode() for pair in zip(pairs, pairs.values(), strict=True) for text in pair]
    start, table, body = 28 + 16 * len(pairs), b"", b""
    for text in texts[::2] + texts[1::2]:
        table += struct.pack(f"{order}2I", len(text), start + len(body))
        body += text + b"\0"
    head = (messages.MAGIC, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return struct.pack(f"{order}7I", *head) + table + body


PAIRS = {
    "": "Content-Type: text/plain; charset=UTF-8\n",
    "Enter a number.": "Bitte eine Zahl eingeben.",
    "month\x04May": "Mai im Kalender",
    "%d item\0%d items": "%d Eintrag\0%d Einträge",
    "one hour\0hours": "eine Stunde\0Stunden",
    "OK": "OK",
    "English": "English",
    "Go to <b>start</b>": "Zum <b>Anfang</b> gehen",
}


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_are_read_out_of_catalogs(tmp_path: Path, order: str) -> None:
    folder = tmp_path / messages.PLACE / "conf" / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(compiled(PAIRS, order))
    german = messages.of(tmp_path, ("de",))
    assert german == [
        ("Bitte eine Zahl eingeben.", "Enter a number."),
        ("eine Stunde", "one hour"),
        ("Mai im Kalender", "May"),
    ]
    assert [text for text, _ in messages.of(tmp_path, ("en",))] == ["English", "Enter a number.", "one hour"]
    assert messages.of(tmp_path, ("fr",)) == []


def test_messages_that_cannot_be_had_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    root = tmp_path / "root"
    (root / "fortunes").mkdir(parents=True)
    rows = [
        f'{{"text": "Satz {n} in {code}", "label": "{code}", "fortune": "{code}/{n}"}}\n'
        for code in fortunes.LANGUAGES
        for n in range(20)
    ]
    (root / "fortunes" / fortunes.FILE).write_text("".join(rows))
    with pytest.raises(TrainingError, match=r"could not be fetched: that needs apt-get.*django and fillets-ng-data"):
        languages.source(root, [])
    assert not (root / "languages").exists()


def catalogs(folder: Path, codes: Iterable[str]) -> None:
    for code in codes:
        place = folder / messages.PLACE / "conf" / "locale" / code / "LC_MESSAGES"
        place.mkdir(parents=True)
        (place / "django.mo").write_bytes(
            compiled({original: f"{text} {code}" for original, text in PAIRS.items()}, "<")
        )


def spoken(folder: Path, code: str, text: str) -> None:
    place = folder / dialogues.PLACE / "cellar"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"dialogs_{code}.lua").write_text(text, encoding="utf-8")


def test_a_package_without_messages_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs(tmp_path, ["de"])
    monkeypatch.setattr(languages.debian, "unpacked", lambda names: nullcontext(tmp_path))
    with pytest.raises(TrainingError, match=r"django was .* holds no messages in bg, cs, .* nothing was kept"):
        languages._fetched(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_package_without_dialogues_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs(tmp_path, {*languages.NAMES, "da"} - {"en"})
    spoken(tmp_path, "fr", CELLAR)
    monkeypatch.setattr(languages.debian, "unpacked", lambda names: nullcontext(tmp_path))
    with pytest.raises(TrainingError, match=r"data was .* holds no dialogues in bg, cs, .* nothing was kept"):
        languages._fetched(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_dialogues_and_messages_are_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs(tmp_path, {*languages.NAMES, "da"} - {"en"})
    for code in dialogues.CODES:
        spoken(tmp_path, code, CELLAR.replace("Quelle", f"Quelle {code}"))
    monkeypatch.setattr(languages.debian, "unpacked", lambda names: nullcontext(tmp_path))
    rows = languages._fetched(tmp_path / "root")
    assert {row.label for row in rows} == {*languages.NAMES, languages.UNKNOWN}
    assert ('Quelle sv porte "ouverte"?', "sv", "sv/cellar/door-m") in [row[:3] for row in rows]
    assert {row.label for row in rows if row.text.endswith(" da")} == {languages.UNKNOWN}
    monkeypatch.setattr(languages.debian, "unpacked", lambda names: nullcontext(None))
    assert languages._fetched(tmp_path / "root") == rows


CELLAR = r"""
dialogId("door-m", "font_small", "Which \"open\" door?")
dialogStr("Quelle porte  \"ouverte\"?")


dialogId("door-v", "font_big", "Over there.")

dialogStr("Là-bas.")

dialogId("no-translation", "font_big", "Nobody has translated this.")

dialogId("score", "font_big", "You have %1 of %2 points.")
dialogStr("Tu as %1 points de %2.")

dialogId("again-m", "font_small", "Over there!")
dialogStr("là-bas.")
"""


def test_dialogues_are_read_out_of_levels(tmp_path: Path) -> None:
    for code in ("en", "fr"):
        spoken(tmp_path, code, CELLAR)
    assert dialogues.of(tmp_path, "fr") == [
        ("Là-bas.", "cellar/door-v"),
        ('Quelle porte "ouverte"?', "cellar/door-m"),
    ]
    assert [text for text, _ in dialogues.of(tmp_path, "en")] == [
        "Nobody has translated this.",
        "Over there!",
        "Over there.",
        'Which "open" door?',
    ]
    assert dialogues.of(tmp_path, "sv") == []


def test_letters_lose_their_marks_and_cyrillic_ones_stay_letters() -> None:
    typed = {"Łódź, zażółć": "Lodz, zazolc", "ĉu vi ŝatas": "cu vi satas", "Straße": "Strasse", "мой ёж": "мой еж"}
    assert {text: languages.without_marks(text) for text in typed} == typed


def test_what_is_cut_is_some_words_in_a_row() -> None:
    random, text = np.random.default_rng(1), "one two three four five six seven eight"
    cuts = {languages._cut(text, random) for _ in range(500)}
    assert all(f" {cut} " in f" {text} " for cut in cuts)
    assert {len(cut.split()) for cut in cuts} == {1, 2, 3, 4, 5, 6}
    assert languages._cut("alone", random) == "alone" and languages._cut("?", random) == "?"


def test_everyday_sentences_are_there_for_each_language() -> None:
    rows = languages.everyday()
    counts = {label: sum(row.label == label for row in rows) for label in {row.label for row in rows}}
    assert set(counts) == {*languages.NAMES, languages.UNKNOWN}
    assert min(counts.values()) >= 150
    assert all(row.text == row.text.strip() and row.text for row in rows)
