"""Differentially private training (DP-SGD, Abadi et al. 2016) by Opacus: each item's gradient clipped, noise, and ε.

Epsilon bounds what the weights disclose about one training item. What is computed from the training split before the
loop (scaling, vocabulary, cleaning) and the choice of the best epoch by the validation split are not accounted for.
Whoever could draw the noise again could take it off: lots and noise come from the machine's entropy, not from --seed.
(By PyTorch's generator, which is none for cryptography.)
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import nn

from training.errors import TrainingError
from training.options import Optimization, Privacy, Settings

GROUPS = 32  # of channels that GroupNorm takes together, at most
SMALLEST_BATCH = 16  # items of a batch: an empty one by chance is then rarer than one in a million


def entropy() -> torch.Generator:
    """For what nobody may draw again."""
    generator = torch.Generator()
    generator.seed()
    return generator


def check(settings: Settings, processes: int) -> None:
    """Raises TrainingError for settings with which the account of epsilon would not be true."""
    augmentation, optimization = settings.augmentation, settings.optimization
    if mixing := [f"--{name}" for name in ("mixup", "cutmix") if getattr(augmentation, name)]:
        raise TrainingError(
            f"{mixing[0]} puts an item into the gradients of two, which --epsilon does not account for: omit it"
        )
    if settings.distillation.teacher:
        raise TrainingError("--epsilon does not account for what a --teacher saw of the training items: omit one")
    if processes > 1:
        raise TrainingError("--epsilon trains in one process: start it without torchrun")
    if optimization.batch < SMALLEST_BATCH:
        raise TrainingError(
            f"--epsilon needs batches of {SMALLEST_BATCH} or more on average, not {optimization.batch}: give a --batch"
        )
    if not optimization.clip:
        raise TrainingError("--epsilon needs a bound for each item's gradient: give --clip, as 1")


def without_batch_norm(network: nn.Module) -> nn.Module:
    """The network with GroupNorm for BatchNorm, which mixes the items of a batch; scale and offset are kept.

    Without places to normalize over (BatchNorm1d), all channels are one group: few numbers in each would lose most of
    what they say.
    """
    for name, part in network.named_children():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            channels = part.num_features
            groups = 1 if isinstance(part, nn.BatchNorm1d) else math.gcd(channels, GROUPS)
            norm = nn.GroupNorm(groups, channels, part.eps, affine=part.affine)
            norm.load_state_dict({key: value for key, value in part.state_dict().items() if key in ("weight", "bias")})
            setattr(network, name, norm)
        else:
            without_batch_norm(part)
    return network


class PrivacyEngine:
    """The noise that spends epsilon in all epochs; counts what is spent. items: of the training split."""

    def __init__(self, privacy: Privacy, optimization: Optimization, items: int) -> None:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.utils import get_noise_multiplier

        self.rate, self.batch, self.clip = optimization.batch / items, optimization.batch, optimization.clip
        self.delta = privacy.delta if privacy.delta is not None else float(f"{1 / (10 * items):.2g}")
        self.noise = get_noise_multiplier(
            target_epsilon=privacy.epsilon,
            target_delta=self.delta,
            sample_rate=self.rate,
            steps=optimization.epochs * (items // optimization.batch),
            accountant="rdp",
        )
        self.accountant = RDPAccountant()

    def wrap(self, network: nn.Module) -> nn.Module:
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
            wrapped: nn.Module = GradSampleModule(network, loss_reduction="mean")
        except NotImplementedError as error:
            raise TrainingError(f"this network cannot be trained privately ({error}): give another --model") from error
        return wrapped

    def noisy(self, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> Any:
        """The optimizer, with noise in each step, as Opacus wraps it."""
        from opacus.optimizers import DPOptimizer

        private: Any = DPOptimizer(
            optimizer,
            noise_multiplier=self.noise,
            max_grad_norm=self.clip,
            expected_batch_size=self.batch,
            loss_reduction="mean",
            generator=generator,
        )
        private.attach_step_hook(self._count)
        return private

    def _count(self, _: object) -> None:
        self.accountant.step(noise_multiplier=self.noise, sample_rate=self.rate)

    def batches(self, items: int, steps: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Poisson sampling, as the count assumes: each item is in a batch by a lot of its own."""
        return [torch.nonzero(torch.rand(items, generator=generator) < self.rate)[:, 0] for _ in range(steps)]

    def state_dict(self) -> dict[str, Any]:
        return {"history": [list(entry) for entry in self.accountant.history]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.accountant.history = [tuple(entry) for entry in saved["history"]]

    def spent(self) -> dict[str, Any]:
        return {
            "epsilon": round(float(self.accountant.get_epsilon(self.delta)), 3),
            "delta": self.delta,
            "noise_multiplier": round(float(self.noise), 4),
            "clip": self.clip,
            "accountant": "rdp (Opacus)",
        }
