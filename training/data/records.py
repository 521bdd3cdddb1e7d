"""Reads CSV, JSONL and Parquet into rows, and their target column into classes. What else they mean is not in here."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shared.values import cells, csvfile
from shared.values.csvfile import Dialect
from training.data import csv_lines
from training.data.source import KEPT, Report, check_utf8, targets
from training.errors import TrainingError

SUFFIXES = {*csv_lines.SUFFIXES, ".jsonl", ".ndjson", ".parquet"}
FEW = 20  # as many different numbers may be classes, even when they have fractions
MANY = 1000  # classes
EXACT = 2**53  # floats from here on are no longer all of the whole numbers
WHOLE = re.compile(r"[+-]?(\d+\.0+|\d(\.\d+)?e\+\d+)")  # as data frames write whole numbers that became floats


@dataclass
class Records:
    """rows: by column. places: what the report calls each. classes: names of a column's numbers, if it has any.

    dialect: of the first CSV file. unread: names of columns that were not read; "" where one has none.
    """

    columns: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    dialect: Dialect = csvfile.COMMAS
    unread: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]

    def aside(self, name: str, report: Report) -> dict[str, str]:
        """Take a column out: its groups by place. A row without one is a group of its own, and reported.

        Raises TrainingError for a column that is not there, or whose numbers were rounded.
        """
        if name not in self.columns:
            raise TrainingError(f"there is no column {name!r} for the groups, but {self.columns[:20]}: give --group")
        self.columns = [column for column in self.columns if column != name]
        self.unread.append(name)
        groups = {place: _group(value, name) for place, value in zip(self.places, self.column(name), strict=True)}
        alone = {"reason": "without a group, alone"} | KEPT
        report += [{"item": place, **alone} for place, group in groups.items() if group is None]
        return {place: place if group is None else group for place, group in groups.items()}


def _group(value: Any, name: str) -> str | None:
    """A group by one name, whatever its file made of it: a column of whole numbers with a gap is one of floats."""
    if missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and abs(value) > EXACT:
        raise TrainingError(
            f"the column {name!r} of the groups has {value!r}, a float, which is rounded: save it as whole numbers or "
            "as texts"
        )
    if isinstance(value, float | Decimal) and value == (whole := int(value)):
        return str(whole)
    return str(value).strip()


def files(path: Path) -> dict[str, list[Path]]:
    """The files of each split: in a folder, those whose names begin with `test` are of the test split."""
    if path.is_file():
        return {"train": [path]} if path.suffix.lower() in SUFFIXES else {}
    paths = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    parts = {
        split: [file for file in paths if file.name.lower().startswith("test") == (split == "test")]
        for split in ("train", "test")
    }
    return {split: part for split, part in parts.items() if part}


def read(path: Path, report: Report, delimiter: str | None = None, decimal: str | None = None) -> dict[str, Records]:
    """The rows of a file, or of a folder of files. Rows that cannot be read go into the report.

    delimiter, decimal: of CSV files, as csvfile.declared takes them; without, the delimiter is what their names have.
    Raises TrainingError for a file of no such kind, another encoding than UTF-8, no rows, more bad rows than good ones.
    """
    splits = files(path)
    if "train" not in splits:
        raise TrainingError(
            f"{path} holds no data to train on: use a folder with a folder of files per class, "
            f"or {', '.join(sorted(SUFFIXES))} files"
        )
    every = [file for part in splits.values() for file in part]
    for file in every:
        check_utf8(file, "file")
    csv_lines.require(every, delimiter, decimal)
    said = partial(_read, report=report, delimiter=delimiter, decimal=decimal)
    return {split: _joined([said(file) for file in part], part[0]) for split, part in splits.items()}


def _joined(parts: list[Records], file: Path) -> Records:
    joined = Records(list(dict.fromkeys(name for part in parts for name in part.columns)))
    for part in parts:
        joined.rows += part.rows
        joined.places += part.places
        joined.classes |= part.classes
        joined.unread += part.unread
    joined.dialect = next((part.dialect for part in parts if part.dialect != csvfile.COMMAS), csvfile.COMMAS)
    if not joined.rows:
        raise TrainingError(f"{file} has no rows that can be read: nothing can be learned from it")
    return joined


def _read(file: Path, report: Report, delimiter: str | None, decimal: str | None) -> Records:
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return _parquet(file)
    text = _text(file)
    before = len(report)
    if suffix in csv_lines.SUFFIXES:
        records = _csv(text, file, report, delimiter, decimal)
    else:
        records = _jsonl(text, file, report)
    if (bad := len(report) - before) > len(records.rows):
        raise TrainingError(f"{file}: {bad} rows cannot be read, as {report[before]}, and {len(records.rows)} can")
    return records


def _text(file: Path) -> str:
    body = file.read_bytes()
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        other = "UTF-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise TrainingError(f"{file} is not UTF-8 but {other} (at byte {error.start}): save it as UTF-8") from error


def _csv(text: str, file: Path, report: Report, delimiter: str | None, decimal: str | None) -> Records:
    header, dialect, lines = csv_lines.read(file, text.encode(), delimiter, decimal)
    records = Records(_named(header, file, report), dialect=dialect, unread=[""] if "" in header else [])
    for number, line in lines:
        place = f"{file.name}:{number}"
        if isinstance(line, list) and len(line) == len(header):
            records.rows.append({name: value for name, value in zip(header, line, strict=True) if name})
            records.places.append(place)
        else:
            detail = line if isinstance(line, str) else f"{len(line)} values, the first line names {len(header)}"
            report.append({"item": place, "reason": "unreadable", "detail": detail})
    return records


def _named(header: list[str], file: Path, report: Report) -> list[str]:
    if "" in header:  # the index that a data frame is saved with
        report.append({"item": f"{file.name}: column {header.index('') + 1}", "reason": "a column without a name"})
    return [name for name in header if name]


def _jsonl(text: str, file: Path, report: Report) -> Records:
    columns: dict[str, None] = {}
    records = Records([])
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file.name}:{number}"
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"an object is expected, not {line.strip()[:40]}")
            if "\\u" in line:
                json.dumps(
                    row, ensure_ascii=False
                ).encode()  # half of a character, as the first of a pair alone, is no text
        except (ValueError, RecursionError) as error:
            report.append({"item": place, "reason": "unreadable", "detail": str(error)[:200]})
            continue
        columns |= dict.fromkeys(row)
        records.rows.append(row)
        records.places.append(place)
    records.columns = list(columns)
    return records


def _parquet(file: Path) -> Records:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(file, partitioning=None)
    except (pyarrow.ArrowException, OSError) as error:
        raise TrainingError(f"{file} is not a Parquet file that can be read: {str(error)[:200]}") from error
    places = [f"{file.name}:{number}" for number in range(table.num_rows)]
    return Records(table.column_names, table.to_pylist(), places, _class_names(table.schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """What Hugging Face's `datasets` notes of a ClassLabel: the names of the numbers in its column."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: list(map(str, feature["names"])) for name, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def classes(
    parts: dict[str, Records], name: str, report: Report
) -> tuple[list[str], dict[str, tuple[list[int], np.ndarray]]]:
    """The classes' names, and for each split the rows that have one, with their targets [N] int64.

    Numbers are sorted as numbers. Rows without a class go into the report. Raises TrainingError for a missing column,
    one class only, values of mixed types, and numbers that are measured rather than counted.
    """
    labeled = {split: _labeled(part, name, report) for split, part in parts.items()}
    used = {split: [label for _, label in part] for split, part in labeled.items()}
    labels = parts["train"].classes.get(name) or _sorted(set(used["train"]), name, len(used["train"]))
    order = {label: target for target, label in enumerate(labels)}
    if strange := sorted(set(used.get("test", [])) - set(labels))[:10]:
        raise TrainingError(f"the test split has {strange} in the column {name!r}, which the training split lacks")
    rows = {split: [row for row, _ in part] for split, part in labeled.items()}
    return labels, {split: (rows[split], targets(order[label] for label in used[split])) for split in labeled}


