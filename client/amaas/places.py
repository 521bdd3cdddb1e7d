"""Files and folders that options name: a training or a search may run in another folder, or in a container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

NAMED = ("teacher", "pretrained", "calibration", "root", "data")  # options whose value may be a path
Found = tuple[int, str, str, str]


def of(words: Sequence[str]) -> Iterator[Found]:
    """Each word that holds a value of such an option: its place, the option, what is before the value, the value."""
    option = None
    for place, word in enumerate(words):
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            option = name if name in NAMED else None
            if option and equals:
                yield place, option, f"--{name}=", value
        elif option:
            yield place, option, "", word


def absolute(text: str) -> str:
    """A file's or folder's absolute path; what is none, as a data set's name, stays."""
    return str(Path(text).resolve()) if text and Path(text).exists() else text


def placed(words: Sequence[str]) -> list[str]:
    """The words, with absolute paths."""
    made = list(words)
    for place, _, before, value in of(words):
        made[place] = before + absolute(value)
    return made
