"""All settings of training.compress, by concern: the table from which the command line takes them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.arguments import COUNT, flag, number, option
from training.options import CACHE

METHODS = ("minmax", "entropy", "percentile")
BLOCK = 32  # weights of int4 that share a scale
FROM_ZERO = number(float, 0)


def block_size(text: str) -> int:
    """A type for argparse."""
    value = int(COUNT(text))
    if value < 16 or value & (value - 1):
        raise argparse.ArgumentTypeError(f"{text} is not a power of 2 from 16 on")
    return value


def part(text: str) -> float:
    """A type for argparse."""
    value = FROM_ZERO(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return value


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a step calibrates, chooses and tests with."""

    data: str | None = option(
        None, "what it was trained on (see training.train): test accuracy is measured, int8 calibrated"
    )
    root: Path = option(CACHE, "cache of downloaded data sets (%(default)s)", Path)
    seed: int | None = option(None, "seed of the splits (default: as the package says)", int)
    calibration: Path | None = option(
        None, "inputs to calibrate with: arrays input.<name> [rows, …]", Path, metavar="FILE.npz"
    )
    calibration_rows: int = option(512, "training items to calibrate with (%(default)s)", COUNT)


@dataclass(frozen=True, kw_only=True)
class Search:
    """target: what is best. steps: the only ones to try; all that fit, where it is empty."""

    target: str = option("latency", "search: what to optimize: %(choices)s (%(default)s)", choices=("latency", "size"))
    steps: tuple[str, ...] = option((), "search: only these, as int8 prune prune+int8", nargs="+", metavar="STEP")
    brief: bool = flag("search: do not print where the packages are")


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Of the steps that train. finetune_epochs, finetune_lr: None for the step's default.

    student: a network as --model of training.train names it, with its architecture. teacher: a package folder or
    MODEL[@VERSION]; without one, the package itself teaches.
    """

    ratio: float = option(0.5, "prune: share of each layer's channels that is removed (%(default)s)", part)
    sparsity: float = option(0.8, "magnitude: share of zero weights (%(default)s)", part)
    student: str | None = option(None, "distil, search: network as training.train's --model names it", metavar="NAME")
    widths: tuple[int, ...] | None = option(
        None, "distil: of the student, as the next four and as of training.train", COUNT, nargs="+"
    )
    embedding: int | None = option(None, "distil: of the student", COUNT)
    hidden: int | None = option(None, "distil: of the student", COUNT)
    layers: int | None = option(None, "distil: of the student", COUNT)
    heads: int | None = option(None, "distil: of the student", COUNT)
    teacher: str | None = option(
        None, "distil: a package folder, or MODEL[@VERSION] of a running service (default: PACKAGE itself)"
    )
    finetune_epochs: int | None = option(None, "passes over the training data (default: of the step, see above)", COUNT)
    finetune_lr: float | None = option(
        None, "peak learning rate (default: of the step, see above; lower for a --batch below 64)", FROM_ZERO
    )
    batch: int = option(64, "items per step (%(default)s)", COUNT)
    temperature: float | None = option(None, "softmax temperature of teacher and student (4)", FROM_ZERO)
    alpha: float | None = option(None, "weight of the teacher in the loss, 0 to 1 (0.5)", FROM_ZERO)
    training_seed: int = option(0, "seed of order, augmentation and a student's initial weights (%(default)s)", int)
    device: str = option("cpu", "cpu, cuda, … (%(default)s)")
    quiet: bool = flag("no progress bar")

    def architecture(self) -> dict[str, Any]:
        """Of the student."""
        return {name: getattr(self, name) for name in ("widths", "embedding", "hidden", "layers", "heads")}


@dataclass(frozen=True)
class Schedule:
    """Defaults of a step that trains. lr: the peak learning rate."""

    epochs: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Options:
    """max_drop: percentage points of test accuracy. max_noise: of the outputs, as a share of their size, where there is
    no data set. method: calibration methods of int8 to try; all, where it is None. block: weights per scale of int4.
    """

    method: tuple[str, ...] | None = option(
        None, "int8: calibration method (default: the best of all)", choices=METHODS, repeated=True
    )
    reduce_range: bool = option(
        True, "int8, dynamic: 7-bit weights, with which all processors answer alike (%(default)s)", None, yes_or_no=True
    )
    block: int = option(BLOCK, "int4: weights that share a scale, a power of 2 from 16 (%(default)s)", block_size)
    max_drop: float = option(0.5, "maximum loss of test accuracy in percentage points (%(default)s)", FROM_ZERO)
    max_noise: float = option(
        0.1, "without --data: maximum change of the outputs, as a share of their size (%(default)s)", FROM_ZERO
    )
    search: Search = field(default_factory=Search)
    fine_tuning: FineTuning = field(default_factory=FineTuning)
