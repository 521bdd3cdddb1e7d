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

from training.compress.evaluation_data import Examples, Labeled
from training.errors import TrainingError
from training.kinds.kind import Inputs
from training.loop import distillation
from training.networks.find import check_batch
from training.optimizers import rate
from training.settings import augmentation
from training.teacher import Teacher

AT_ONCE = 512
AfterStep = Callable[[float], None]


@dataclass(frozen=True)
class Tuning:
    """alpha: weight of the teacher's scores in the loss. lr: the peak; SGD with Nesterov's momentum 0.9."""

    epochs: int = 5
    batch: int = 64
    lr: float = 0.02
    weight_decay: float = 5e-4
    temperature: float = distillation.TEMPERATURE
    alpha: float = distillation.ALPHA
    seed: int = 0
    device: str = "cpu"
    quiet: bool = True


class Best:
    """The weights of the epoch that validated best. accuracy: None keeps the first candidate, whatever it reaches.

    candidates: only epochs that end after this share of the steps.
    """

    def __init__(self, network: torch.nn.Module, accuracy: float | None, candidates: float) -> None:
        # of an epoch that is as good as the network was before, the weights are taken
        self.accuracy = -1.0 if accuracy is None else math.nextafter(accuracy, -1)
        self.weights = None if accuracy is None else copy.deepcopy(network.state_dict())
        self.candidates = candidates

    def consider(self, network: torch.nn.Module, accuracy: float, progress: float) -> None:
        if accuracy > self.accuracy and progress >= self.candidates:
            self.accuracy, self.weights = accuracy, copy.deepcopy(network.state_dict())

    def restore(self, network: torch.nn.Module) -> None:
        if self.weights is not None:
            network.load_state_dict(self.weights)


def tune(
    network: torch.nn.Module,
    examples: Examples,
    validation: Labeled,
    tuning: Tuning,
    *,
    teacher: Teacher | None = None,
    after_step: AfterStep = lambda progress: None,
    settled: float = 0.0,
    accuracy_before: float | None = None,
) -> dict[str, Any]:
    """Changes the network in place, to the weights of the epoch that validated best; returns what the lineage says.

    teacher: sees the same augmented batch as the network does (Beyer et al. 2022, A good teacher is patient and
    consistent). after_step(progress) is called with the share of steps done. settled: only epochs that end after this
    share of the steps are candidates. accuracy_before: those weights stay if every epoch is worse.
    """
    batch = min(tuning.batch, len(examples.labels))
    check_batch(network, batch)
    generator = torch.Generator().manual_seed(tuning.seed)
    torch.manual_seed(tuning.seed)  # dropout
    network.to(tuning.device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=tuning.lr, momentum=0.9, weight_decay=tuning.weight_decay, nesterov=True
    )
    history: list[float] = []
    best = Best(network, accuracy_before, settled)
    for epoch in range(tuning.epochs):
        run = Epoch(network, examples, tuning, teacher, optimizer, generator, after_step)
        run.train(epoch, batch)
        reached = accuracy(network, validation, tuning.device)
        history.append(round(reached, 4))
        best.consider(network, reached, (epoch + 1) / tuning.epochs)
    best.restore(network)
    network.to("cpu").eval()
    untold = {"quiet", "device"} | (set() if teacher else {"alpha", "temperature"})
    settings = {key: value for key, value in asdict(tuning).items() if key not in untold}
    return {**settings, "augmentation": examples.augmentation, "validation_by_epoch": history}


@dataclass(frozen=True)
class Epoch:
    """One pass over the training items."""

    network: torch.nn.Module
    examples: Examples
    tuning: Tuning
    teacher: Teacher | None
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    after_step: AfterStep

    def train(self, epoch: int, batch: int) -> None:
        """epoch: from 0. Raises TrainingError where the loss is not a number any more."""
        tuning, count = self.tuning, len(self.examples.labels)
        changes, steps = augmentation(self.examples.augmentation), count // batch
        self.network.train()
        permuted: torch.Tensor = torch.randperm(count, generator=self.generator)[: steps * batch]
        title = f"epoch {epoch + 1}/{tuning.epochs}"
        batches = tqdm(permuted.split(batch), desc=title, disable=tuning.quiet or None, leave=False)
        for step, indices in enumerate(batches):
            progress = (epoch * steps + step) / (tuning.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = tuning.lr * rate(progress)
            kind = self.examples.kind
            inputs = kind.augmented(self.examples.encoded, indices, self.generator, changes)
            loss = self.loss(inputs, torch.from_numpy(self.examples.labels)[indices])
            if not torch.isfinite(loss):
                raise TrainingError(f"the loss became {loss.item()} in epoch {epoch + 1}: give a smaller --finetune-lr")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.after_step(progress + 1 / (tuning.epochs * steps))

    def loss(self, inputs: Inputs, labels: torch.Tensor) -> torch.Tensor:
        tuning = self.tuning
        answers = None
        if self.teacher is not None and tuning.alpha:
            arrays = {name: value.numpy() for name, value in inputs.items()}
            answers = torch.from_numpy(self.teacher.logits(arrays)).to(tuning.device)
        logits = self.network(*(value.to(tuning.device) for value in inputs.values()))
        loss = functional.cross_entropy(logits, labels.to(tuning.device))
        if answers is not None:
            loss = distillation.blended(loss, logits, answers, tuning.temperature, tuning.alpha)
        return loss


@torch.no_grad()
def accuracy(network: torch.nn.Module, split: Labeled, device: str = "cpu") -> float:
    network.eval()
    columns = [torch.from_numpy(values).split(AT_ONCE) for values in split.inputs.values()]
    parts = [network(*(part.to(device) for part in parts)).argmax(1).cpu() for parts in zip(*columns, strict=True)]
    return float((torch.cat(parts) == torch.from_numpy(split.labels)).float().mean())
