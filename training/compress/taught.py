"""The steps that train, called with their usual epochs and learning rate. Importing it brings PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from training.compress.apply import Training
from training.compress.data import Material
from training.compress.distil import distil
from training.compress.finetune import Tuning
from training.compress.prune import prune
from training.compress.sparse import magnitude
from training.compress.steps import Made
from training.errors import TrainingError
from training.loop.distillation import ALPHA, TEMPERATURE
from training.package import Package

USUAL = {"prune": (10, 0.02), "magnitude": (5, 0.01), "distil": (15, 0.05)}  # epochs, highest learning rate
BATCH = 64  # to which these belong: smaller batches take smaller steps (Goyal et al. 2017), or exported networks, whose
# BatchNorm is folded into their weights, come apart


def how(step: str, given: Training) -> Tuning:
    epochs, lr = USUAL[step]
    try:
        torch.zeros(1, device=given.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {given.device!r} cannot be used ({reason}): try --device cpu") from error
    lr *= min(1, given.batch / BATCH)
    return Tuning(
        epochs=given.epochs or epochs, batch=given.batch, lr=given.lr or lr, seed=given.seed, device=given.device,
        temperature=TEMPERATURE if given.temperature is None else given.temperature,
        alpha=ALPHA if given.alpha is None else given.alpha, quiet=given.quiet,
    )  # fmt: skip


def _prune(parent: Package, material: Material, given: Training) -> Made:
    return prune(parent, material, ratio=given.ratio, how=how("prune", given))


def _magnitude(parent: Package, material: Material, given: Training) -> Made:
    return magnitude(parent, material, sparsity=given.sparsity, how=how("magnitude", given))


def _distil(parent: Package, material: Material, given: Training) -> Made:
    if given.student is None:
        raise TrainingError("distil trains another network: give --student, as cnn with --widths 16 32 --hidden 64")
    return distil(parent, material, student=given.student, taught_by=given.teacher, how=how("distil", given))


STEPS: dict[str, Callable[[Package, Material, Training], Made]] = {
    "prune": _prune, "magnitude": _magnitude, "distil": _distil,
}  # fmt: skip
