"""One step from end to end: run it, measure before and after, refuse or write. The recipe; no measuring in here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from training import measure, package
from training.compress import describe, golden, latency, provenance, steps
from training.compress.evaluation_data import EvaluationData
from training.compress.latency import Timings
from training.compress.options import Options
from training.compress.steps import STEPS, Step
from training.errors import TrainingError
from training.package import Arrays, Package
from training.served import served


@dataclass(frozen=True)
class Measured:
    """A model with what it answers. scores: by split, empty without a data set. logits: by split."""

    body: bytes
    golden: Arrays
    scores: dict[str, dict[str, Any]]
    logits: dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """The result of a step, before it is decided whether it is kept.

    details: for the lineage. variation: of its answers, as golden.steadiness gives it.
    """

    step: Step
    model: Measured
    details: dict[str, Any]
    variation: float


def measured(parent: Package, body: bytes, data: EvaluationData, batch: int = measure.BATCH) -> Measured:
    """Run a model over golden inputs and, where they are at hand, validation and test split."""
    running = served(body)
    scores, logits = {}, {}
    for split, part in (("validation", data.validation), ("test", data.test)):
        if part:
            logits[split] = next(iter(measure.outputs(running, part.inputs, batch).values()))
            scores[split] = measure.scored(logits[split], part.labels, parent.manifest["labels"])
    return Measured(body, measure.outputs(running, data.golden), scores, logits)


def attempt(parent: Package, before: Measured, step: Step, data: EvaluationData, options: Options) -> Outcome:
    """Run and measure; nothing is refused but what does not work at all. Raises TrainingError, NothingToDo."""
    steps.check(step, parent, data)
    body, details = step.run(parent, data, options)
    _check_interface(before.body, body)
    # where answers depend on the batch they are measured one by one, as they are asked for
    after = measured(parent, body, data, 1 if step.per_batch else measure.BATCH)
    details |= {"size": {"before": parent.size, "after": len(body)}}
    details |= {key: float(f"{v:.4g}") for key, v in measure.apart(before.golden, after.golden).items()}
    if step.per_batch:
        alone = measure.outputs(served(body), data.golden, 1)
        details["batch_dependence"] = float(f"{measure.apart(after.golden, alone)['max_abs_error']:.4g}")
    if data.test:
        details |= {"accuracy": _accuracy(before, after), "data": data.about}
    elif (seed := provenance.known_seed(parent.manifest)) is not None:
        details |= {"data": {"seed": seed}}  # so that a later step finds the same splits
    return Outcome(step, after, details, golden.steadiness(step, body, data.golden, after.golden))


def child(parent: Package, outcome: Outcome, data: EvaluationData) -> Package:
    """The result of a step as a package that another step can be applied to, before it is written."""
    manifest, _ = described(parent, outcome, data)
    body = outcome.model.body
    digest = hashlib.sha256(body).hexdigest()
    model = onnx.load_from_string(body)
    return Package(parent.folder, manifest, model, parent.weights, digest, len(body), parent.golden)


def _check_interface(before: bytes, after: bytes) -> None:
    """Raises TrainingError for other inputs or outputs than before."""

    def tensors(body: bytes) -> list[tuple[str, str]]:
        running = served(body)
        return [(tensor.name, tensor.datatype) for tensor in (*running.inputs, *running.outputs)]

    if tensors(before) != tensors(after):
        raise TrainingError("the step changed the model's inputs or outputs: it is not for this model")


def _accuracy(before: Measured, after: Measured) -> dict[str, Any]:
    return {
        "before": round(before.scores["test"]["accuracy"], 4),
        "after": round(after.scores["test"]["accuracy"], 4),
        "interval": [round(value, 4) for value in after.scores["test"]["interval"]],
        "validation_before": round(before.scores["validation"]["accuracy"], 4),
        "validation_after": round(after.scores["validation"]["accuracy"], 4),
    }


def accept(before: Measured, outcome: Outcome, options: Options) -> None:
    """Raises TrainingError when accuracy falls, or outputs differ, by more than was allowed, or by chance."""
    name = outcome.step.name
    advice = f"{outcome.step.advice}, or allow more with"
    if "test" in before.scores:
        drop = 100 * (before.scores["test"]["accuracy"] - outcome.model.scores["test"]["accuracy"])
        if drop > options.max_drop:
            raise TrainingError(
                f"{name} lowers the test accuracy by {drop:.2f} percentage points, more than "
                f"{options.max_drop:g}; nothing was written: {advice} --max-drop"
            )
    elif outcome.details["noise"] > options.max_noise:
        raise TrainingError(
            f"{name} changes the outputs by {outcome.details['noise']:.1%} of their size, more than "
            f"{options.max_noise:.1%}; nothing was written: {advice} --max-noise"
        )
    golden.tolerance(outcome.step, outcome.model.golden, outcome.variation, {})


def timed(outcome: Outcome, times: Timings, before: str, after: str) -> None:
    """Note the median microseconds of both, by their names in times, their ratio, and on what they were measured."""
    medians = {"before": times.medians[before], "after": times.medians[after]}
    ratio = [round(bound, 3) for bound in times.ratio(after, before)]
    outcome.details.update(latency_us=medians, latency_ratio=ratio, machine=times.machine)


def write(parent: Package, outcome: Outcome, data: EvaluationData, out: Path) -> None:
    """The package, into the folder out that is there."""
    package.write(parent, out, outcome.model.body, *described(parent, outcome, data))


def described(parent: Package, outcome: Outcome, data: EvaluationData) -> tuple[dict[str, Any], Arrays]:
    """amaas.json, and the arrays of golden.npz."""
    details, declared = outcome.details, parent.manifest.get("golden") or {}
    arrays, entry = golden.golden(outcome.step, data.golden, outcome.model.golden, outcome.variation, declared)
    manifest = parent.manifest | {
        "name": parent.name,
        "metrics": describe.metrics(data, outcome.model.scores, parent, details),
        "card": describe.card(parent, outcome.step, details),
        "lineage": describe.lineage(parent, outcome.step, details),
        "golden": entry,
    }
    reference = describe.reference(parent, data.test, outcome.model.logits)
    return manifest | ({"reference": reference} if reference else {}), arrays


def step(parent: Package, name: str, data: EvaluationData, out: Path, options: Options) -> Outcome:
    """Apply one step and write its package to out, whole or not at all."""
    package.vacant(out)
    before = measured(parent, package.serialized(parent.model), data)
    outcome = attempt(parent, before, STEPS[name], data, options)
    accept(before, outcome, options)
    times = latency.timings({"before": before.body, "after": outcome.model.body}, data.golden)
    timed(outcome, times, "before", "after")
    with package.whole(out) as draft:
        write(parent, outcome, data, draft)
    return outcome
