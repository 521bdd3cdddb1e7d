"""What each column adds to a prediction: Shapley values by sampled permutations (Castro, Gómez and Tejada 2009).

A permutation starts at one of the package's reference rows and takes over the row's own values column by column; what
each step changes is that column's share. Each permutation is followed by its reverse, which lessens the chance in it.
The shares add up to the prediction less the mean of the reference rows that were drawn, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.groups import in_groups
from shared.serving.explain import Options, class_index, heading
from shared.serving.inputs import tables
from shared.serving.loaded import Loaded
from shared.values.table import Row

# rows → their predictions: scores or values [rows, width], or one of those for each row
Predict = Callable[[list[Row]], np.ndarray]
SAMPLES = 64
MOST_ROWS = 200_000
AT_ONCE = 64  # rows of a permutation: all of them would be the square of the columns


def explain(loaded: Loaded, row: Row, options: Options, predict: Predict) -> dict[str, Any]:
    """Raises BadInput."""
    plan = tables.declared(loaded)
    reference = tables.reference(loaded)
    prediction = predict([row])[0]
    index = class_index(loaded, prediction, options)
    names = [column.name for column in plan.columns]
    shares, base = shapley(row, reference, names, options, lambda rows: predict(rows)[:, index])
    return heading(loaded, prediction, index, "shapley") | {
        "base": round(base, 6),
        "attributions": [
            {"column": name, "value": row.get(name), "attribution": round(float(share), 6)}
            for name, share in zip(names, shares, strict=True)
        ],
    }


def shapley(
    row: Row, reference: list[Row], names: list[str], options: Options, predict: Predict
) -> tuple[np.ndarray, float]:
    """Each column's share [columns], and the mean prediction of the reference rows that were drawn.

    predict: one number for each of some rows.
    """
    samples = options.samples or SAMPLES
    if samples * (len(names) + 1) > MOST_ROWS:
        raise BadInput(f"{samples} samples of {len(names)} columns are more than {MOST_ROWS:,} rows: ask for fewer")
    random = np.random.default_rng(options.seed)
    shares, base = np.zeros(len(names)), 0.0
    order = np.arange(len(names))
    for number in range(samples):
        order = order[::-1] if number % 2 else random.permutation(len(names))
        start = reference[int(random.integers(len(reference)))]
        path = _path(row, start, [names[i] for i in order])
        values = np.concatenate([predict(group) for group in in_groups(path, AT_ONCE)])
        shares[order] += np.diff(values)
        base += values[0]
    return shares / samples, float(base / samples)


def _path(row: Row, start: Row, names: list[str]) -> Iterator[Row]:
    """From a reference row to the row, one column after the other."""
    step = dict(start)
    yield step
    for name in names:
        budget.check_time("the row was explained")
        step = {**step, name: row.get(name)}
        yield step
