"""Walks a folder with one folder of files per class. What is in the files is not looked at here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.data.source import Item, Report, check_utf8, printable
from training.errors import TrainingError
from training.options import KindName

SUFFIXES: dict[KindName, frozenset[str]] = {
    "image": frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".jp2")),
    "audio": frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3")),
    "text": frozenset((".txt",)),
}
WHAT: dict[KindName, str] = {"image": "an image file", "audio": "a sound file", "text": "a .txt file"}


def about(root: Path, what: str) -> dict[str, Any]:
    return {"name": root.resolve().name, "licence": None, "source": f"a folder of {what}"}


def items(root: Path, kind: KindName, report: Report) -> tuple[list[str], dict[str, list[Item]]]:
    """The classes' names, and the files of each split, named "class/file" in the report.

    A root with nothing but the folders `train` and `test`, and folders in them, has its own test split; its files are
    named "train/class/file". Hidden files are passed over, files of another kind go into the report.
    Raises TrainingError for fewer than two classes, and for one whose name is not UTF-8.
    """
    parts = _parts(root)
    labels = _folders(parts["train"])
    if len(labels) < 2:
        raise TrainingError(f"{root} has {len(labels)} class folders: a classifier needs at least two")
    for label in labels:
        check_utf8(parts["train"] / label, "class folder")
    if "test" in parts and (strange := [name for name in _folders(parts["test"]) if name not in labels]):
        raise TrainingError(f"{parts['test']} has the classes {strange[:10]}, which {parts['train']} lacks")
    return labels, {split: _items(part, root, labels, kind, report) for split, part in parts.items()}


def kind_of(root: Path) -> KindName | None:
    """The kind that most of the files in the class folders have; None where there are none of any kind."""
    files = (
        path
        for part in _parts(root).values()
        for folder in _visible(part)
        if folder.is_dir()
        for path in _visible(folder)
    )
    counts = Counter(kind for path in files for kind, suffixes in SUFFIXES.items() if path.suffix.lower() in suffixes)
    return counts.most_common(1)[0][0] if counts else None


def _parts(root: Path) -> dict[str, Path]:
    names = _folders(root)
    if names == ["test", "train"] and all(_folders(root / name) for name in names):
        return {name: root / name for name in ("train", "test")}
    return {"train": root}


def _items(part: Path, root: Path, labels: list[str], kind: KindName, report: Report) -> list[Item]:
    counts = []
    for target, label in enumerate(labels):
        for path in _visible(part / label) if (part / label).is_dir() else ():
            name = printable(path.relative_to(root).as_posix())
            if path.suffix.lower() in SUFFIXES[kind]:
                counts.append(Item(name, target, path))
            else:
                report.append({"item": name, "reason": f"not {WHAT[kind]}"})
    return counts


def _folders(root: Path) -> list[str]:
    return [path.name for path in _visible(root) if path.is_dir()]


def _visible(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