def _labeled(part: Records, name: str, report: Report) -> list[tuple[int, str]]:
    if name not in part.columns:
        raise TrainingError(f"there is no column {name!r} for the classes, but {part.columns[:20]}: give --target")
    labeled = []
    kinds = set()
    for row, value in enumerate(part.column(name)):
        label = _label(value, part.classes.get(name))
        if label is None:
            report.append({"item": part.places[row], "reason": "no class"})
            continue
        kinds.add("number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "other")
        labeled.append((row, label))
    if len(kinds) > 1 or "other" in kinds:
        raise TrainingError(f"the column {name!r} has values of mixed types, or such as name no class: make them texts")
    return labeled


def _label(value: Any, names: list[str] | None) -> str | None:
    if missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    if names:
        return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _sorted(labels: set[str], name: str, rows: int) -> list[str]:
    if len(labels) < 2:
        raise TrainingError(f"the column {name!r} has {len(labels)} classes: a classifier needs at least two")
    numbers = {label: value for label in labels if (value := number(label)) is not None}
    if len(numbers) < len(labels):
        ordered = sorted(labels)
    else:
        whole = all(value.is_integer() for value in numbers.values())
        if len(labels) > FEW and not (whole and len(labels) <= rows / 10):
            raise TrainingError(
                f"the column {name!r} has {len(labels)} different numbers: classes are learned here, no quantities. "
                "Give another --target, or cut it into ranges"
            )
        ordered = sorted(labels, key=numbers.__getitem__)
    if len(labels) > max(min(MANY, rows / 2), 2):
        raise TrainingError(
            f"the column {name!r} has {len(labels)} classes in {rows} rows: give the column of the classes as --target"
        )
    return ordered


def number(value: Any, decimal: str = ".") -> float | None:
    """A number, or a text that is one to those who serve, too; None for anything else. decimal: in text."""
    try:
        return float(cells.number(value, decimal))
    except (ValueError, OverflowError):
        return None


def infinite(value: Any) -> bool:
    """Whether a value stands for infinity, or for a number beyond all."""
    try:
        return isinstance(value, str | int | float) and math.isinf(float(value))
    except ValueError:
        return False
    except OverflowError:
        return True
