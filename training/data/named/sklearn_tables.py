"""Small tables that come with scikit-learn: real data that needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.source import Report, Source, objects

# as scikit-learn's descriptions and the UCI repository, where it took them from, state them
LICENCE = "CC BY 4.0"
ABOUT = {
    "wine": {"name": "Wine", "copyright": "Aeberhard, Forina, 1991", "source": "UCI, doi.org/10.24432/C5PC7J"},
    "breast-cancer": {
        "name": "Breast Cancer Wisconsin (Diagnostic)",
        "copyright": "Wolberg, Mangasarian, Street, Street, 1995",
        "source": "UCI, doi.org/10.24432/C5DW2B",
    },
    "iris": {"name": "Iris", "copyright": "Fisher, 1936", "source": "UCI, doi.org/10.24432/C56C76"},
}


def source(name: str, root: Path, report: Report) -> Source:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name.replace('-', '_')}")()
    columns = [str(column) for column in bunch.feature_names]
    rows = objects(dict(zip(columns, row, strict=True)) for row in bunch.data.tolist())
    details = {"columns": columns, "types": dict.fromkeys(columns, "number"), "target": "class"}
    labels = [str(label) for label in bunch.target_names]
    about = {**ABOUT[name], "licence": LICENCE}
    return Source("table", {"train": (rows, bunch.target.astype(np.int64))}, labels, about, {}, details)
