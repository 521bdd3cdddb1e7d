"""Rows in, numbers out: one per row, or several that are no scores of classes. Inputs as of the task tabular."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import classification
from shared.serving.tasks import tabular
from shared.values.table import Row


class TabularRegression(tabular.Tabular):
    def answer(self, loaded: Loaded, items: list[Row], options: Options) -> list[dict[str, Any]]:
        """`{"value": …}` for each row: a number, or a list of all that the model gives."""
        return tabular.told(tabular.values(tabular.outputs(loaded, items)))

    def explained(self, loaded: Loaded, items: list[Row]) -> np.ndarray:
        return tabular.values(tabular.outputs(loaded, items))

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        """Labels, if there are any, name the values."""
        width = outputs[classification.output(loaded)].size // rows
        return range(width, width + 1)


TASK = TabularRegression()
