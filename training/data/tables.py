"""Reads tables with a class in one column: numbers as floats, everything else as categories, gaps as None."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any, Literal

from training.data import records
from training.data.records import Records
from training.data.source import Options, Report, Source, Split, every_class, objects
from training.errors import TrainingError

Type = Literal["number", "category"]
GAPS = {"na", "n/a", "nan", "null", "?"}  # what stands for no value, beside nothing at all
MOSTLY = 0.95  # of a column's values are numbers: the others are mistakes, and not categories


def from_records(parts: dict[str, Records], path: Path, options: Options, report: Report) -> Source:
    """Rows, and their class in the column options.target, or the last one.

    A column is a number when all of its values are, and gaps. Where 95 % are, the rows with other values, and with
    infinite ones, go into the report, as do columns without a value. Types are found in the training split.
    """
    train = parts["train"]
    target = options.target or train.columns[-1]
    labels, rows = records.classes(parts, target, report)
    columns = _columns(train, target, report)
    types = {name: _type(train, name) for name in columns}
    splits: dict[str, Split] = {}
    names: dict[str, list[str]] = {}
    for split, part in parts.items():
        if lacking := [name for name in columns if name not in part.columns]:
            raise TrainingError(f"the {split} split lacks the columns {lacking[:10]}")
        indices, classes = rows[split]
        read = [_row(part.rows[row], types, part.places[row], report) for row in indices]
        good = [n for n, row in enumerate(read) if row is not None]
        splits[split] = objects(read[n] for n in good), classes[good]
        names[split] = [part.places[indices[n]] for n in good]
    every_class(splits["train"][1], labels, "table", "rows")
    about = {"name": path.resolve().stem, "licence": None, "source": f"{path.name}, target {target}"}
    return Source("table", splits, labels, about, names, {"columns": columns, "types": types, "target": target})


def _columns(train: Records, target: str, report: Report) -> list[str]:
    names = []
    for name in train.columns:
        if name == target:
            continue
        if all(_gap(value) for value in train.column(name)):
            report.append({"item": f"column {name}", "reason": "no value in any row"})
        else:
            names.append(name)
    if not names:
        raise TrainingError(f"there is no column beside the target {target!r} that has values: nothing to learn from")
    return names


def _gap(value: Any) -> bool:
    return records.missing(value) or (isinstance(value, str) and (not value.strip() or value.strip().lower() in GAPS))


def _type(train: Records, name: str) -> Type:
    values = [value for value in train.column(name) if not _gap(value)]
    numbers = sum(records.number(value) is not None for value in values)
    return "number" if numbers >= MOSTLY * len(values) else "category"


def _row(
    row: dict[str, Any], types: dict[str, Type], place: str, report: Report
) -> dict[str, float | str | None] | None:
    cells: dict[str, float | str | None] = {}
    for name, kind in types.items():
        value = row.get(name)
        if _gap(value):
            cells[name] = None
        elif kind == "category":
            cells[name] = _category(value, name)
        else:
            number = records.number(value)
            if number is None or math.isinf(number):
                report.append({"item": place, "reason": f"no number in {name}", "detail": repr(value)[:60]})
                return None
            cells[name] = number
    return cells


def _category(value: Any, name: str) -> str:
    """As serving compares it: a text, with truth values in lower case."""
    if isinstance(value, list | dict | bytes):
        raise TrainingError(f"the column {name!r} has values that are neither numbers nor texts: leave it out")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
