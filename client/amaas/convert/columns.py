"""The columns that a model takes: what amaas.json says of them, and rows as a graph takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Json = dict[str, Any]
# values by column, an array of each: numbers as FP64 (NaN: a gap), all else as objects; of an unknown category: None
Table = dict[str, np.ndarray]
VECTOR = "x"  # the graph's one input, where all columns are numbers
NONE_OF_THEM = "(none of these)"  # what a category that the model has never seen is in the graph


@dataclass
class Column:
    """categories: in the order of their codes; of a column of categories only. unknown: whether others are answered.

    filler: of a column that is no number, what stands for a gap, as an imputer has it; its graph has no imputer.
    gap: whether the model answers rows that lack it. low, high: between which its training's values were, about; the
    same where the model does not say. booleans: whether they may have been true and false, as no model keeps more of
    them than 1 and 0; only_booleans: whether it knows that they were nothing but these.
    """

    name: str
    kind: str = "number"  # or category, text
    categories: list[Any] = field(default_factory=list)
    unknown: bool = False
    filler: Any = None
    gap: bool = False
    low: float = 0.0
    high: float = 0.0
    booleans: bool = False
    only_booleans: bool = False

    @property
    def is_number(self) -> bool:
        return self.kind == "number"


@dataclass(frozen=True)
class Columns:
    """All of a model. in_graph: of each column, the graph's input is of its own; else one takes all, side by side.

    ignored: names of others that its table had, and the model leaves out.
    """

    each: list[Column]
    in_graph: bool = False
    ignored: tuple[str, ...] = ()

    def described(self) -> list[Json]:
        """`columns` of amaas.json."""
        return [self._described(column) for column in self.each]

    def _described(self, column: Column) -> Json:
        said: Json = {"name": column.name}
        if self.in_graph:
            said["input"] = self.input_of(column)
        if not column.is_number:
            said["type"] = column.kind
        if column.kind == "category":
            said["categories"] = column.categories
            said |= {"unknown": self.unknown_code(column)} if column.unknown else {}
        said |= {"booleans": True} if column.booleans and column.is_number else {}
        missing = "nan" if column.gap else column.filler if not column.is_number else None
        return said if missing is None else said | {"missing": missing}

    def input_of(self, column: Column) -> str:
        """The graph's input of a column."""
        if not self.in_graph:
            return VECTOR
        return f"{column.name}_code" if column.kind == "category" else column.name

    def unknown_code(self, column: Column) -> int:
        """Behind the categories, in a graph that makes them of codes; -1 of models that take the codes themselves."""
        return len(column.categories) if self.in_graph else -1

    def feeds(self, table: Table) -> dict[str, np.ndarray]:
        """The graph's inputs: [N, columns] in FP32, or [N, 1] for each column."""
        if not self.in_graph:
            return {VECTOR: np.stack([self.numbers(column, table) for column in self.each], axis=1).astype(np.float32)}
        fed = dict[str, np.ndarray]()
        for column in self.each:
            values = table[column.name] if column.kind == "text" else self.numbers(column, table)
            datatype = {"number": np.float32, "category": np.int64, "text": np.object_}[column.kind]
            fed[self.input_of(column)] = values.astype(datatype)[:, None]
        return fed

    def numbers(self, column: Column, table: Table) -> np.ndarray:
        """[N] in FP64: a column's numbers, or the codes of its categories."""
        values = table[column.name]
        if column.is_number:
            return values.astype(np.float64)
        codes = {value: code for code, value in enumerate(column.categories)}
        return np.array([codes.get(value, self.unknown_code(column)) for value in values], np.float64)


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers in FP64 that FP32 has exactly: a graph takes those."""
    return values.astype(np.float32).astype(np.float64)
