"""A table's reference rows, against which the service explains a prediction.

All of them are made up, of what the model itself says of its columns, also where a conversion is proven with rows of
the user's: a package has no row of anybody's.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from amaas.convert import rows
from amaas.convert.columns import Columns, Table
from amaas.convert.original import Original

FILE = "reference.csv"


def write(folder: Path, original: Original, session: Any) -> Path | None:
    """The file, of rows that the graph answers with numbers; None where there are none. session: of the graph."""
    table = rows.typical(original)
    try:
        [answered] = session.run(None, original.columns.feeds(table))
    except Exception:  # of rows that only the user can give: ONNX Runtime has no type of its own for it
        return None
    finite = np.isfinite(np.asarray(answered, np.float64).reshape(len(answered), -1)).all(axis=1)
    table = rows.chosen(table, np.flatnonzero(finite))
    if not rows.size(table):
        return None
    _write(folder / FILE, original.columns, table)
    return folder / FILE


def _write(path: Path, columns: Columns, table: Table) -> None:
    """As the service reads it: commas and points, and quotes around all that is no number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        lines.writerow([column.name for column in columns.each])
        lines.writerows(zip(*(table[column.name].tolist() for column in columns.each), strict=True))
