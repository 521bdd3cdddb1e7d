"""A model as the service runs it: every session of training and compression is made here, by what serves.

Figures and golden sets that another session gave would be of another model: options and the graph's optimisation
decide which kernels run, and so what they answer.
"""

from __future__ import annotations

import os

from shared.errors import AmaasError
from shared.runtime import onnx
from shared.runtime.onnx import Session
from training.errors import TrainingError

LEVELS = ("off", "extended", "all")  # of the graph's optimisation; the service takes the last


def served(model: bytes, *, threads: int = 0, optimize: str = "all") -> Session:
    """What the gate would put into service of these bytes. threads: 0 for as many as there are cores.

    Raises TrainingError when ONNX Runtime does not load the model.
    """
    try:
        return onnx.load(model, threads or os.cpu_count() or 1, optimize)
    except AmaasError as error:
        raise TrainingError(f"{error}: export the model again") from error
