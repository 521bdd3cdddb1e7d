"""A model as the gate hands it on to those that serve it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx as onnx_package

from shared.errors import AmaasError
from shared.ingest import guards, normalize, optimize, portable, probe
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx


@dataclass(frozen=True)
class Served:
    """model: for every processor. wide: with signed weights, for those that add up in 32 bits (VNNI); None where it is
    no other. done: what the gate did, in words.
    """

    model: bytes
    wide: bytes | None
    done: list[str]


def served(model: bytes, rewriting: bool = True) -> Served:
    """The gate's steps in the gate's order (shared/ingest/checks.py), without its comparison with a reference.

    rewriting: False leaves out what makes quantized graphs portable. A model that the gate would refuse comes back as
    it is before optimization.
    """
    parsed = onnx_package.load_from_string(model)
    done, _ = normalize.normalize(parsed)
    done += guards.guard(parsed)
    wide = None
    if rewriting:
        done += portable.keep_float_activations(parsed)
        signed = parsed.SerializeToString(deterministic=True)
        unsigned = portable.make_unsigned(parsed)
        wide = signed if unsigned else None
        done += unsigned
    source = parsed.SerializeToString(deterministic=True) if done else model
    limits = Limits()
    try:
        ran = probe.probe(onnx.load(source), limits)
        optimized, _ = optimize.optimize(source, *ran, limits) if ran else (None, {})
    except (AmaasError, Refused):
        return Served(source, wide, done)
    return Served(optimized, wide, [*done, "optimized"]) if optimized else Served(source, wide, done)
