"""Tables: columns by name, numbers scaled, categories one-hot, by the code that serves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import torch

from shared import budget
from shared.errors import BadInput
from shared.package.manifest import Tensor
from shared.package.table import Column, Table
from shared.serving import features
from shared.serving.inputs import tables
from shared.serving.loaded import Loaded
from shared.values import cells
from shared.values.numbers import EXACT
from training.errors import TrainingError
from training.kinds.kind import Inputs
from training.kinds.one_input import OneInput
from training.options import Augmentation, KindName, Preparation

FILE = "reference.csv"
ROWS = 50  # against which the service explains a prediction
CATEGORIES = 100  # of a column, the most frequent; the others count as unknown
TOLD = 20  # columns that the drift reference describes
AT_ONCE = 4096  # rows
SHIFT = 1e-3  # of a deviation, by which rounding may move a column


class Tables(OneInput):
    """Rows [N], each {column: value}, as features [N, width] float32.

    own_rows: whether rows of the data may be in the package.
    """

    name: KindName = "table"
    task = "tabular"

    def __init__(self, preprocess: dict[str, Any], files: dict[str, bytes], input_name: str = "features") -> None:
        self.preprocess, self.files, self.input_name = preprocess, files, input_name
        self.own_rows = False
        self.table = msgspec.convert({**preprocess, "kind": "table"}, Table)
        wide = [len(c.categories) if c.type == "category" and c.encode == "one-hot" else 1 for c in self.table.columns]
        self.shape = (sum(wide),)
        self.description = f"rows of {len(wide)} columns"
        tensor = Tensor(name=input_name, datatype="FP32", shape=[-1, *self.shape])
        self.loaded = cast(Loaded, SimpleNamespace(manifest=SimpleNamespace(inputs=[tensor]), parts={}))

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], preparation: Preparation) -> Tables:
        types = details.get("types", {})
        columns = [_column(name, [row[name] for row in values], types.get(name)) for name in details["columns"]]
        preprocess: dict[str, Any] = {"kind": "table", "columns": columns, **details.get("declared", {})}
        if preparation.reference == "none":
            return cls(preprocess, {})
        random = np.random.default_rng(preparation.seed)
        own_rows = preparation.reference == "training rows"
        rows = values[np.sort(random.permutation(len(values))[:ROWS])] if own_rows else made_up(values, columns, random)
        table = cls(preprocess | {"reference": FILE}, {FILE: _csv(rows, columns, preprocess.get("csv", {}))})
        table.own_rows = own_rows
        return table

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Tables:
        preprocess = manifest["preprocess"]
        if len(manifest["inputs"]) != 1:
            raise TrainingError("this package does not take all columns side by side in one input")
        if folder is None or not preprocess.get("reference"):
            return cls(
                {key: value for key, value in preprocess.items() if key != "reference"},
                {},
                manifest["inputs"][0]["name"],
            )
        return cls(
            preprocess,
            {preprocess["reference"]: (folder / preprocess["reference"]).read_bytes()},
            manifest["inputs"][0]["name"],
        )

    @property
    def reading(self) -> dict[str, Any]:
        return {}

    def mismatch(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        """By the columns' names and types: a column that is not there would count as gaps, and another be left out."""
        expected = {column.name: column.type for column in self.table.columns}
        actual = {name: details["types"].get(name) for name in details["columns"]}
        if strange := sorted(set(expected) ^ set(actual)):
            differences = ", ".join(f"{'no' if name in expected else 'besides'} {name}" for name in strange[:10])
            return f"rows with the columns {list(expected)[:20]}, these have {differences}: give the same columns"
        others = [name for name in expected if (expected[name] == "number") != (actual[name] == "number")]
        if others:
            differences = ", ".join(f"{name} as {expected[name]}" for name in others[:10])
            return f"{differences}, these have another type there: change the values"
        return None

    def encode(self, values: np.ndarray) -> Inputs:
        rows, at_once = list(values), budget.fitting(AT_ONCE, tables.row_bytes(self.table))
        parts = [rows[start : start + at_once] for start in range(0, max(len(rows), 1), at_once)]
        try:
            features = [tables.feeds(self.loaded, part, self.table)[self.input_name] for part in parts]
        except BadInput as error:
            raise TrainingError(f"the rows cannot be taken as the package declares them: {error}") from error
        return {self.input_name: torch.from_numpy(np.concatenate(features))}

    def disclosed(self, values: np.ndarray) -> np.ndarray:
        """Rows in the place of these, made of what the package says of its columns; these themselves by choice only."""
        if self.own_rows:
            return values
        random = np.random.default_rng(len(values))
        drawn = {column.name: _drawn(column, len(values), random) for column in self.table.columns}
        return np.array([{name: of[n] for name, of in drawn.items()} for n in range(len(values))], object)

    def augmented(
        self, encoded: Inputs, indices: torch.Tensor, generator: torch.Generator, augmentation: Augmentation
    ) -> Inputs:
        """With noise of so many deviations on every feature that is scaled."""
        features = self.inputs(encoded, indices)[self.input_name]
        if augmentation.noise:
            features = features + augmentation.noise * torch.randn(features.shape, generator=generator)
        return {self.input_name: features}

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        numbers = [column.name for column in self.table.columns if column.type == "number"][:TOLD]
        return features.of_rows(list(values), numbers)

    def categories(self, values: np.ndarray) -> dict[str, tuple[list[str], list[str | None]]]:
        columns = [column for column in self.table.columns if column.type == "category"][:TOLD]
        names = {column.name: features.Names(column.categories) for column in columns}
        of = features.of_categories(list(values), names)
        return {column: (one.all, of[column]) for column, one in names.items()}


