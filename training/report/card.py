"""What a package says of its model: amaas.json, and the model card (Mitchell et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from training.data.dataset import Dataset
from training.kinds.kind import Kind
from training.report import quality
from training.report.evaluate import outputs
from training.report.reference import reference

ITEMS = {"image": "images", "text": "texts", "audio": "sounds", "table": "rows"}
SLICES = 12  # that the card shows; amaas.json has them all


@dataclass(frozen=True)
class Statement:
    """What is said of a model that cannot be measured. reading: how the data was read, where somebody chose.

    licence: the model's; without one, the data's is taken. intended: what it is for. teacher: what lineages call it.
    """

    name: str
    recipe: dict[str, Any]
    reading: dict[str, Any] = field(default_factory=dict)
    licence: str | None = None
    intended: str | None = None
    teacher: str | None = None

    @property
    def details(self) -> dict[str, Any]:
        return self.recipe | ({"teacher": self.teacher} if self.teacher else {})


def manifest(
    network: torch.nn.Module, data: Dataset, kind: Kind, metrics: dict[str, Any], statement: Statement
) -> dict[str, Any]:
    """The content of amaas.json, but for the golden set."""

    def logits(values: np.ndarray) -> np.ndarray:
        return outputs(network, kind, kind.encode(values), "cpu")

    counts = {split: len(getattr(data, split)[1]) for split in ("train", "validation", "test")}
    return {
        "name": statement.name,
        "task": kind.task,
        "inputs": kind.tensors,
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, len(data.labels)]}],
        "preprocess": kind.preprocess,
        "postprocess": {"activation": "softmax", "top_k": 5},
        "labels": data.labels,
        "metrics": metrics,
        "dataset": {**data.about, "splits": counts, "dropped": data.dropped(), "read": statement.reading}
        # whoever knows all items but one could find it by a digest: not of data that was trained on privately
        | ({} if "privacy" in metrics else {"digests": data.digests}),
        "licence": statement.licence or data.about["licence"],
        "card": card(data, kind, metrics, counts, statement),
        "lineage": {"parent": None, "step": "distil" if statement.teacher else "train", "details": statement.details},
        "reference": reference(logits, data, kind, private="privacy" in metrics),
    }


def card(data: Dataset, kind: Kind, metrics: dict[str, Any], counts: dict[str, int], statement: Statement) -> str:
    """The model card, in Markdown; every figure in it is taken from metrics."""
    dropped = ", ".join(f"{count} {reason}" for reason, count in data.dropped().items()) or "none"
    settings = ", ".join(f"{key} {value}" for key, value in statement.details.items())
    about, items = data.about, ITEMS[kind.name]
    holder = f", © {about['copyright']}" if "copyright" in about else ""
    synthetic = "**The data is synthetic.** " if about.get("synthetic") else ""
    weak = _weak(metrics, counts["validation"], items)
    data_licence, (low, high) = about["licence"] or "not stated", metrics["test_interval"]
    return f"""# {statement.name}

Sorts {items} into {len(data.labels)} classes: {", ".join(data.labels)}.

**Test accuracy {metrics["test_accuracy"]:.2%}** (95 % interval {low:.2%} to {high:.2%}, {counts["test"]:,} {items}
that took no part in training or model choice). Mean F1 of the classes {metrics["test_macro_f1"]:.2%}; expected
calibration error {metrics["test_calibration_error"]:.1%}.

| class | {items} | recall | precision | F1 |
|---|---|---|---|---|
{_classes(metrics["test_classes"])}

{weak}**Data:** {about["name"]} ({about["source"]}; licence: {data_licence}{holder}).
{synthetic}Training {counts["train"]:,}, validation {counts["validation"]:,}, test {counts["test"]:,}.
Dropped in cleaning: {dropped}.

**Training:** {settings}. {metrics["parameters"]:,} parameters; the weights are those
after epoch {metrics["best_epoch"]}, which did best on the validation split. {_footprint(metrics["footprint"])}
{_privacy(metrics)}
**Licence:** {statement.licence or data_licence}.

**Intended use:** {statement.intended or f"{items} like those of the data set; nothing else was tested"}.

**Limits:** it knows nothing but these classes, and answers one of them for anything it is given. The figures hold for
{items} like those of the test set: measure it on your own before you rely on it.
"""


def _classes(classes: dict[str, Any]) -> str:
    return "\n".join(
        f"| {label} | {one['count']:,} | {one['recall']:.1%} | {one['precision']:.1%} | {one['f1']:.1%} |"
        for label, one in classes.items()
    )


def _weak(metrics: dict[str, Any], validation: int, items: str) -> str:
    """What the accuracy hides, and the slices where it is lowest. validation: how many items chose the epoch."""
    told = quality.cautions(metrics, (metrics["validation_accuracy"], validation), items)
    return "".join(f"**Mind:** {one[0].lower()}{one[1:]}.\n\n" for one in told) + _slices(metrics["test_slices"])


def _slices(slices: list[dict[str, Any]]) -> str:
    if not slices:
        return ""
    lines = [
        f"| {one['slice']} | {one['count']:,} | {one['accuracy']:.1%} "
        f"({one['interval'][0]:.1%} to {one['interval'][1]:.1%}) |"
        for one in sorted(slices, key=lambda one: one["accuracy"])[:SLICES]
    ]
    return "\n".join(["| slice, weakest first | count | accuracy |", "|---|---|---|", *lines, "", ""])


def _footprint(taken: dict[str, Any]) -> str:
    cost = f", which cost {taken['cost']:g}" if "cost" in taken else ""
    return (
        f"{taken['seconds']:,.0f} s on {taken['cores']} cores, {taken['cpu_seconds']:,.0f} s of CPU time, "
        f"{taken['kilowatt_hours']:g} kWh ({taken['energy']}){cost}."
    )


def _privacy(metrics: dict[str, Any]) -> str:
    spent = metrics.get("privacy")
    if not spent:
        return ""
    return (
        f"\n**Differential privacy:** ε = {spent['epsilon']:g} at δ = {spent['delta']:g} per training item (DP-SGD, "
        f"noise {spent['noise_multiplier']:g}, clipping at {spent['clip']:g}, {spent['accountant']}). Not counted: "
        "scaling, vocabulary and cleaning, which looked at the training split, and the choice of the best epoch.\n"
    )
