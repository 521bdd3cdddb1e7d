"""Reads texts with a class each: rows of a file, or a folder of .txt files per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.data import folders, records
from training.data.records import Records
from training.data.source import Item, Options, Report, Source, Split, every_class, objects, targets
from training.errors import TrainingError

TEXT, LABEL = "text", "label"  # columns, unless somebody says otherwise


def from_folder(root: Path, options: Options, report: Report) -> Source:
    """A folder of .txt files in UTF-8 per class. Raises TrainingError for an empty class, fewer than two classes."""
    labels, items = folders.items(root, "text", report)
    splits: dict[str, Split] = {}
    names: dict[str, list[str]] = {}
    for split, part in items.items():
        read = [(item, text) for item in part if (text := _decoded(item, report)) is not None]
        splits[split] = objects(text for _, text in read), targets(item.target for item, _ in read)
        names[split] = [item.name for item, _ in read]
    every_class(splits["train"][1], labels, "text", "folder")
    return Source("text", splits, labels, folders.about(root, "texts"), names)


def _decoded(item: Item, report: Report) -> str | None:
    try:
        return item.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        report.append({"item": item.name, "reason": "unreadable", "detail": str(error)[:200]})
        return None


def from_records(parts: dict[str, Records], path: Path, options: Options, report: Report) -> Source:
    """Rows with a text and a class: the columns `text` and `label`, or the only two, or as the options say."""
    text, target = columns(parts["train"], options)
    labels, rows = records.classes(parts, target, report)
    splits: dict[str, Split] = {}
    names: dict[str, list[str]] = {}
    for split, part in parts.items():
        indices, classes = rows[split]
        values = part.column(text) if text in part.columns else _lacks(text, part)
        good = [n for n, row in enumerate(indices) if _is_text(values[row], part.places[row], report)]
        splits[split] = objects(values[indices[n]] for n in good), classes[good]
        names[split] = [part.places[indices[n]] for n in good]
    every_class(splits["train"][1], labels, "text", "rows")
    about = {"name": path.resolve().stem, "licence": None, "source": f"{path.name}, columns {text} and {target}"}
    return Source("text", splits, labels, about, names)


def _is_text(value: Any, place: str, report: Report) -> bool:
    if isinstance(value, str):
        return True
    report.append({"item": place, "reason": "no text", "detail": repr(value)[:60]})
    return False


def columns(part: Records, options: Options) -> tuple[str, str]:
    """Which columns hold the text and the class. Raises TrainingError when that is ambiguous."""
    names = part.columns
    text, target = options.text, options.target
    if len(names) == 2:
        text = text or (names[1 - names.index(target)] if target in names else _longer(part))
        target = target or (names[1 - names.index(text)] if text in names else LABEL)
    text, target = text or TEXT, target or LABEL
    for name in (text, target):
        if name not in names:
            _lacks(name, part)
    if text == target:
        raise TrainingError(f"the column {text!r} cannot be both: give --text and --target")
    return text, target


def _lacks(name: str, part: Records) -> Any:
    raise TrainingError(f"there is no column {name!r}, but {part.columns[:20]}: give --text and --target")


def _longer(part: Records) -> str:
    """Of two columns: the one called text, else the one with the longer values."""
    return TEXT if TEXT in part.columns else max(part.columns, key=lambda name: length(part, name))


def length(part: Records, name: str) -> float:
    """Mean length of a column's texts, in characters; 0 where they are not all texts."""
    values = [value for value in part.column(name) if value is not None]
    if not values or not all(isinstance(value, str) for value in values):
        return 0.0
    return sum(map(len, values)) / len(values)
