"""A model as the gate hands it on to those that serve it."""

from __future__ import annotations

import importlib
import importlib.util

import onnx as onnx_package

from shared.errors import AmaasError
from shared.ingest import normalize, optimize, trial
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx

REWRITING = "shared.ingest.portable"


def served(model: bytes, rewriting: bool = True) -> tuple[bytes, list[str]]:
    """The bytes that are served, and what was done to the model, in words: the gate's steps in the gate's order.

    rewriting: False leaves out the step that makes quantised graphs portable. A model that the gate would refuse comes
    back as it was.
    """
    parsed = onnx_package.load_from_string(model)
    done, _ = normalize.normalize(parsed)
    if rewriting and importlib.util.find_spec(REWRITING):
        done += importlib.import_module(REWRITING).rewrite(parsed)
    source = parsed.SerializeToString(deterministic=True) if done else model
    limits = Limits()
    try:
        ran = trial.probe(onnx.load(source), limits)
        optimised, _ = optimize.optimize(source, *ran, limits) if ran else (None, {})
    except (AmaasError, Refused):
        return source, done
    return (optimised, [*done, "optimised"]) if optimised else (source, done)
