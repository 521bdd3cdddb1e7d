"""Structured pruning: whole channels go, with everything that depended on them; then the rest learns to do without.

Channels that belong together are found and removed by torch-pruning; the least important are those with the smallest
L2 norm over all weights of their group (Fang et al. 2023, DepGraph: Towards Any Structural Pruning).
"""

from __future__ import annotations

from typing import Any

import torch

from training.compress import finetune, network
from training.compress.data import Examples, Labelled, Material
from training.compress.finetune import Tuning
from training.compress.steps import Made, NothingToDo
from training.errors import TrainingError
from training.package import Arrays, Package
from training.teacher import PackageTeacher


def prune(parent: Package, material: Material, *, ratio: float, how: Tuning) -> Made:
    """Remove `ratio` of each layer's channels, and fine-tune with the parent's answers beside the labels."""
    examples, validation = training_data(material, "prune")
    made = network.network(parent, material.golden)
    before = network.parameters(made)
    removed(made, material.golden, ratio)
    after = network.parameters(made)
    if after == before:
        raise NothingToDo(f"no channel can be removed at a ratio of {ratio:g}: give a larger --ratio")
    raw = finetune.accuracy(made, validation)
    tuned = finetune.tune(made, examples, validation, how, teacher=PackageTeacher.of(parent, torch.get_num_threads()),
                          had=raw)  # fmt: skip
    details: dict[str, Any] = {
        "method": f"{ratio:.0%} of each layer's channels removed, fine-tuned for {how.epochs} epochs", "ratio": ratio,
        "importance": "L2 norm of the group", "parameters": {"before": before, "after": after},
        "validation_before_finetuning": round(raw, 4), "finetuning": tuned, "teacher": parent.reference,
    }  # fmt: skip
    return network.body(made, parent, examples), details


def training_data(material: Material, step: str) -> tuple[Examples, Labelled]:
    """Raises TrainingError where there is none."""
    if material.examples is None or material.validation is None:
        raise TrainingError(f"{step} trains: give --data, what the model was trained on")
    return material.examples(), material.validation


def removed(made: torch.nn.Module, inputs: Arrays, ratio: float) -> None:
    """Take channels out of the network, in place. The last layer keeps its outputs: they are the logits."""
    import torch_pruning

    rows = torch.from_numpy(next(iter(inputs.values()))[:2])
    layers = network.weighted(made)
    try:
        with torch.no_grad():
            want = made(rows).shape
        pruner = torch_pruning.pruner.BasePruner(
            made, rows, torch_pruning.importance.GroupMagnitudeImportance(p=2), pruning_ratio=ratio,
            ignored_layers=layers[-1:],
        )  # fmt: skip
        pruner.step()
        with torch.no_grad():
            got = made(rows).shape
    except Exception as error:  # the library and torch.fx raise their own
        raise TrainingError(
            f"channels of this network cannot be removed ({str(error)[:200]}): try magnitude or distil"
        ) from error
    if got != want:
        raise TrainingError(f"pruning changed the outputs from {tuple(want)} to {tuple(got)}: try magnitude or distil")
