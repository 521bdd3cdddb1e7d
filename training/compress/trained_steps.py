"""The steps that train, with their settings filled in. Importing it brings PyTorch."""

from __future__ import annotations

import torch

from training.compress.channel_pruning import prune_channels
from training.compress.distil import train_student
from training.compress.evaluation_data import EvaluationData
from training.compress.finetune import Tuning
from training.compress.magnitude_pruning import prune_weights
from training.compress.options import FineTuning, Schedule
from training.compress.tooling import Rewritten
from training.errors import TrainingError
from training.loop.distillation import ALPHA, TEMPERATURE
from training.package import Package

BATCH = 64  # to which the schedules belong: smaller batches take smaller steps (Goyal et al. 2017), or exported
# networks, whose BatchNorm is folded into their weights, come apart


def prune(parent: Package, data: EvaluationData, options: FineTuning, schedule: Schedule) -> Rewritten:
    return prune_channels(parent, data, ratio=options.ratio, tuning=tuning(options, schedule))


def magnitude(parent: Package, data: EvaluationData, options: FineTuning, schedule: Schedule) -> Rewritten:
    return prune_weights(parent, data, sparsity=options.sparsity, tuning=tuning(options, schedule))


def distil(parent: Package, data: EvaluationData, options: FineTuning, schedule: Schedule) -> Rewritten:
    if options.student is None:
        raise TrainingError("distil trains another network: give --student, as cnn with --widths 16 32 --hidden 64")
    return train_student(
        parent,
        data,
        student=options.student,
        architecture=options.architecture(),
        teacher=options.teacher,
        tuning=tuning(options, schedule),
    )


def tuning(options: FineTuning, schedule: Schedule) -> Tuning:
    """Raises TrainingError for a device that is not there."""
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {options.device!r} cannot be used ({reason}): try --device cpu") from error
    return Tuning(
        epochs=options.finetune_epochs or schedule.epochs,
        batch=options.batch,
        lr=options.finetune_lr or schedule.lr * min(1, options.batch / BATCH),
        temperature=TEMPERATURE if options.temperature is None else options.temperature,
        alpha=ALPHA if options.alpha is None else options.alpha,
        seed=options.training_seed,
        device=options.device,
        quiet=options.quiet,
    )
