"""What is counted of one call: done after its answer, so that no caller waits for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from shared.counts import bins, labels
from shared.counts.counts import OTHER, Counts, Key
from shared.errors import AmaasError
from shared.package.manifest import Manifest
from shared.serving import best, features
from shared.serving.loaded import Loaded, Resolved
from shared.serving.observe import Call, FailedLoad, status_of

logger = logging.getLogger(__name__)
NAMED = "labels that are counted by name"  # of a loaded model's parts, which have no spaces
# routes whose answers are about what the caller sent, and not about variations of it
ABOUT_INPUTS = ("infer", "predict", "batch")


def key_of(served: Loaded | Resolved) -> Key:
    model = served.name if isinstance(served, Loaded) else served.head.model
    return Key(model, served.version.version, served.alias, served.since)


def of(call: Call | FailedLoad) -> Counts:
    """Whatever its package says and its inputs are, a call is counted, if need be without what it was about."""
    if isinstance(call, FailedLoad):
        return of_failed_load(call)
    try:
        return of_call(call)
    except Exception:
        logger.exception("not counted whole", extra={"model": call.loaded.name, "version": call.loaded.version.version})
        return of_call(call, about_inputs=False)


def of_call(call: Call, *, about_inputs: bool = True) -> Counts:
    """The phases of a call that failed are not known: all of its time is counted as `total`."""
    loaded = call.loaded
    total = call.input_ns + call.infer_ns + call.output_ns
    phases = {"total": total}
    if call.error is None:
        phases |= {
            "resolve": loaded.resolve_ns,
            "load": loaded.load_ns,
            "pre": call.input_ns - loaded.resolve_ns - loaded.load_ns,
            "run": call.infer_ns,
            "post": call.output_ns,
        }
    counts = _counted(call.route, call.error, phases)
    counts.runs = call.runs
    counts.loads = int(loaded.fresh)
    counts.bytes_in, counts.bytes_out = call.bytes_in, call.bytes_out
    if about_inputs and call.error is None and call.route in ABOUT_INPUTS:
        _count_predictions(counts, loaded, call.answer)
        features.count(counts, call)
    return counts


def of_failed_load(call: FailedLoad) -> Counts:
    counts = _counted(call.route, call.error, {"total": call.ns})
    counts.bytes_in = call.bytes_in
    return counts


def shadow(outcome: str) -> Counts:
    return Counts(shadow={outcome: 1})


def _counted(route: str, error: Exception | None, phases: Mapping[str, int]) -> Counts:
    counts = Counts(
        requests=1,
        routes={route: 1},
        latency={name: {bins.of_ns(ns): 1} for name, ns in phases.items()},
        ns=dict(phases),
        billed_ms=-(-phases["total"] // 10**6),
    )
    if error is not None:
        counts.errors = {kind(error): 1}
        if status_of(error) >= 500:
            counts.server_errors = 1
        else:
            counts.client_errors = 1
    return counts


def kind(error: Exception) -> str:
    """As the log has it; a fault that is none of ours to name has one kind."""
    return type(error).__name__ if isinstance(error, AmaasError) else "InternalError"


def _count_predictions(counts: Counts, loaded: Loaded, answer: Any) -> None:
    """The best label of each item and its score, where the task answers with labels."""
    named = _named(loaded.manifest, loaded.parts)
    for item in best.of_items(answer):
        if item is None or item.label is None:
            continue
        counts.scores[item.score] = counts.scores.get(item.score, 0) + 1
        label = item.label if item.label in named else OTHER
        counts.labels[label] = counts.labels.get(label, 0) + 1


def _named(manifest: Manifest, parts: dict[str, Any]) -> frozenset[str]:
    """The labels that are counted by name."""
    named: frozenset[str] | None = parts.get(NAMED)
    if named is None:
        named = parts[NAMED] = frozenset(labels.named(manifest))
    return named
