"""ONNX Runtime's portable optimizations, kept only if they are safe and worth it.

Safe: the same outputs on the inputs of the probe run, loaded as inference loads it, and only operators that are
served. Worth it: fewer nodes, or fewer bytes. int8 models often fail that: their weights are folded to float.
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

MAX_PASSES = 3  # one pass may enable another; after that, the result no longer changes
# Bytes after / bytes before: the most growth, and the most that counts as a gain. Slack: bytes that ONNX Runtime adds
# to every file, which are a lot beside a small model.
MAX_GROWTH, SLACK, GAIN = 1.10, 4096, 0.98
RTOL, ATOL = 1e-3, 1e-5


def optimize(
    source: bytes,
    feeds: probe.Feeds,
    expected: list[np.ndarray],
    limits: Limits,
    clock: Callable[[], float] = time.process_time,
    portable_form: bool = True,
) -> tuple[bytes | None, dict[str, Any]]:
    """The bytes to serve instead of the source, or None; and a report for the verdict.

    feeds, expected: inputs and outputs of the probe run. portable_form: False for the form with signed weights, which
    not every processor may serve.
    """
    report: dict[str, Any] = {"level": "extended", "bytes_before": len(source), "kept": False}
    if clock() > limits.cpu / 3:
        return None, report | {"why": "the model is slow to load: the time left is needed for the other checks"}
    try:
        best, nodes = _rewrite(source)
        report |= {"nodes_before": _nodes(source), "nodes_after": nodes, "bytes_after": len(best)}
        why = _not_worth(report) or _unsafe(best, feeds, expected, limits, report)
        if not why and portable_form and (changes := portable.rewrite(graph.parse(best))):
            why = f"it would no longer be portable: {changes[0]}"
    except (MemoryError, onnx.OutOfMemory):
        why = "a second copy of a model of this size does not fit into the memory of the check"
    except (AmaasError, Refused) as error:
        why = f"the optimized model does not pass: {error}"
    if why:
        return None, report | {"why": why}
    return best, report | {"kept": True, "why": "same outputs, fewer nodes or fewer bytes"}


def _rewrite(source: bytes) -> tuple[bytes, int]:
    """The optimized bytes, and their number of nodes: passes are repeated until they change nothing.

    An optimized model that is uploaded again is then left as it is.
    """
    best, nodes = source, _nodes(source)
    for _ in range(MAX_PASSES):
        candidate = onnx.rewrite(best)
        count = _nodes(candidate)
        if best is not source and count >= nodes:
            break
        best, nodes = candidate, count
        if len(best) > len(source) * MAX_GROWTH + SLACK:
            break
    return best, nodes


def _not_worth(report: dict[str, Any]) -> str | None:
    """Why the result is not worth serving; None if it is."""
    before, after = report["bytes_before"], report["bytes_after"]
    if after > before * MAX_GROWTH + SLACK:
        return f"it would grow from {before:,} to {after:,} bytes"
    if report["nodes_after"] >= report["nodes_before"] and after > before * GAIN:
        return "nothing to gain"
    return None


def _unsafe(
    best: bytes, feeds: probe.Feeds, expected: list[np.ndarray], limits: Limits, report: dict[str, Any]
) -> str | None:
    """Why the result is not safe to serve; None if it is. Adds max_abs to the report."""
    scan.check(graph.parse(best), {}, limits)
    actual = onnx.load(best).run(None, feeds)
    gaps = [samples.difference(old, new, RTOL, ATOL) for old, new in zip(expected, actual, strict=True)]
    report["max_abs"] = max((gap for gap, _ in gaps), default=0.0)
    return None if all(tolerated for _, tolerated in gaps) else "its outputs differ from the source's"


def _nodes(data: bytes) -> int:
    return sum(len(body.node) for body in graph.bodies(graph.parse(data)))
