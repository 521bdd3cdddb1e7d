"""Optimizers, learning-rate schedules, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from training.options import Optimization

SWING = 0.05  # of one-cycle's momentum, either way


def optimizer_for(network: torch.nn.Module, chosen: Optimization) -> torch.optim.Optimizer:
    """SGD with Nesterov's momentum, or AdamW (Loshchilov and Hutter 2019), whose first beta is the momentum."""
    if chosen.optimizer == "adamw":
        return torch.optim.AdamW(
            network.parameters(), chosen.lr, betas=(chosen.momentum, 0.999), weight_decay=chosen.weight_decay
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=chosen.lr,
        momentum=chosen.momentum,
        weight_decay=chosen.weight_decay,
        nesterov=chosen.momentum > 0,
    )


def schedule_for(
    optimizer: torch.optim.Optimizer, chosen: Optimization, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Over `steps` steps in all. one-cycle (Smith 2018) is PyTorch's own: it moves the momentum against the rate."""
    if chosen.schedule == "one-cycle":
        lowest, highest = max(0.0, chosen.momentum - SWING), min(chosen.momentum + SWING, 0.999)
        warmup = (
            chosen.warmup if abs(chosen.warmup * steps - 1) > 1e-6 else chosen.warmup / 2
        )  # of a single step, it divides by zero
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=chosen.lr,
            total_steps=steps,
            pct_start=warmup,
            cycle_momentum=chosen.momentum > 0,
            base_momentum=lowest,
            max_momentum=highest,
        )
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / steps, chosen.warmup))


def rate(progress: float, warmup: float = 0.1) -> float:
    """The share of the highest learning rate: up in a line for the warm-up, then down along a cosine."""
    if progress < warmup:
        return max(progress, 0.001) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


class Average:
    """An exponential moving average of weights and of BatchNorm's statistics.

    The decay of step n is min(decay, (1 + n) / (10 + n)), so that the first, untrained weights are soon forgotten.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, network: torch.nn.Module) -> None:
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:  # BatchNorm counts its batches
                mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.updates = saved["updates"]
        self.network.load_state_dict(saved["network"])
