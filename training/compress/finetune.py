"""Trains a network for a few epochs, with a teacher's answers as soft targets. One loop for all steps that train."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from training.compress.data import Examples, Labelled
from training.errors import TrainingError
from training.loop import distillation
from training.networks import check_batch
from training.optimizers import rate
from training.settings import augmentation
from training.teacher import Teacher

AT_ONCE = 512


@dataclass(frozen=True)
class Tuning:
    """alpha: what the teacher's scores count beside the labels. lr: the highest; SGD with Nesterov's momentum 0.9."""

    epochs: int = 5
    batch: int = 64
    lr: float = 0.02
    weight_decay: float = 5e-4
    temperature: float = distillation.TEMPERATURE
    alpha: float = distillation.ALPHA
    seed: int = 0
    device: str = "cpu"
    quiet: bool = True


def tune(
    network: torch.nn.Module, examples: Examples, validation: Labelled, how: Tuning, *, teacher: Teacher | None = None,
    after_step: Callable[[float], None] = lambda progress: None, settled: float = 0.0, had: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Changes the network in place, to the weights of the epoch that validated best; returns what the lineage says.

    teacher: sees the same augmented batch as the network does (Beyer et al. 2022, A good teacher is patient and
    consistent). after_step(progress) is called with the share of steps done. settled: only epochs that end after this
    share of the steps are candidates. had: the accuracy before, where those weights stay if every epoch is worse.
    """
    kind, x, y = examples.kind, examples.stored, torch.from_numpy(examples.labels)
    changes = augmentation(examples.augmentation)
    batch = min(how.batch, len(y))
    check_batch(network, batch)
    steps = len(y) // batch
    random = torch.Generator().manual_seed(how.seed)
    torch.manual_seed(how.seed)  # dropout
    network.to(how.device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=how.lr, momentum=0.9, weight_decay=how.weight_decay, nesterov=True
    )
    history: list[float] = []
    best, weights = (-1.0, None) if had is None else (math.nextafter(had, -1), copy.deepcopy(network.state_dict()))
    for epoch in range(how.epochs):
        network.train()
        order = torch.randperm(len(y), generator=random)[: steps * batch].split(batch)
        for step, picked in enumerate(
            tqdm(order, desc=f"epoch {epoch + 1}/{how.epochs}", disable=how.quiet or None, leave=False)
        ):
            progress = (epoch * steps + step) / (how.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = how.lr * rate(progress)
            inputs = kind.augmented(x, picked, random, changes)
            taught = None
            if teacher is not None and how.alpha:
                asked = {put: value.numpy() for put, value in inputs.items()}
                taught = torch.from_numpy(teacher.logits(asked)).to(how.device)
            logits = network(*(value.to(how.device) for value in inputs.values()))
            loss = functional.cross_entropy(logits, y[picked].to(how.device))
            if taught is not None:
                loss = distillation.blended(loss, logits, taught, how.temperature, how.alpha)
            if not torch.isfinite(loss):
                raise TrainingError(f"the loss became {loss.item()} in epoch {epoch + 1}: give a smaller --finetune-lr")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            after_step(progress + 1 / (how.epochs * steps))
        reached = accuracy(network, validation, how.device)
        history.append(round(reached, 4))
        if reached > best and (epoch + 1) / how.epochs >= settled:
            best, weights = reached, copy.deepcopy(network.state_dict())
    if weights is not None:
        network.load_state_dict(weights)
    network.to("cpu").eval()
    used = {key: value for key, value in asdict(how).items() if key not in ("quiet", "device")}
    if teacher is None:
        used = {key: value for key, value in used.items() if key not in ("alpha", "temperature")}
    return {**used, "augmentation": examples.augmentation, "validation_by_epoch": history}


@torch.no_grad()
def accuracy(network: torch.nn.Module, split: Labelled, device: str = "cpu") -> float:
    network.eval()
    columns = [torch.from_numpy(values).split(AT_ONCE) for values in split.inputs.values()]
    parts = [network(*(part.to(device) for part in parts)).argmax(1).cpu() for parts in zip(*columns, strict=True)]
    return float((torch.cat(parts) == torch.from_numpy(split.labels)).float().mean())
