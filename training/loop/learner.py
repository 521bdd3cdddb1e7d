"""The network, and what a step changes beside it: optimiser, schedule, average, the budget of private training."""

from __future__ import annotations

import argparse

import torch

from training import export, networks
from training.loop import private
from training.loop.group import Group
from training.loop.task import Task
from training.optimizers import Average, optimizer_for, schedule_for


class Learner:
    """network: whose weights are kept. forward: how it is called in training; the weights are the same objects.

    average: of the weights, or None. privacy: what counts ε, or None.
    """

    def __init__(
        self, s: argparse.Namespace, task: Task, group: Group, random: torch.Generator, network: torch.nn.Module
    ) -> None:
        """random: for the noise of private training. network: with its first weights, as untrained makes it."""
        self.clip = 0.0 if s.epsilon else s.clip  # private training clips each item's gradient, by itself
        self.device = group.device
        self.layout = torch.channels_last if s.channels_last else torch.contiguous_format
        self.network = network.to(group.device, memory_format=self.layout)
        self.optimizer = optimizer_for(self.network, s)
        self.schedule = schedule_for(self.optimizer, s, s.epochs * (len(task) // s.batch))
        self.average = Average(self.network, s.ema) if s.ema else None
        self.privacy = private.Privacy(s, len(task)) if s.epsilon else None
        self.forward = self.privacy.joined(self.network) if self.privacy else group.joined(self.network)
        self._stepper = self.privacy.noisy(self.optimizer, random) if self.privacy else self.optimizer
        if s.compile:
            self.forward = torch.compile(self.forward, backend=s.compile)

    def put(self, value: torch.Tensor) -> torch.Tensor:
        """An input, on the device and in the layout of the network."""
        return value.to(self.device, memory_format=self.layout) if value.ndim == 4 else value.to(self.device)

    def step(self, loss: torch.Tensor) -> None:
        self._stepper.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self._stepper.step()
        self.schedule.step()
        if self.average:
            self.average.update(self.network)


def untrained(s: argparse.Namespace, task: Task) -> tuple[torch.nn.Module, dict[str, object]]:
    """The network with its first weights, and how the recipe describes it. Raises TrainingError."""
    make, described = networks.find(s.model, {name: getattr(s, name) for name in networks.OPTIONS}, s.pretrained)
    network = networks.build(make, task.kind, len(task.data.labels))
    network = private.without_batches(network) if s.epsilon else network
    networks.check_batch(network, s.batch)
    if ":" in s.model:  # not one of ours: better refused now than after hours
        export.to_onnx(network.eval(), task.kind)
    return network, described
