"""Distillation: another network, taught by a package or by a registered model. The loss: loop/distillation.py."""

from __future__ import annotations

from typing import Any

import torch

from training import teacher as teachers
from training.compress import finetune, network
from training.compress.evaluation_data import EvaluationData, training_data
from training.compress.finetune import Tuning
from training.compress.tooling import Rewritten
from training.networks import find as networks
from training.package import Package


def train_student(
    parent: Package,
    data: EvaluationData,
    *,
    student: str,
    architecture: dict[str, Any],
    teacher: str | None,
    tuning: Tuning,
) -> Rewritten:
    """A network of this name, trained from nothing on the labels and the teacher's answers; else the parent's."""
    examples, validation = training_data(data, "distil")
    labels = parent.manifest["labels"]
    source = teachers.teacher(teacher) if teacher else teachers.PackageTeacher.of(parent, torch.get_num_threads())
    teachers.check_labels(source, labels)
    build, description = networks.find(student, architecture)
    networks.check_kind(student, examples.kind.name)
    torch.manual_seed(tuning.seed)
    untrained = networks.build(build, examples.kind, len(labels))
    history = finetune.tune(untrained, examples, validation, tuning, teacher=source)
    before = (parent.manifest.get("metrics") or {}).get("parameters")
    details: dict[str, Any] = {
        "method": f"{description['network']} taught by {source.reference} for {tuning.epochs} epochs",
        "student": description,
        "teacher": source.reference,
        "parameters": {"before": before, "after": network.parameters(untrained)},
        "finetuning": history,
    }
    return network.body(untrained, parent, examples), details
