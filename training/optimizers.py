"""Optimisers, learning-rate schedules, and the moving average of the weights."""

from __future__ import annotations

import argparse
import copy
import math

import torch

OPTIMIZERS = {"sgd": (0.05, 5e-4), "adamw": (0.001, 0.05)}  # with their usual learning rate and weight decay
SCHEDULES = {"cosine": 0.1, "one-cycle": 0.3}  # with the share of all steps in which the rate rises

SWING = 0.05  # of one-cycle's momentum, either way


def optimizer_for(network: torch.nn.Module, s: argparse.Namespace) -> torch.optim.Optimizer:
    """SGD with Nesterov's momentum, or AdamW (Loshchilov and Hutter 2019), whose first beta is the momentum."""
    if s.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), s.lr, betas=(s.momentum, 0.999), weight_decay=s.weight_decay)
    return torch.optim.SGD(
        network.parameters(), lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay, nesterov=s.momentum > 0
    )


def schedule_for(
    optimizer: torch.optim.Optimizer, s: argparse.Namespace, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Over `steps` steps in all. one-cycle (Smith 2018) is PyTorch's own: it moves the momentum against the rate."""
    if s.schedule == "one-cycle":
        least, most = max(0.0, s.momentum - SWING), min(s.momentum + SWING, 0.999)
        warmup = s.warmup if abs(s.warmup * steps - 1) > 1e-6 else s.warmup / 2  # of a single step, it divides by zero
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=s.lr, total_steps=steps, pct_start=warmup, cycle_momentum=s.momentum > 0,
            base_momentum=least, max_momentum=most,
        )  # fmt: skip
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / steps, s.warmup))


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

    def state_dict(self) -> dict[str, object]:
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, saved: dict[str, object]) -> None:
        self.updates = saved["updates"]
        self.network.load_state_dict(saved["network"])
