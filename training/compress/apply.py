"""One step from end to end: make the new model, measure both, refuse or write. The recipe; no measuring in here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from training import measure, package
from training.compress import blocks, data, describe, golden, latency, steps
from training.compress.data import Material
from training.compress.latency import Timings
from training.errors import TrainingError
from training.package import Arrays, Package
from training.served import served

STEPS = ("graph", "fp16", "int8", "dynamic", "weight8", "int4")
TRAINED = ("prune", "magnitude", "distil")  # steps that need PyTorch, and the data
ADVICE = {
    "prune": "give a smaller --ratio or more --finetune-epochs",
    "magnitude": "give a smaller --sparsity or more --finetune-epochs",
    "distil": "give a wider student or more --finetune-epochs",
}


@dataclass(frozen=True)
class Student:
    """options: of the network, as --widths and --hidden of training.train."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """Of the steps that train. epochs, lr: None for what is usual for the step.

    teacher: a package folder or MODEL[@VERSION]; without one, the package itself teaches.
    """

    ratio: float = 0.5
    sparsity: float = 0.8
    student: Student | None = None
    teacher: str | None = None
    epochs: int | None = None
    batch: int = 64
    lr: float | None = None
    temperature: float | None = None
    alpha: float | None = None
    seed: int = 0
    device: str = "cpu"
    quiet: bool = True


@dataclass(frozen=True)
class Options:
    """max_drop: percentage points of test accuracy. max_noise: of the outputs, as a share of their size, where there is
    no data set. methods: calibration methods of int8 to try. block: weights per scale of int4. only: what search tries;
    else all that fits.
    """

    max_drop: float = 0.5
    max_noise: float = 0.1
    methods: tuple[str, ...] = ("minmax", "entropy", "percentile")
    reduce_range: bool = True
    block: int = blocks.BLOCK4
    only: tuple[str, ...] = ()
    training: Training = field(default_factory=Training)


@dataclass(frozen=True)
class Measured:
    """A model with what it answers. scores: by split, empty without a data set. logits: of the validation split."""

    body: bytes
    golden: Arrays
    scores: dict[str, dict[str, Any]]
    logits: np.ndarray | None


@dataclass(frozen=True)
class Outcome:
    """What a step made, before it is decided whether it is kept.

    details: for the lineage. variation: of its answers, as golden.steadiness gives it.
    """

    step: str
    model: Measured
    details: dict[str, Any]
    variation: float


def measured(parent: Package, body: bytes, material: Material, batch: int = measure.BATCH) -> Measured:
    """Run a model over golden inputs and, where they are at hand, validation and test split."""
    running = served(body)
    scores, logits = {}, {}
    for split in ("validation", "test"):
        part = getattr(material, split)
        if part:
            logits[split] = next(iter(measure.outputs(running, part.inputs, batch).values()))
            scores[split] = measure.scored(logits[split], part.labels, parent.manifest["labels"])
    return Measured(body, measure.outputs(running, material.golden), scores, logits.get("validation"))


def attempt(parent: Package, before: Measured, step: str, material: Material, options: Options) -> Outcome:
    """Make and measure; nothing is refused but what does not work at all. Raises TrainingError, NothingToDo."""
    body, details = _made(parent, step, material, options)
    _same_interface(before.body, body)
    # dynamic scales are taken over the whole batch, so answers depend on it: measured one by one, as they are asked for
    after = measured(parent, body, material, 1 if step == "dynamic" else measure.BATCH)
    details |= {"size": {"before": parent.size, "after": len(body)}}
    details |= {key: float(f"{v:.4g}") for key, v in measure.apart(before.golden, after.golden).items()}
    if step == "dynamic":
        alone = measure.outputs(served(body), material.golden, 1)
        details["batch_dependence"] = float(f"{measure.apart(after.golden, alone)['max_abs_error']:.4g}")
    if material.test:
        details |= {"accuracy": _compared(before, after), "data": material.about}
    elif (seed := data.known_seed(parent.manifest)) is not None:
        details |= {"data": {"seed": seed}}  # so that a later step finds the same splits
    return Outcome(step, after, details, golden.steadiness(step, body, material.golden, after.golden))


def child(parent: Package, outcome: Outcome, material: Material) -> Package:
    """What a step made as a package that another step can be applied to, before it is written."""
    manifest, _ = described(parent, outcome, material)
    body = outcome.model.body
    digest = hashlib.sha256(body).hexdigest()
    model = onnx.load_from_string(body)
    return Package(parent.folder, manifest, model, parent.weights, digest, len(body), parent.golden)


def _made(parent: Package, step: str, material: Material, options: Options) -> steps.Made:
    if step == "graph":
        return steps.graph(parent.model)
    _private(parent, step, material)
    if step not in TRAINED:  # of those, distil takes any; what the others need, network.py says
        steps.unquantised(parent)
    if step == "fp16":
        return steps.fp16(parent.model)
    if step == "dynamic":
        return steps.dynamic(parent.model, reduce_range=options.reduce_range)
    if step == "int4":
        return blocks.int4(parent.model, block=options.block)
    if step == "weight8":
        return blocks.weight8(parent.model)
    if step in TRAINED:
        try:
            from training.compress import taught  # brings PyTorch
        except ImportError as error:
            raise TrainingError(
                f"{step} trains, which needs PyTorch ({error}): install training/requirements.in"
            ) from error
        return taught.STEPS[step](parent, material, options.training)
    from training.compress import int8  # brings SymPy, which takes a second

    return int8.int8(parent.model, material, methods=list(options.methods), reduce_range=options.reduce_range)


def _private(parent: Package, step: str, material: Material) -> None:
    """Raises TrainingError for a step that looks at training items again, which no ε of the training has counted."""
    if parent.privacy and (step in TRAINED or (step == "int8" and material.own)):
        spent = parent.privacy.get("epsilon")
        instead = ", or int8 with other rows in --calibration" if step == "int8" else ""
        raise TrainingError(
            f"{step} would look at training items again, which the ε = {spent} of this package does not "
            f"count: use a step that looks at none (graph, fp16, dynamic, weight8, int4){instead}"
        )


def _same_interface(before: bytes, after: bytes) -> None:
    def puts(body: bytes) -> list[tuple[str, str]]:
        running = served(body)
        return [(put.name, put.datatype) for put in (*running.inputs, *running.outputs)]

    if puts(before) != puts(after):
        raise TrainingError("the step changed the model's inputs or outputs: it is not for this model")


def _compared(before: Measured, after: Measured) -> dict[str, Any]:
    return {
        "before": round(before.scores["test"]["accuracy"], 4),
        "after": round(after.scores["test"]["accuracy"], 4),
        "interval": [round(value, 4) for value in after.scores["test"]["interval"]],
        "validation_before": round(before.scores["validation"]["accuracy"], 4),
        "validation_after": round(after.scores["validation"]["accuracy"], 4),
    }


def accept(before: Measured, outcome: Outcome, options: Options) -> None:
    """Raises TrainingError when accuracy falls, or outputs differ, by more than was allowed, or by chance."""
    other = "try another step (fp16, or int8 with more --calibration-rows)"
    advice = f"{ADVICE.get(outcome.step, other)}, or allow more with"
    if "test" in before.scores:
        drop = 100 * (before.scores["test"]["accuracy"] - outcome.model.scores["test"]["accuracy"])
        if drop > options.max_drop:
            raise TrainingError(
                f"{outcome.step} lowers the test accuracy by {drop:.2f} percentage points, more than "
                f"{options.max_drop:g}; nothing was written: {advice} --max-drop"
            )
    elif outcome.details["noise"] > options.max_noise:
        raise TrainingError(
            f"{outcome.step} changes the outputs by {outcome.details['noise']:.1%} of their size, more than "
            f"{options.max_noise:.1%}; nothing was written: {advice} --max-noise"
        )
    golden.tolerance(outcome.step, outcome.model.golden, outcome.variation, {})


def timed(outcome: Outcome, times: Timings, before: str, after: str) -> None:
    """Note the median microseconds of both, by their names in times, their ratio, and on what they were measured."""
    medians = {"before": times.medians[before], "after": times.medians[after]}
    ratio = [round(bound, 3) for bound in times.ratio(after, before)]
    outcome.details.update(latency_us=medians, latency_ratio=ratio, machine=times.machine)


def write(parent: Package, outcome: Outcome, material: Material, out: Path) -> None:
    """The package, into the folder out that is there."""
    package.write(parent, out, outcome.model.body, *described(parent, outcome, material))


def described(parent: Package, outcome: Outcome, material: Material) -> tuple[dict[str, Any], Arrays]:
    """amaas.json, and the arrays of golden.npz."""
    details, declared = outcome.details, parent.manifest.get("golden") or {}
    arrays, entry = golden.golden(outcome.step, material.golden, outcome.model.golden, outcome.variation, declared)
    manifest = parent.manifest | {
        "name": parent.name,
        "metrics": describe.metrics(material, outcome.model.scores, parent, details),
        "card": describe.card(parent, outcome.step, details),
        "lineage": describe.lineage(parent, outcome.step, details),
        "golden": entry,
    }
    reference = describe.reference(parent, material.validation, outcome.model.logits)
    return manifest | ({"reference": reference} if reference else {}), arrays


def step(parent: Package, name: str, material: Material, out: Path, options: Options) -> Outcome:
    """Apply one step and write its package to out, whole or not at all."""
    package.vacant(out)
    before = measured(parent, package.serialised(parent.model), material)
    outcome = attempt(parent, before, name, material, options)
    accept(before, outcome, options)
    times = latency.timings({"before": before.body, "after": outcome.model.body}, material.golden)
    timed(outcome, times, "before", "after")
    with package.whole(out) as draft:
        write(parent, outcome, material, draft)
    return outcome
