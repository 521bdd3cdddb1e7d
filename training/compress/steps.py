"""The optimization steps, one entry each: a new step is a function and an entry here.

What a step's libraries cost to import, it imports when it is run: int8 brings SymPy, steps that train bring PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from training.compress import blocks, convert
from training.compress.evaluation_data import EvaluationData
from training.compress.options import METHODS, Options, Schedule
from training.compress.tooling import INTEGER, Rewritten, operators
from training.errors import TrainingError
from training.package import Package

Run = Callable[[Package, EvaluationData, Options], Rewritten]
INT8_ROUNDING, FP16_ROUNDING = 2 / 127, 4 / 2048  # two steps of 8 bits; four of FP16


@dataclass(frozen=True)
class Step:
    """about: for --help. lineage: what the model's lineage calls it. advice: when it costs too much accuracy.

    needs: what it looks at. schedule: of a step that trains, where the user gives none. needs_student: it trains
    another network. quantizes: into integers, which only steps that take integers can be applied to. rounding: what
    another processor may change, as a share of the largest output. per_batch: scales are taken over the whole batch, so
    that answers depend on it. searched: whether search tries it, and where it trains, `then` on its result.
    """

    name: str
    run: Run
    about: str
    lineage: Literal["optimize", "quantize", "prune", "distil"]
    needs: Literal["nothing", "calibration data", "training data"] = "nothing"
    schedule: Schedule | None = None
    needs_student: bool = False
    quantizes: bool = False
    takes_integers: bool = False
    rounding: float = 0.0
    per_batch: bool = False
    searched: bool = True
    then: tuple[str, ...] = ("int8", "fp16")
    advice: str = "try another step (fp16, or int8 with more --calibration-rows)"


def _graph(parent: Package, _data: EvaluationData, _options: Options) -> Rewritten:
    return convert.graph(parent.model)


def _fp16(parent: Package, _data: EvaluationData, _options: Options) -> Rewritten:
    return convert.fp16(parent.model)


def _int8(parent: Package, data: EvaluationData, options: Options) -> Rewritten:
    from training.compress import int8

    methods = list(options.method or METHODS)
    return int8.int8(parent.model, data, methods=methods, reduce_range=options.reduce_range)


def _dynamic(parent: Package, _data: EvaluationData, options: Options) -> Rewritten:
    return convert.dynamic(parent.model, reduce_range=options.reduce_range)


def _weight8(parent: Package, _data: EvaluationData, _options: Options) -> Rewritten:
    return blocks.weight8(parent.model)


def _int4(parent: Package, _data: EvaluationData, options: Options) -> Rewritten:
    return blocks.int4(parent.model, block=options.block)


def _prune(parent: Package, data: EvaluationData, options: Options) -> Rewritten:
    with _pytorch("prune"):
        from training.compress import trained_steps
    return trained_steps.prune(parent, data, options.fine_tuning, PRUNE)


def _magnitude(parent: Package, data: EvaluationData, options: Options) -> Rewritten:
    with _pytorch("magnitude"):
        from training.compress import trained_steps
    return trained_steps.magnitude(parent, data, options.fine_tuning, MAGNITUDE)


def _distil(parent: Package, data: EvaluationData, options: Options) -> Rewritten:
    with _pytorch("distil"):
        from training.compress import trained_steps
    return trained_steps.distil(parent, data, options.fine_tuning, DISTIL)


@contextmanager
def _pytorch(step: str) -> Iterator[None]:
    """Around an import that needs it."""
    try:
        yield
    except ImportError as error:
        raise TrainingError(
            f"{step} trains, which needs PyTorch ({error}): install training/requirements.in"
        ) from error


PRUNE, MAGNITUDE = Schedule(epochs=10, lr=0.02), Schedule(epochs=5, lr=0.01)
DISTIL = Schedule(epochs=15, lr=0.05)
STEPS = {
    step.name: step
    for step in (
        Step(
            "graph",
            _graph,
            "fuse and fold nodes, portably",
            "optimize",
            takes_integers=True,
        ),
        Step("fp16", _fp16, "weights and arithmetic in FP16", "quantize", rounding=FP16_ROUNDING),
        Step(
            "int8",
            _int8,
            "static int8: weights and activations",
            "quantize",
            needs="calibration data",
            quantizes=True,
            rounding=INT8_ROUNDING,
        ),
        Step(
            "dynamic",
            _dynamic,
            "dynamic int8: weights; activations at run time",
            "quantize",
            quantizes=True,
            rounding=INT8_ROUNDING,
            per_batch=True,
        ),
        # weights alone in 8 or 4 bits round nothing when they are run
        Step("weight8", _weight8, "8-bit weights, float arithmetic", "quantize", quantizes=True),
        Step("int4", _int4, "4-bit weights in blocks, float arithmetic", "quantize", quantizes=True),
        Step(
            "prune",
            _prune,
            "remove channels, then fine-tune",
            "prune",
            needs="training data",
            schedule=PRUNE,
            takes_integers=True,  # which network.py refuses, and says what to do instead
            advice="give a smaller --ratio or more --finetune-epochs",
        ),
        Step(
            "magnitude",
            _magnitude,
            "set small weights to zero, then fine-tune",
            "prune",
            needs="training data",
            schedule=MAGNITUDE,
            takes_integers=True,
            searched=False,  # its file is as large and as slow as before
            advice="give a smaller --sparsity or more --finetune-epochs",
        ),
        Step(
            "distil",
            _distil,
            "train another network on this one's answers",
            "distil",
            needs="training data",
            schedule=DISTIL,
            needs_student=True,
            takes_integers=True,
            advice="give a wider student or more --finetune-epochs",
        ),
    )
}


def described() -> str:
    """A line for each step, for --help."""
    lines = []
    for step in STEPS.values():
        defaults = f" ({step.schedule.epochs} epochs, learning rate {step.schedule.lr:g})" if step.schedule else ""
        lines.append(f"  {step.name:10} {step.about}{defaults}")
    return "\n".join(lines)


def check(step: Step, parent: Package, data: EvaluationData) -> None:
    """Raises TrainingError for a package that the step is not for."""
    looks = step.needs == "training data" or (step.needs == "calibration data" and data.own)
    if parent.privacy and looks:
        epsilon = parent.privacy.get("epsilon")
        others = ", ".join(other.name for other in STEPS.values() if other.needs == "nothing")
        instead = "" if step.schedule else f", or {step.name} with other rows in --calibration"
        raise TrainingError(
            f"{step.name} would look at training items again, which the ε = {epsilon} of this package does not "
            f"count: use a step that looks at none ({others}){instead}"
        )
    if not step.takes_integers:
        check_float(parent)


def check_float(parent: Package) -> None:
    """Raises TrainingError where the model is in integers already: quantized twice, it would round what was rounded."""
    integers = sorted(INTEGER & operators(parent.model).keys())
    if not integers:
        return
    lineage = parent.manifest.get("lineage") or {}
    name = (lineage.get("details") or {}).get("step")
    if name in STEPS and STEPS[name].quantizes and lineage.get("parent"):
        raise TrainingError(f"the model is quantized already (by {name}): give its parent, {lineage['parent']}")
    before = f"; its own parent is {lineage['parent']}" if lineage.get("parent") else ""
    raise TrainingError(
        f"the model is quantized already (it has {', '.join(integers)}): give the one in floating point that it was "
        f"made from{before}"
    )
