"""A model as the service runs it: every session of training and compression is made here, by what serves.

Figures and golden sets that another session gave would be of another model: options and the graph's optimization
decide which kernels run, and so what they answer.
"""

from __future__ import annotations

import os

from shared.errors import AmaasError
from shared.ingest import graph, portable
from shared.ingest.verdict import Refused
from shared.runtime import onnx, processor
from shared.runtime.onnx import Session
from training.errors import TrainingError

LEVELS = ("off", "extended", "all")  # of the graph's optimization; the service takes the last


def form(model: bytes) -> bytes:
    """The form in which the gate has this processor serve the model: see shared/ingest/portable.py."""
    try:
        parsed = graph.parse(model)
    except Refused:  # ONNX Runtime says it better
        return model
    changed = portable.keep_float_activations(parsed)
    if not processor.sums_widely():
        changed += portable.make_unsigned(parsed)
    return bytes(parsed.SerializeToString(deterministic=True)) if changed else model


def served(model: bytes, *, threads: int = 0, optimize: str = "all") -> Session:
    """What the gate would put into service of these bytes. threads: 0 for as many as there are cores.

    Raises TrainingError when ONNX Runtime does not load the model.
    """
    try:
        return onnx.load(form(model), threads or os.cpu_count() or 1, optimize)
    except AmaasError as error:
        raise TrainingError(f"{error}: export the model again") from error
