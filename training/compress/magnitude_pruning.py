"""Unstructured pruning: single weights become zero, little by little, while the others learn to do without.

The share of zeros follows Zhu and Gupta (2017, To prune, or not to prune): s · (1 - (1 - t)³) over the first part of
the steps. The file stays as large as it was: only compressed it is smaller.
"""

from __future__ import annotations

import zlib
from typing import Any

import torch

from training import package
from training.compress import finetune, network
from training.compress.evaluation_data import EvaluationData, training_data
from training.compress.finetune import Tuning
from training.compress.tooling import NothingToDo, Rewritten
from training.package import Package
from training.teacher import PackageTeacher

RAMP = 0.75  # share of all steps in which zeros become more; in the rest the other weights settle
EVERY = 0.01  # share of all steps between two prunings


class Zeros:
    """Holds the smallest weights of the layers at zero."""

    def __init__(self, layers: list[torch.nn.Module], sparsity: float) -> None:
        self.weights: list[torch.Tensor] = [layer.get_parameter("weight") for layer in layers]
        self.sparsity = sparsity
        self.masks: list[torch.Tensor] = []  # made where the weights are by then
        self.pruned_at = 0.0

    def __call__(self, progress: float) -> None:
        """After each step of the optimizer. progress: 0 to 1."""
        if self.pruned_at < RAMP and progress >= self.pruned_at + EVERY:
            self.pruned_at = progress
            self._prune(scheduled(progress, self.sparsity))
        with torch.no_grad():
            for weight, mask in zip(self.weights, self.masks, strict=bool(self.masks)):
                weight.mul_(mask)

    @torch.no_grad()
    def _prune(self, share: float) -> None:
        sizes = [weight.abs() for weight in self.weights]  # those that are zero stay the smallest
        every = torch.cat([size.flatten() for size in sizes])
        count = round(share * every.numel())
        limit = every.kthvalue(count).values if count else every.new_tensor(-1.0)
        self.masks = [size > limit for size in sizes]

    def share(self) -> float:
        zeros = sum(weight.numel() - int(weight.count_nonzero()) for weight in self.weights)
        return zeros / sum(weight.numel() for weight in self.weights)


def scheduled(progress: float, sparsity: float) -> float:
    """The share of zeros after a share of the steps."""
    return sparsity * (1 - (1 - min(progress / RAMP, 1.0)) ** 3)


def prune_weights(parent: Package, data: EvaluationData, *, sparsity: float, tuning: Tuning) -> Rewritten:
    """Set `sparsity` of the weights of convolutions and linear layers to zero; biases and norms stay."""
    examples, validation = training_data(data, "magnitude")
    module = network.network(parent, data.golden)
    zeros = Zeros(network.weighted(module), sparsity)
    if zeros.share() >= sparsity:
        raise NothingToDo(f"{zeros.share():.0%} of the weights are zero already: give a larger --sparsity")
    history = finetune.tune(
        module,
        examples,
        validation,
        tuning,
        teacher=PackageTeacher.of(parent, torch.get_num_threads()),
        after_step=zeros,
        settled=RAMP + EVERY,
    )
    body = network.body(module, parent, examples)
    details: dict[str, Any] = {
        "method": f"{sparsity:.0%} of the weights set to zero, gradually, over {tuning.epochs} epochs",
        "sparsity": round(zeros.share(), 4),
        "scope": "all layers together",
        "compressed_size": {"before": deflated(package.serialized(parent.model)), "after": deflated(body)},
        "finetuning": history,
        "teacher": parent.reference,
    }
    return body, details


def deflated(body: bytes) -> int:
    """Bytes, as gzip or a zip file would hold them."""
    return len(zlib.compress(body, 9))
