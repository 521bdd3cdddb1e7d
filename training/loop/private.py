"""Differentially private training (DP-SGD, Abadi et al. 2016) by Opacus: each item's gradient clipped, noise, and ε.

Private is what the weights tell of one training item. What is computed from the training split before the loop
(scaling, vocabulary, cleaning) and the choice of the best epoch by the validation split are not part of the count.
Whoever could draw the noise again could take it off: lots and noise come from the machine's entropy, not from --seed.
(By PyTorch's generator, which is none for cryptography.)
"""

from __future__ import annotations

import argparse
import math
import warnings
from typing import Any

import torch
from torch import nn

from training.errors import TrainingError

GROUPS = 32  # of channels that GroupNorm takes together, at most
LEAST = 16  # items of a batch: an empty one by chance is then rarer than one in a million


def entropy() -> torch.Generator:
    """For what nobody may draw again."""
    random = torch.Generator()
    random.seed()
    return random


def check(s: argparse.Namespace, processes: int) -> None:
    """Raises TrainingError for settings with which the count would not be true."""
    if mixing := [f"--{name}" for name in ("mixup", "cutmix") if getattr(s, name)]:
        raise TrainingError(
            f"{mixing[0]} puts an item into the gradients of two, which --epsilon does not count: leave it away"
        )
    if s.teacher:
        raise TrainingError("--epsilon does not count what a --teacher has seen of the training items: leave one away")
    if processes > 1:
        raise TrainingError("--epsilon trains in one process: start it without torchrun")
    if s.batch < LEAST:
        raise TrainingError(f"--epsilon needs batches of {LEAST} or more on average, not {s.batch}: give a --batch")
    if not s.clip:
        raise TrainingError("--epsilon needs a bound for each item's gradient: give --clip, as 1")


def without_batches(network: nn.Module) -> nn.Module:
    """The network with GroupNorm for BatchNorm, which mixes the items of a batch; scale and offset are kept.

    Without places to normalise over (BatchNorm1d), all channels are one group: few numbers in each would lose most of
    what they say.
    """
    for name, part in network.named_children():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            channels = part.num_features
            groups = 1 if isinstance(part, nn.BatchNorm1d) else math.gcd(channels, GROUPS)
            made = nn.GroupNorm(groups, channels, part.eps, affine=part.affine)
            made.load_state_dict({key: value for key, value in part.state_dict().items() if key in ("weight", "bias")})
            setattr(network, name, made)
        else:
            without_batches(part)
    return network


class Privacy:
    """The noise that spends epsilon in all epochs; counts what is spent. items: of the training split."""

    def __init__(self, s: argparse.Namespace, items: int) -> None:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.utils import get_noise_multiplier

        self.rate, self.batch, self.clip = s.batch / items, s.batch, s.clip
        self.delta = s.delta if s.delta is not None else float(f"{1 / (10 * items):.2g}")
        self.noise = get_noise_multiplier(
            target_epsilon=s.epsilon, target_delta=self.delta, sample_rate=self.rate,
            steps=s.epochs * (items // s.batch), accountant="rdp",
        )  # fmt: skip
        self.accountant = RDPAccountant()

    def joined(self, network: nn.Module) -> nn.Module:
        """The network as it is called in training: it keeps each item's own gradient."""
        from opacus import GradSampleModule
        from opacus.validators import ModuleValidator

        reasons = ModuleValidator.validate(network.train())
        if reasons:
            reason = str(reasons[0]).splitlines()[0][:300]
            raise TrainingError(f"this network cannot be trained privately ({reason}): give another --model")
        # the data asks for no gradients, which is as it should be
        warnings.filterwarnings("ignore", "Full backward hook is firing when gradients", UserWarning)
        warnings.filterwarnings("ignore", "Optimal order is the largest alpha", UserWarning)
        try:
            return GradSampleModule(network, loss_reduction="mean")
        except NotImplementedError as error:
            raise TrainingError(f"this network cannot be trained privately ({error}): give another --model") from error

    def noisy(self, optimizer: torch.optim.Optimizer, random: torch.Generator) -> torch.optim.Optimizer:
        from opacus.optimizers import DPOptimizer

        made = DPOptimizer(
            optimizer, noise_multiplier=self.noise, max_grad_norm=self.clip, expected_batch_size=self.batch,
            loss_reduction="mean", generator=random,
        )  # fmt: skip
        made.attach_step_hook(self._count)
        return made

    def _count(self, _: object) -> None:
        self.accountant.step(noise_multiplier=self.noise, sample_rate=self.rate)

    def batches(self, items: int, steps: int, random: torch.Generator) -> list[torch.Tensor]:
        """Poisson sampling, as the count assumes: each item is in a batch by a lot of its own."""
        return [torch.nonzero(torch.rand(items, generator=random) < self.rate)[:, 0] for _ in range(steps)]

    def state_dict(self) -> dict[str, Any]:
        return {"history": [list(entry) for entry in self.accountant.history]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.accountant.history = [tuple(entry) for entry in saved["history"]]

    def spent(self) -> dict[str, Any]:
        return {
            "epsilon": round(float(self.accountant.get_epsilon(self.delta)), 3), "delta": self.delta,
            "noise_multiplier": round(float(self.noise), 4), "clip": self.clip, "accountant": "rdp (Opacus)",
        }  # fmt: skip
