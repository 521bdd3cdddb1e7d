"""The bundled text model's data: messages of a package's catalogs, everyday sentences, and what is cut of them."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from training.data.named import fortunes, languages, messages
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
    with pytest.raises(TrainingError, match=r"could not be fetched: that needs apt-get.*python3-django"):
        languages.source(root, [])
    assert not (root / "languages").exists()


def test_a_package_without_messages_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / messages.PLACE / "conf" / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(compiled(PAIRS, "<"))
    monkeypatch.setattr(languages.debian, "unpacked", lambda names: nullcontext(tmp_path))
    with pytest.raises(TrainingError, match=r"holds no messages in bg, eo, .* so nothing was kept"):
        languages._messages(tmp_path / "root")
    assert not (tmp_path / "root").exists()


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
    assert set(counts) == {*fortunes.LANGUAGES, languages.UNKNOWN}
    assert min(counts.values()) >= 150
    assert all(row.text == row.text.strip() and row.text for row in rows)
