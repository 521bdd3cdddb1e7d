"""Reads tables with a class in one column: numbers as floats, everything else as categories, gaps as None.

A cell is what it is to those who serve (shared/values/cells): what they could not know, the package declares.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

from shared.values import cells
from shared.values.csvfile import COMMAS
from shared.values.plain import plain
from training.data import records
from training.data.records import Records
from training.data.source import KEPT, Options, Report, Source, Split, every_class, objects
from training.errors import TrainingError

Type = Literal["number", "category"]
Cell = float | str | bool | None
GAPS = {"na", "n/a", "nan", "null", "?"}  # what stands for no value, beside nothing at all
MOST_WORDS, LONGEST_WORD, LONGEST_NAME = 100, 50, 200  # that a package may declare: shared/package/table.py
MOST_COLUMNS = 10_000  # as well
MOSTLY = 0.95  # of a column's values are numbers: the others are mistakes, and not categories


def from_records(parts: dict[str, Records], path: Path, options: Options, report: Report) -> Source:
    """Rows, and their class in the column options.target, or the last one.

    A column is a number when all of its values are, and gaps. Where 95 % are, the rows with other values, and with
    infinite ones, go into the report, as do columns without a value. Types are found in the training split.
    """
    train = parts["train"]
    target = options.target or train.columns[-1]
    labels, rows = records.classes(parts, target, report)
    gaps = _gaps(parts, target)
    words = frozenset(gaps)
    columns = _columns(train, target, words, report)
    types = {name: _type(train, name, words, report) for name in columns}
    splits: dict[str, Split] = {}
    names: dict[str, list[str]] = {}
    for split, part in parts.items():
        if lacking := [name for name in columns if name not in part.columns]:
            raise TrainingError(f"the {split} split lacks the columns {lacking[:10]}")
        indices, classes = rows[split]
        read = [_row(part, row, types, words, report) for row in indices]
        good = [n for n, row in enumerate(read) if row is not None]
        splits[split] = objects(read[n] for n in good), classes[good]
        names[split] = [part.places[indices[n]] for n in good]
    every_class(splits["train"][1], labels, "table", "rows")
    about = {"name": path.resolve().stem, "licence": None, "source": f"{path.name}, target {target}"}
    details = {"columns": columns, "types": types, "target": target}
    details["declared"] = _declared(train, target, gaps) | _ignored(parts, target, columns)
    return Source("table", splits, labels, about, names, details)


def _declared(train: Records, target: str, gaps: list[str]) -> dict[str, Any]:
    """What the package says, so that who serves it reads these files as they were read here."""
    declared: dict[str, Any] = {"target": target} if 0 < len(target) <= LONGEST_NAME else {}
    written = {name: value for name, value in train.dialect._asdict().items() if value != getattr(COMMAS, name)}
    return declared | ({"gaps": gaps} if gaps else {}) | ({"csv": written} if written else {})


def _ignored(parts: dict[str, Records], target: str, columns: list[str]) -> dict[str, Any]:
    """Columns of the files that are not the model's: whoever sends such a file need not take them out."""
    there = dict.fromkeys(name for part in parts.values() for name in [*part.unread, *part.columns])
    ignored = [name for name in there if name not in {*columns, target} and len(name) <= LONGEST_NAME]
    return {"ignored": ignored[:MOST_COLUMNS]} if ignored else {}


def _gaps(parts: dict[str, Records], target: str) -> list[str]:
    """Words that stand for no value, as they are written in these data, the most frequent first."""
    found = Counter(
        value
        for part in parts.values()
        for name in part.columns
        if name != target
        for value in part.column(name)
        if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD and _is_word(value)
    )
    return sorted([word for word, _ in found.most_common(MOST_WORDS)])


def _is_word(value: str) -> bool:
    return not (plain := value.strip()) or plain.lower() in GAPS


def _columns(train: Records, target: str, gaps: Collection[str], report: Report) -> list[str]:
    names = []
    for name in train.columns:
        if name == target:
            continue
        if all(cells.is_gap(value, gaps) for value in train.column(name)):
            report.append({"item": f"column {name}", "reason": "no value in any row"})
        else:
            names.append(name)
    if not names:
        raise TrainingError(f"there is no column beside the target {target!r} that has values: nothing to learn from")
    return names


def _type(train: Records, name: str, gaps: Collection[str], report: Report) -> Type:
    values = [plain(value) for value in train.column(name) if not cells.is_gap(value, gaps)]
    delimiter, decimal = train.dialect
    if _mostly(values, lambda value: records.number(value, decimal) is not None or records.infinite(value)):
        return "number"
    if decimal == "." and delimiter != "," and _mostly(values, _has_comma):
        detail = {"reason": "taken for categories", "detail": "if these are numbers, give --decimal ,"}
        report.append({"item": f"column {name}", **detail} | KEPT)
    return "category"


def _mostly(values: list[Any], fits: Callable[[Any], bool]) -> bool:
    return sum(map(fits, values)) >= MOSTLY * len(values)


def _has_comma(value: Any) -> bool:
    return isinstance(value, str) and "," in value and records.number(value, ",") is not None


def _row(
    part: Records, index: int, types: dict[str, Type], gaps: Collection[str], report: Report
) -> dict[str, Cell] | None:
    row: dict[str, Cell] = {}
    for name, kind in types.items():
        value = part.rows[index].get(name)
        if cells.is_gap(value, gaps):
            row[name] = None
            continue
        value = plain(value)
        cell = _category(value, name) if kind == "category" else records.number(value, part.dialect.decimal)
        if cell is None:
            detail = {"reason": f"no number in {name}", "detail": repr(value)[:60]}
            report.append({"item": part.places[index], **detail})
            return None
        row[name] = cell
    return row


def _category(value: Any, name: str) -> Cell:
    """As serving compares it: numbers as numbers, text as text. None of what is beyond all numbers."""
    if isinstance(value, list | dict | bytes):
        raise TrainingError(f"the column {name!r} has values that are neither numbers nor texts: leave it out")
    if isinstance(value, str | int | float):
        return None if isinstance(value, float) and math.isinf(value) else value
    return str(value)
