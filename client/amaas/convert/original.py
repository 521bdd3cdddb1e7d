"""A model of another library, as the conversion sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amaas.convert.columns import Columns, Table

TEXT = "text"  # the column of a model that takes a text alone


@dataclass
class Original:
    """name: its class. answer: rows → [N, width] in FP64: scores of classes, or values. graph: makes its ModelProto,
    with the columns' inputs, and one output. labels: of its classes; none of a regression. words: that its texts have.

    Both raise what the libraries raise.
    """

    name: str
    columns: Columns
    answer: Callable[[Table], np.ndarray]
    graph: Callable[[], Any]
    labels: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def of_a_text(self) -> bool:
        """Whether it tells classes of one text, and of nothing else."""
        return bool(self.labels) and [(one.name, one.kind) for one in self.columns.each] == [(TEXT, "text")]


def spelled(labels: Any) -> list[str]:
    """Classes as labels: 1.0 as the integer that it is."""
    return [str(int(one)) if isinstance(one, float) and one.is_integer() else str(one) for one in labels]


def both(scores: np.ndarray) -> np.ndarray:
    """[N, 2] of the probability of the second of two classes."""
    return np.stack([1 - scores, scores], axis=1)
