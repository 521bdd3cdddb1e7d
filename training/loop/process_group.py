"""The processes that train together, started by torchrun; one alone is a group of one, and asks nobody.

Each takes its part of every batch, and gradients are averaged (PyTorch's DistributedDataParallel), so that the steps
are those of one process with the whole batch; but for BatchNorm on CPUs, which sees each one's part alone: PyTorch
has it synchronized for GPUs only. The first one validates, writes and prints.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from training.errors import TrainingError
from training.networks.find import needs_batches

T = TypeVar("T")
PATIENCE = datetime.timedelta(minutes=30)  # in which the first may validate, and the others wait


class ProcessGroup:
    """rank: of this process, from 0. size: of the group."""

    def __init__(self, device: str) -> None:
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = self._device(device)

    def _device(self, device: str) -> str:
        """With several GPUs in a machine, each process takes the one of its number."""
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if self.size > 1 and device == "cuda" else device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def __enter__(self) -> ProcessGroup:
        if self.size > 1:
            if self.device.startswith("cuda"):
                torch.cuda.set_device(self.device)  # else whatever says "cuda" means the first one, in every process
            # gradients go by NCCL; numbers and objects by gloo, which needs no GPU for them
            backend = "cpu:gloo,cuda:nccl" if self.device.startswith("cuda") else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as it is called in training: its gradients are the means over the group."""
        if self.size == 1:
            return network
        if self.device.startswith("cuda"):
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        elif self.first and needs_batches(network):
            print(
                f"note: on CPUs, BatchNorm sees a part of each batch, in each of {self.size} processes",
                file=sys.stderr,
            )
        return DistributedDataParallel(network)

    def part(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's share of the items of a batch."""
        return batch[self.rank :: self.size]

    def check(self, batch: int) -> None:
        if batch % self.size:
            raise TrainingError(f"a batch of {batch} cannot be shared by {self.size} processes: give a multiple")

    def sums(self, *values: float) -> list[float]:
        """Added up over the group."""
        if self.size == 1:
            return list(values)
        added = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(added)
        return [float(value) for value in added]

    def any(self, *flags: bool) -> list[bool]:
        """Whether each is set for anybody in the group."""
        return [count > 0 for count in self.sums(*flags)]

    def one_first(self, load: Callable[[], T]) -> T:
        """What load gives; the first alone at first, so that one download serves all who share a disk."""
        loaded = load() if self.first else None
        self.broadcast(None)
        return load() if loaded is None else loaded

    def broadcast(self, value: Any) -> Any:
        """What the first process has; the others' own value is not looked at."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Everybody's, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values
