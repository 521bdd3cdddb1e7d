"""What a run is made of between two steps, and how all of it becomes one plain dictionary and comes back.

Only tensors, numbers, strings, lists and dictionaries go into that dictionary: torch reads it without unpickling code.
"""

from __future__ import annotations

import math
import time
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, saved: dict[str, Any]) -> None: ...


PROGRESS = (
    "epoch",
    "step",
    "batches",
    "total",
    "right",
    "seen",
    "rows",
    "best",
    "best_loss",
    "best_epoch",
    "best_weights",
)


class State:
    """epoch: the one in work, from 1. step: batches of it that are done. batches: its items; None between epochs.

    total, right, seen: sums over the done batches. rows: the metrics of finished epochs. best: the highest validation
    accuracy, with the epoch and the weights that gave it. random: for the order of the data, the same in every process
    of a group; changes: for augmentation, each process's own.
    counted: what else adds up over the steps, as an average of the weights, or a budget. shortcuts: what was decided of
    them when the run began.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        random: torch.Generator,
        changes: torch.Generator,
        **counted: Stateful | None,
    ) -> None:
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.random, self.changes = random, changes
        self.counted = {name: one for name, one in counted.items() if one is not None}
        self.epoch, self.step = 1, 0
        self.batches: list[torch.Tensor] | None = None
        self.total, self.right, self.seen = 0.0, 0, 0
        self.rows: list[dict[str, Any]] = []
        self.best, self.best_loss, self.best_epoch = -1.0, math.inf, 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self.started = time.perf_counter()
        self.shortcuts: dict[str, dict[str, Any]] = {}

    def seconds(self) -> float:
        """Spent on the run so far, in the processes before this one too."""
        return time.perf_counter() - self.started

    def consider(self, accuracy: float, loss: float, weights: dict[str, torch.Tensor]) -> None:
        """Keep a copy of the weights if their validation accuracy is the highest so far, or as high with less loss."""
        if (accuracy, -loss) > (self.best, -self.best_loss):
            self.best, self.best_loss, self.best_epoch = accuracy, loss, self.epoch
            self.best_weights = {name: value.detach().clone() for name, value in weights.items()}

    def finish_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.epoch, self.step, self.batches = self.epoch + 1, 0, None
        self.total, self.right, self.seen = 0.0, 0, 0

    def stalled(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought no better accuracy; 0 never stops."""
        return bool(patience) and self.epoch - 1 - self.best_epoch >= patience

    def finite(self) -> bool:
        """Whether every weight is a number: a step can break them while its loss was still one."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.network.parameters())

    def _on_gpu(self) -> bool:
        return any(weight.is_cuda for weight in self.network.parameters())

    def own(self) -> dict[str, Any]:
        """What only this process of a group has: random numbers, and the sums over its parts of the batches."""
        return {
            "changes": self.changes.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self._on_gpu() else None,
            "sums": [self.total, self.right, self.seen],
        }

    def pack(self, owned: list[dict[str, Any]]) -> dict[str, Any]:
        """Everything that the next step depends on. owned: of every process of the group, in the order of ranks."""
        return {
            "progress": {name: getattr(self, name) for name in PROGRESS},
            "seconds": self.seconds(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "counted": {name: one.state_dict() for name, one in self.counted.items()},
            "random": self.random.get_state(),
            "shortcuts": self.shortcuts,
            "owned": owned,
        }

    def unpack(self, saved: dict[str, Any], rank: int = 0) -> None:
        """Go back to the step at which `pack` was called; the objects keep their devices and memory layouts."""
        for name in PROGRESS:
            setattr(self, name, saved["progress"][name])
        self.started = time.perf_counter() - saved["seconds"]
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        for name, one in self.counted.items():
            one.load_state_dict(saved["counted"][name])
        self.random.set_state(saved["random"])
        own = saved["owned"][rank]
        self.total, self.right, self.seen = own["sums"]
        self.changes.set_state(own["changes"])
        torch.set_rng_state(own["torch"])
        if own["cuda"] is not None:
            torch.cuda.set_rng_state(own["cuda"])
