"""What each column adds to a prediction: Shapley values by sampled permutations (Castro, Gómez and Tejada 2009).

A permutation starts at one of the package's reference rows and takes over the row's own values column by column; what
each step changes is that column's share. Each permutation is followed by its reverse, which lessens the chance in it.
The shares add up to the prediction less the mean of the reference rows that were drawn, exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.package import processing
from shared.serving.explain import Options, chosen, told
from shared.serving.inputs import tables
from shared.serving.inputs.tables import Row
from shared.serving.loaded import Loaded
from shared.serving.tasks import tabular

SAMPLES = 64
MOST_ROWS = 200_000


def explain(loaded: Loaded, body: bytes, content_type: str, options: Options) -> dict[str, Any]:
    plan = tables.plan_of(loaded)
    given = tabular.given(loaded, body, content_type, {})
    if plan is None or len(given.items) != 1:
        raise BadInput("one row is explained at a time")
    if plan.reference is None:
        raise BadInput("the package names no reference rows (preprocess.reference), against which a row is explained")
    reference = loaded.part(plan.reference, lambda raw: tables.from_csv(raw, plan))
    if not reference:
        raise BadInput(f"the package's reference rows in {plan.reference} are none: push it with some")
    [row] = given.items
    own = _scores(loaded, [row], plan)[0]
    index = chosen(loaded, own, options)
    names = [column.name for column in plan.columns]
    shares, base = shapley(loaded, row, reference, index, options, plan)
    return told(loaded, own, index, "shapley") | {
        "base": round(base, 6),
        "attributions": [
            {"column": name, "value": row.get(name), "attribution": round(float(share), 6)}
            for name, share in zip(names, shares, strict=True)
        ],
    }


def shapley(
    loaded: Loaded, row: Row, reference: list[Row], index: int, options: Options, plan: processing.Table
) -> tuple[np.ndarray, float]:
    """Each column's share [columns], and the mean prediction of the reference rows that were drawn."""
    names = [column.name for column in plan.columns]
    samples = options.samples or SAMPLES
    if samples * (len(names) + 1) > MOST_ROWS:
        raise BadInput(f"{samples} samples of {len(names)} columns are more than {MOST_ROWS:,} rows: ask for fewer")
    random = np.random.default_rng(options.seed)
    shares, base = np.zeros(len(names)), 0.0
    order = np.arange(len(names))
    for number in range(samples):
        order = order[::-1] if number % 2 else random.permutation(len(names))
        start = reference[int(random.integers(len(reference)))]
        values = _scores(loaded, _path(row, start, [names[i] for i in order]), plan)[:, index]
        shares[order] += np.diff(values)
        base += values[0]
    return shares / samples, float(base / samples)


def _path(row: Row, start: Row, names: list[str]) -> list[Row]:
    """From a reference row to the row, one column after the other."""
    steps = [dict(start)]
    for name in names:
        steps.append({**steps[-1], name: row.get(name)})
    return steps


def _scores(loaded: Loaded, rows: list[Row], plan: processing.Table) -> np.ndarray:
    """The scores of classes [rows, classes], or the values [rows, width]."""
    return tabular.outcomes(loaded, rows, plan)[0]
