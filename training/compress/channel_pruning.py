"""Structured pruning: whole channels go, with everything that depended on them; then the rest learns to do without.

Channels that belong together are found and removed by torch-pruning; the least important are those with the smallest
L2 norm over all weights of their group (Fang et al. 2023, DepGraph: Towards Any Structural Pruning).
"""

from __future__ import annotations

from typing import Any

import torch

from training.compress import finetune, network
from training.compress.evaluation_data import EvaluationData, training_data
from training.compress.finetune import Tuning
from training.compress.tooling import NothingToDo, Rewritten
from training.errors import TrainingError
from training.package import Arrays, Package
from training.teacher import PackageTeacher


def prune_channels(parent: Package, data: EvaluationData, *, ratio: float, tuning: Tuning) -> Rewritten:
    """Remove `ratio` of each layer's channels, and fine-tune with the parent's answers beside the labels."""
    examples, validation = training_data(data, "prune")
    pruned = network.network(parent, data.golden)
    before = network.parameters(pruned)
    remove_channels(pruned, data.golden, ratio)
    after = network.parameters(pruned)
    if after == before:
        raise NothingToDo(f"no channel can be removed at a ratio of {ratio:g}: give a larger --ratio")
    raw = finetune.accuracy(pruned, validation)
    teacher = PackageTeacher.of(parent, torch.get_num_threads())
    history = finetune.tune(pruned, examples, validation, tuning, teacher=teacher, accuracy_before=raw)
    details: dict[str, Any] = {
        "method": f"{ratio:.0%} of each layer's channels removed, fine-tuned for {tuning.epochs} epochs",
        "ratio": ratio,
        "importance": "L2 norm of the group",
        "parameters": {"before": before, "after": after},
        "validation_before_finetuning": round(raw, 4),
        "finetuning": history,
        "teacher": parent.reference,
    }
    return network.body(pruned, parent, examples), details


def remove_channels(module: torch.nn.Module, inputs: Arrays, ratio: float) -> None:
    """Take channels out of the network, in place. The last layer keeps its outputs: they are the logits."""
    import torch_pruning

    rows = torch.from_numpy(next(iter(inputs.values()))[:2])
    layers = network.weighted(module)
    try:
        with torch.no_grad():
            expected = module(rows).shape
        pruner = torch_pruning.pruner.BasePruner(
            module,
            rows,
            torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=layers[-1:],
        )
        pruner.step()
        with torch.no_grad():
            shape = module(rows).shape
    except Exception as error:  # the library and torch.fx raise their own
        raise TrainingError(
            f"channels of this network cannot be removed ({str(error)[:200]}): try magnitude or distil"
        ) from error
    if shape != expected:
        raise TrainingError(
            f"pruning changed the outputs from {tuple(expected)} to {tuple(shape)}: try magnitude or distil"
        )
