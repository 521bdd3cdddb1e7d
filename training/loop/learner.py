"""The network, and what a step changes beside it: optimizer, schedule, average, privacy budget."""

from __future__ import annotations

from typing import Any

import torch

from training import export
from training.loop import differential_privacy
from training.loop.differential_privacy import PrivacyEngine
from training.loop.prepared_data import PreparedData
from training.loop.process_group import ProcessGroup
from training.networks import find as networks
from training.optimizers import Average, optimizer_for, schedule_for
from training.options import Settings


class Learner:
    """network: whose weights are kept. forward: how it is called in training; the weights are the same objects.

    average: of the weights, or None. privacy: what accounts for epsilon, or None.
    """

    def __init__(
        self,
        settings: Settings,
        prepared: PreparedData,
        group: ProcessGroup,
        generator: torch.Generator,
        network: torch.nn.Module,
    ) -> None:
        """generator: for the noise of private training. network: with its first weights, as `untrained` returns it."""
        optimization, private = settings.optimization, settings.privacy.epsilon is not None
        self.clip = 0.0 if private else optimization.clip  # private training clips each item's gradient, by itself
        self.device = group.device
        self.layout = torch.channels_last if settings.machine.channels_last else torch.contiguous_format
        self.network = network.to(group.device).to(memory_format=self.layout)
        self.optimizer = optimizer_for(self.network, optimization)
        steps = optimization.epochs * (len(prepared) // optimization.batch)
        self.schedule = schedule_for(self.optimizer, optimization, steps)
        self.average = Average(self.network, optimization.ema) if optimization.ema else None
        self.privacy = PrivacyEngine(settings.privacy, optimization, len(prepared)) if private else None
        # the privacy engine's module, DistributedDataParallel, a compiled function: all are called in one way
        self.forward: Any = self.privacy.wrap(self.network) if self.privacy else group.wrap(self.network)
        self._stepper = self.privacy.noisy(self.optimizer, generator) if self.privacy else self.optimizer
        if settings.machine.compile:
            self.forward = torch.compile(self.forward, backend=settings.machine.compile)

    def to_device(self, value: torch.Tensor) -> torch.Tensor:
        """An input, on the device and in the memory layout of the network."""
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


def untrained(settings: Settings, prepared: PreparedData) -> tuple[torch.nn.Module, dict[str, object]]:
    """The network with its first weights, and how the recipe describes it. Raises TrainingError."""
    model = str(settings.network.model)
    build, description = networks.find(model, settings.network.architecture(), settings.network.pretrained)
    network = networks.build(build, prepared.kind, len(prepared.data.labels))
    network = differential_privacy.without_batch_norm(network) if settings.privacy.epsilon else network
    networks.check_batch(network, settings.optimization.batch)
    if ":" in model:  # not one of ours: better refused now than after hours
        export.to_onnx(network.eval(), prepared.kind)
    return network, description
