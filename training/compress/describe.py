"""What the new package says of itself: measured figures, lineage, golden set; the parent's figures are called that."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np

from training.compress import measure
from training.compress.data import Labelled, Material
from training.compress.package import Arrays, Package
from training.quality import softmax

RTOL = 1e-3
STEPS = {
    "int8": "quantize", "dynamic": "quantize", "weight8": "quantize", "int4": "quantize", "fp16": "quantize",
    "graph": "optimize",
    "prune": "prune", "magnitude": "prune", "distil": "distil",
}  # fmt: skip
# what another order of rounding may change, as a share of the largest output: two steps of 8 bits, four of FP16
GRAIN = {"int8": 2 / 127, "dynamic": 2 / 127, "weight8": 2 / 127, "int4": 2 / 127, "fp16": 4 / 2048}
VERSIONS = ("onnx", "onnxruntime", "numpy")


def golden(
    step: str, material: Material, body: bytes, after: Arrays, declared: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of golden.npz, and its entry in amaas.json, with tolerances that hold at any optimisation level.

    Twice what was seen here, and the GRAIN of the step, since other CPUs have other kernels; the parent's tolerances
    where that suffices.
    """
    # the gate replays all rows at once; one by one, dynamic scales are others, which the lineage tells
    batches = (measure.BATCH,) if step == "dynamic" else (measure.BATCH, 1)
    seen = measure.steadiness(body, material.golden, after, batches)
    floats = [values for values in after.values() if values.dtype.kind == "f"]
    grain = GRAIN.get(step, 0.0) * max((float(np.abs(values).max(initial=0)) for values in floats), default=0.0)
    atol = max(float(declared.get("atol", 1e-4)), float(f"{max(2 * seen, grain):.2g}"))
    inputs = {f"input.{name}": values for name, values in material.golden.items()}
    rtol = max(float(declared.get("rtol", RTOL)), RTOL)
    return inputs | {f"output.{n}": v for n, v in after.items()}, {"file": "golden.npz", "rtol": rtol, "atol": atol}


def metrics(
    material: Material, after: dict[str, dict[str, Any]], parent: Package, details: dict[str, Any]
) -> dict[str, Any]:
    """Figures of the new model only; none of accuracy when no data set was at hand. after: scores by split."""
    kept = {"parameters": parent.manifest["metrics"]["parameters"]} if _counted(parent) else {}
    if "parameters" in details:
        kept = {"parameters": details["parameters"]["after"]}
    if parent.privacy:
        kept |= {"privacy": parent.privacy}  # nothing more was spent: apply.py refuses what looks at training items
    if not material.test:
        return kept
    test = after["test"]
    return {
        "test_accuracy": round(test["accuracy"], 4),
        "test_interval": [round(value, 4) for value in test["interval"]],
        "test_loss": round(test["loss"], 4),
        "test_recall": {label: round(value, 4) for label, value in test["recall"].items()},
        "validation_accuracy": round(after["validation"]["accuracy"], 4),
        **kept,
    }


def lineage(parent: Package, step: str, details: dict[str, Any]) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    return {
        "parent": parent.reference,
        "step": STEPS[step],
        "details": {"step": step, **details, "versions": versions},
    }


def reference(parent: Package, validation: Labelled | None, logits: np.ndarray | None) -> dict[str, Any] | None:
    """The parent's histograms to compare traffic with; those of the scores anew, where there are validation data."""
    old = parent.manifest.get("reference")
    scores = (old or {}).get("scores") or {}
    if not old or validation is None or logits is None or "top" not in scores:
        return old
    top = softmax(logits).max(1)
    edges = scores["top"]["edges"]
    counts, _ = np.histogram(top, bins=np.asarray(edges))
    labels = parent.manifest["labels"]
    predicted = np.bincount(logits.argmax(1), minlength=len(labels)).tolist()
    fresh = {"top": {"edges": edges, "counts": counts.tolist()}, "labels": dict(zip(labels, predicted, strict=True))}
    return old | {"scores": scores | fresh}


def card(parent: Package, step: str, details: dict[str, Any]) -> str:
    """The parent's card with a paragraph below its title: what was done, what it did, whose the figures below are."""
    text = f"**{_summary(step, details)}** Made from {parent.reference} by the step `{step}` ({details['method']})."
    if "accuracy" not in details:
        text += " No data set was at hand: accuracy was not measured."
    text += " All figures below this paragraph are its parent's."
    title, _, rest = str(parent.manifest.get("card") or f"# {parent.name}\n").partition("\n")
    return f"{title}\n\n{text}\n\n{rest.lstrip()}"


def _summary(step: str, details: dict[str, Any]) -> str:
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
    return f"Compressed, {step}: " + "; ".join(parts) + "."


def _counted(parent: Package) -> bool:
    """Most steps change how numbers are stored, not how many the network has; the others say how many."""
    return "parameters" in (parent.manifest.get("metrics") or {})