def made_up(values: np.ndarray, columns: list[dict[str, Any]], random: np.random.Generator) -> np.ndarray:
    """ROWS rows, each cell drawn by itself: a number near a quantile of its column, a category by its frequency.

    So each column is as in the data, and no row is one of them. The outer twentieths of a column are not shown.
    """
    drawn = {}
    for column in columns:
        known = [row[column["name"]] for row in values if row[column["name"]] is not None]
        if column["type"] == "number":
            quantiles = np.quantile(np.array(known, np.float64), np.linspace(0.05, 0.95, ROWS))
            chosen_cells = [_rounded(float(value), 0.05 * column["std"], first=1) for value in quantiles]
        else:
            counts = Counter(map(_typed, known))
            frequencies = np.array([counts[_typed(name)] for name in column["categories"]], np.float64)
            chosen = random.choice(len(frequencies), ROWS, p=frequencies / frequencies.sum())
            chosen_cells = [column["categories"][n] for n in chosen]
        drawn[column["name"]] = [chosen_cells[n] for n in random.permutation(ROWS)]
    return np.array([{name: of[n] for name, of in drawn.items()} for n in range(ROWS)], object)


def _drawn(column: Column, count: int, random: np.random.Generator) -> list[Any]:
    """Values of a column as the package declares it: within two deviations of the mean, or any category."""
    if column.type != "number":
        known = column.categories or [""]
        return [known[n] for n in random.integers(0, len(known), count)]
    return [float(value) for value in column.mean + column.std * random.uniform(-2, 2, count)]


def _column(name: str, values: list[Any], kind: str | None) -> dict[str, Any]:
    """As amaas.json has it. Numbers: absent ones are the median. Categories: absent and unknown ones are all zeros."""
    known = [value for value in values if value is not None]
    if not known:
        raise TrainingError(f"the column {name!r} has no value in any training row: remove it")
    if kind == "number" or (kind is None and all(isinstance(value, int | float) for value in known)):
        numbers = np.array(known, np.float64)
        # of equal numbers, rounding alone may make a deviation of 1e-17
        std = float(f"{numbers.std():.6g}") if numbers.min() < numbers.max() else 1.0
        mean, median = (_rounded(float(value), SHIFT * std) for value in (numbers.mean(), np.median(numbers)))
        return {"name": name, "type": "number", "missing": median, "mean": mean, "std": std}
    categories = _categories(known)
    return {
        "name": name,
        "type": "category",
        "categories": categories,
        "encode": "one-hot",
        "missing": "",
        "unknown": -1,
    }


def _categories(known: list[Any]) -> list[str | int | float | bool]:
    """The most frequent values, as the service compares them: numbers as numbers, 2.0 is 2. In their order."""
    counts = Counter(map(_typed, known))
    values = {typed: _whole(value) for typed, value in zip(map(_typed, known), known, strict=True)}
    frequent = sorted(counts, key=lambda typed: (-counts[typed], cells.text(values[typed])))[:CATEGORIES]
    return [values[typed] for typed in sorted(frequent)]


def _typed(value: Any) -> tuple[int, Any]:
    """Equal where the service takes two values for one category; truth values before numbers before texts."""
    return 0 if isinstance(value, bool) else 2 if isinstance(value, str) else 1, value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def _rounded(value: float, most: float, first: int = 6) -> float:
    """To `first` digits, or as many more as keep the error within `most`: of a time in seconds, six are days."""
    rounded = (float(f"{value:.{digits}g}") for digits in range(first, 17))
    return next((one for one in rounded if abs(one - value) <= most), value)


def _csv(rows: np.ndarray, columns: list[dict[str, Any]], written: dict[str, str]) -> bytes:
    """As the package declares its files to be written."""
    delimiter, point = written.get("delimiter", ","), written.get("decimal", ".")
    lines = [[column["name"] for column in columns]]
    lines += [[_cell(row[column["name"]], column["type"], point) for column in columns] for row in rows]
    text = "".join(delimiter.join(_quoted(cell, delimiter, len(line)) for cell in line) + "\n" for line in lines)
    return text.encode()


def _quoted(cell: str, delimiter: str, columns: int) -> str:
    """Python's own writer leaves a CR as it is, which ends a line."""
    special = any(sign in cell for sign in (delimiter, '"', "\r", "\n")) or (not cell and columns == 1)
    return '"' + cell.replace('"', '""') + '"' if special else cell


def _cell(value: Any, kind: str, point: str) -> str:
    if value is None:
        return ""
    return cells.text(value).replace(".", point) if kind == "number" else cells.text(value)
