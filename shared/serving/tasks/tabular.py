"""Rows in, labels and scores or values out. A package that declares no columns takes tensors, as the task tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.package import processing
from shared.serving import protocol
from shared.serving.inputs import tables
from shared.serving.inputs.request import Given, Options, options, read
from shared.serving.inputs.tables import Row
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

TAKES = "table"
step = batching.per_run


def given(loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Given:
    """The rows in a body: CSV with a header, or JSON with objects or lists."""
    plan = tables.plan_of(loaded)
    assert plan is not None
    if content_type == "text/csv":
        rows = tables.from_csv(body, plan, tables.MAX_ROWS)
        if not rows:
            raise BadInput("the CSV has no rows: its first line names the columns, and one line for each row follows")
        return Given(rows, True, options(query))
    found = read(body, content_type, TAKES, query)
    return Given(tables.rows(found.items, plan), found.many, found.options)


def answer(loaded: Loaded, items: list[Row], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": […]}` where the model gives scores, and `{"value": …}` where it gives values, for each row."""
    plan = tables.plan_of(loaded)
    assert plan is not None
    rows, are_scores = outcomes(loaded, items, plan)
    if not are_scores:
        return [{"value": row[0] if len(row) == 1 else row} for row in protocol.nested(rows)]
    after, labels = classification.declared(loaded), loaded.manifest.labels
    return [{"predictions": classification.labelled(row, labels, after, options)} for row in rows]


def outcomes(loaded: Loaded, items: list[Row], plan: processing.Table) -> tuple[np.ndarray, bool]:
    """Scores [rows, classes] in FP64 and True, or values [rows, width] as the model gives them and False."""
    name = classification.output(loaded)
    size = batching.per_run(loaded)
    groups = [tables.feeds(loaded, items[start : start + size], plan) for start in range(0, len(items), size)]
    values = np.concatenate([batching.run(loaded, feeds, [name])[name] for feeds in groups]).reshape(len(items), -1)
    if values.dtype.kind != "f" or (values.shape[1] == 1 and len(loaded.manifest.labels) < 2):
        return values, False
    if values.shape[1] == 1:  # one probability, of the second of two classes
        return np.concatenate([1 - values, values], axis=1).astype(np.float64), True
    return classification.activated(values.astype(np.float64), classification.declared(loaded).activation), True
