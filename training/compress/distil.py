"""Distillation: a network of another make, taught by a package or by a registered model. The loss: distillation.py."""

from __future__ import annotations

from typing import Any

import torch

from training import networks, teacher
from training.compress import finetune, network
from training.compress.apply import Student
from training.compress.data import Material
from training.compress.finetune import Tuning
from training.compress.prune import training_data
from training.compress.steps import Made
from training.package import Package


def distil(parent: Package, material: Material, *, student: Student, taught_by: str | None, how: Tuning) -> Made:
    """A student trained from nothing on the labels and the teacher's answers. taught_by: else the parent itself."""
    examples, validation = training_data(material, "distil")
    master = teacher.teacher(taught_by) if taught_by else teacher.PackageTeacher.of(parent, torch.get_num_threads())
    teacher.same_labels(master, parent.manifest["labels"])
    make, described = networks.find(student.name, student.options)
    networks.suit(student.name, examples.kind.name)
    torch.manual_seed(how.seed)
    made = networks.build(make, examples.kind, len(parent.manifest["labels"]))
    taught = finetune.tune(made, examples, validation, how, teacher=master)
    count = network.parameters(made)
    before = (parent.manifest.get("metrics") or {}).get("parameters")
    details: dict[str, Any] = {
        "method": f"{described['network']} taught by {master.reference} for {how.epochs} epochs",
        "student": described, "teacher": master.reference,
        "parameters": {"before": before, "after": count}, "finetuning": taught,
    }  # fmt: skip
    return network.body(made, parent, examples), details
