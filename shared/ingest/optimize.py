"""ONNX Runtime's portable optimisations, kept only when they are safe and worth it.

Safe: the same outputs on the probe's inputs, loaded as inference loads it, and only operators that the gate lets
through. Worth it: fewer nodes, or less to download. int8 models often fail that: their weights are folded to float.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.ingest import graph, portable, probe, scan
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx, samples

PASSES = 3  # a pass may open the way for another; then the result no longer changes
GROWTH, SLACK, GAIN = 1.10, 4096, 0.98  # slack: what ONNX Runtime notes in every file, and a small model feels
RTOL, ATOL = 1e-3, 1e-5


def optimize(
    source: bytes,
    feeds: probe.Feeds,
    expected: list[np.ndarray],
    limits: Limits,
    clock: Callable[[], float] = time.process_time,
    portable_form: bool = True,
) -> tuple[bytes | None, dict[str, Any]]:
    """The bytes to serve instead of the source, or None; and what was tried, for the verdict.

    portable_form: False for the form with signed weights, which not every processor may serve.
    """
    report: dict[str, Any] = {"level": "extended", "bytes_before": len(source), "kept": False}
    if clock() > limits.cpu / 3:
        return None, report | {"why": "the model is slow to load, and the time is needed for the check"}
    try:
        best, nodes = _rewrite(source)
        report |= {"nodes_before": _nodes(source), "nodes_after": nodes, "bytes_after": len(best)}
        why = _not_worth(report) or _unsafe(best, feeds, expected, limits, report)
        if not why and portable_form and (undone := portable.rewrite(graph.parse(best))):
            why = f"it would not be portable any more: {undone[0]}"
    except (MemoryError, onnx.OutOfMemory):
        why = "the memory of the check does not suffice for a second copy of a model of this size"
    except (AmaasError, Refused) as error:
        why = f"the optimised model does not pass: {error}"
    if why:
        return None, report | {"why": why}
    return best, report | {"kept": True, "why": "same outputs, fewer nodes or fewer bytes"}


def _rewrite(source: bytes) -> tuple[bytes, int]:
    best, nodes = source, _nodes(source)
    for _ in range(PASSES):
        candidate = onnx.rewrite(best)
        count = _nodes(candidate)
        if best is not source and count >= nodes:
            break
        best, nodes = candidate, count
        if len(best) > len(source) * GROWTH + SLACK:
            break
    return best, nodes


def _not_worth(report: dict[str, Any]) -> str | None:
    before, after = report["bytes_before"], report["bytes_after"]
    if after > before * GROWTH + SLACK:
        return f"it would grow from {before:,} to {after:,} bytes"
    if report["nodes_after"] >= report["nodes_before"] and after > before * GAIN:
        return "nothing to gain"
    return None


def _unsafe(
    best: bytes, feeds: probe.Feeds, expected: list[np.ndarray], limits: Limits, report: dict[str, Any]
) -> str | None:
    scan.check(graph.parse(best), {}, limits)
    actual = onnx.load(best).run(None, feeds)
    gaps = [samples.difference(old, new, RTOL, ATOL) for old, new in zip(expected, actual, strict=True)]
    report["max_abs"] = max((gap for gap, _ in gaps), default=0.0)
    return None if all(fine for _, fine in gaps) else "its outputs differ from the source's"


def _nodes(data: bytes) -> int:
    return sum(len(body.node) for body in graph.bodies(graph.parse(data)))
