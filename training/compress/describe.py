"""What the new package says of itself: measured figures, lineage; the parent's figures are called that."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np

from training.compress.evaluation_data import EvaluationData, Labeled
from training.compress.steps import Step
from training.package import Package
from training.report.quality import by_score, softmax

VERSIONS = ("onnx", "onnxruntime", "numpy")


def metrics(
    data: EvaluationData, after: dict[str, dict[str, Any]], parent: Package, details: dict[str, Any]
) -> dict[str, Any]:
    """Figures of the new model only; none of accuracy when no data set was at hand. after: scores by split."""
    shared = {"parameters": parent.manifest["metrics"]["parameters"]} if _counted(parent) else {}
    if "parameters" in details:
        shared = {"parameters": details["parameters"]["after"]}
    if parent.privacy:
        shared |= {"privacy": parent.privacy}  # nothing more was spent: steps.py refuses what looks at training items
    if not data.test:
        return shared
    test = after["test"]
    return {
        "test_accuracy": round(test["accuracy"], 4),
        "test_interval": [round(value, 4) for value in test["interval"]],
        "test_loss": round(test["loss"], 4),
        "test_recall": {label: round(value, 4) for label, value in test["recall"].items()},
        "validation_accuracy": round(after["validation"]["accuracy"], 4),
        **shared,
    }


def lineage(parent: Package, step: Step, details: dict[str, Any]) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    return {
        "parent": parent.reference,
        "step": step.lineage,
        "details": {"step": step.name, **details, "versions": versions},
    }


def reference(parent: Package, test: Labeled | None, logits: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """The parent's histograms to compare traffic with; what is of scores anew, where there are data. logits: by split.

    How often which score is right holds for one model only: without data nothing is said of it.
    """
    old: dict[str, Any] = parent.manifest.get("reference") or {}
    scores = old.get("scores") or {}
    scores = {name: value for name, value in scores.items() if name != "calibration"}
    if not old or "validation" not in logits or "top" not in scores:
        return (old | {"scores": scores} if scores else old) or None
    validation = logits["validation"]
    top = softmax(validation).max(1)
    edges = scores["top"]["edges"]
    counts, _ = np.histogram(top, bins=np.asarray(edges))
    labels = parent.manifest["labels"]
    predicted = np.bincount(validation.argmax(1), minlength=len(labels)).tolist()
    if test is not None and "test" in logits:
        scores["calibration"] = by_score(softmax(logits["test"]), np.asarray(test.labels))
    fresh = {"top": {"edges": edges, "counts": counts.tolist()}, "labels": dict(zip(labels, predicted, strict=True))}
    return old | {"scores": scores | fresh}


def card(parent: Package, step: Step, details: dict[str, Any]) -> str:
    """The parent's card with a paragraph below its title: what was done, what it did, whose the figures below are."""
    text = (
        f"**{_summary(step, details)}** Made from {parent.reference} by the step `{step.name}` ({details['method']})."
    )
    if "accuracy" not in details:
        text += " No data set was at hand: accuracy was not measured."
    text += " All figures below this paragraph are its parent's."
    title, _, rest = str(parent.manifest.get("card") or f"# {parent.name}\n").partition("\n")
    return f"{title}\n\n{text}\n\n{rest.lstrip()}"


def _summary(step: Step, details: dict[str, Any]) -> str:
    size = details["size"]
    grown = " (larger than before)" if size["after"] > size["before"] else ""
    parts = [f"{size['after']:,} bytes instead of {size['before']:,}{grown}"]
    if "compressed_size" in details:
        packed = details["compressed_size"]
        parts.append(
            f"{details['sparsity']:.0%} of the weights are zero, which makes neither the file smaller nor the model "
            f"faster; compressed (zlib) it is {packed['after']:,} bytes instead of {packed['before']:,}"
        )
    if (details.get("parameters") or {}).get("before"):
        parts.append("{after:,} parameters instead of {before:,}".format(**details["parameters"]))
    if "accuracy" in details:
        after, before = details["accuracy"]["after"], details["accuracy"]["before"]
        low, high = details["accuracy"]["interval"]
        parts.append(f"test accuracy {after:.2%} (95 % interval {low:.2%} to {high:.2%}), {before:.2%} before")
    parts.append(f"largest difference of an output {details['max_abs_error']:.3g}")
    return f"Compressed, {step.name}: " + "; ".join(parts) + "."


def _counted(parent: Package) -> bool:
    """Most steps change how numbers are stored, not how many the network has; the others say how many."""
    return "parameters" in (parent.manifest.get("metrics") or {})
