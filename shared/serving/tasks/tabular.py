"""Rows in, labels and scores or values out. A package that declares no columns takes tensors, as the task tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shared import budget
from shared.groups import in_groups
from shared.serving import protocol
from shared.serving.inputs import tables
from shared.serving.inputs.request import Inputs, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.serving.tasks.base import Task
from shared.values.numbers import require_finite
from shared.values.table import Row

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions


class Tabular(Task):
    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        """The rows in a body: CSV with a header, or JSON with objects or lists."""
        return tables.read(loaded, body, content_type, query)

    def answer(self, loaded: Loaded, items: list[Row], options: Options) -> list[dict[str, Any]]:
        """For each row `{"predictions": […]}` if the model gives scores, and `{"value": …}` if it gives values."""
        numbers = outputs(loaded, items)
        if not _are_scores(loaded, numbers):
            return told(values(numbers))
        return [{"predictions": classification.best_labels(loaded, row, options)} for row in _scores(loaded, numbers)]

    def explain(self, loaded: Loaded, item: Row, options: ExplainOptions) -> dict[str, Any]:
        from shared.serving.explain import tables as by_columns

        return by_columns.explain(loaded, item, options, lambda rows: self.explained(loaded, rows))

    def explained(self, loaded: Loaded, items: list[Row]) -> np.ndarray:
        """The numbers that an explanation is of: scores [rows, classes], or values [rows, width]."""
        numbers = outputs(loaded, items)
        return _scores(loaded, numbers) if _are_scores(loaded, numbers) else values(numbers)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        """A single probability is that of the second of two classes."""
        counts = classification.classes(loaded, outputs, rows)
        return range(1, 3) if counts == range(1, 2) else counts


def outputs(loaded: Loaded, items: list[Row]) -> np.ndarray:
    """What the model answers for rows, [rows, width], in its own type."""
    name = classification.output(loaded)
    plan = tables.declared(loaded)
    size = batching.per_run(loaded, tables.row_bytes(plan))

    def compute(rows: list[Row]) -> np.ndarray:
        return batching.run(loaded, tables.feeds(loaded, rows, plan), [name])[name]

    answers = batching.gathered(in_groups(items, size), compute, f"the model's answer to {len(items):,} rows")
    return answers.reshape(len(items), -1)


def values(numbers: np.ndarray) -> np.ndarray:
    """What a model answers, where that are numbers. Raises NoNumber."""
    require_finite(numbers, "value")
    return numbers


def told(numbers: np.ndarray) -> list[dict[str, Any]]:
    """`{"value": …}` for each row of numbers [rows, width]: a number, or a list of several."""
    rows = protocol.nested(numbers)
    budget.keep(numbers.size * protocol.NESTED + len(rows) * classification.ENTRY, f"an answer of {len(rows):,} rows")
    return [{"value": row[0] if len(row) == 1 else row} for row in rows]


def _are_scores(loaded: Loaded, numbers: np.ndarray) -> bool:
    return numbers.dtype.kind == "f" and (numbers.shape[1] > 1 or len(loaded.manifest.labels) > 1)


def _scores(loaded: Loaded, numbers: np.ndarray) -> np.ndarray:
    """[rows, classes] in FP64."""
    budget.take(numbers.size * classification.WIDE, f"scores of {numbers.size:,} numbers")
    wide = numbers.astype(np.float64)
    if wide.shape[1] == 1:  # one probability, of the second of two classes
        require_finite(wide, "score")
        return np.concatenate([1 - wide, wide], axis=1)
    return classification.activated(wide, classification.declared(loaded).activation)


TASK = Tabular()
