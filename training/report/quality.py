"""How good a classifier is on a split: accuracy with its interval, per class, in slices; and its scores' honesty."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from shared.counts.counts import SCORES

BINS = 15  # of the calibration
FEWEST = 20  # items of a slice that is told
MOST_NAMED = 10  # classes of which few are found
WIDE = 0.05  # half of an interval, from which on it says little


def measured(logits: np.ndarray, labels: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Of logits [N, classes] and labels [N]: accuracy, mean cross entropy, calibration error, and per class."""
    scores = softmax(logits)
    predicted, right = scores.argmax(1), scores.argmax(1) == labels
    accuracy = float(right.mean())
    classes = {}
    for k, name in enumerate(names):
        actual, answered = labels == k, predicted == k
        recall = float(right[actual].mean()) if actual.any() else 0.0
        precision = float(right[answered].mean()) if answered.any() else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        classes[name] = {
            "count": int(actual.sum()),
            "recall": round(recall, 4),
            "precision": round(precision, 4),
            "f1": round(f1, 4),
        }
    return {
        "accuracy": accuracy,
        "interval": wilson(accuracy, len(labels)),
        "loss": cross_entropy(logits, labels),
        "calibration_error": calibration(scores, labels)["error"],
        "classes": classes,
        "macro_f1": float(np.mean([one["f1"] for one in classes.values()])),
    }


def cautions(metrics: dict[str, Any], validation: tuple[float, int], items: str) -> list[str]:
    """Sentences for what an accuracy hides. metrics: with test_ before their names, as `measured` has them.

    validation: the accuracy by which the epoch was chosen, and of how many items.
    """
    classes: dict[str, Any] = metrics["test_classes"]
    name, most = max(classes.items(), key=lambda one: int(one[1]["count"]))
    always = most["count"] / max(sum(one["count"] for one in classes.values()), 1)
    told = []
    if metrics["test_interval"][0] <= always:
        told.append(
            f"Always answering {name} would be right in {always:.1%} of the test {items}: "
            f"the model's {metrics['test_accuracy']:.1%} are not surely more"
        )
    missed = {label: one for label, one in classes.items() if one["count"] and one["recall"] < 0.5}
    told += [
        f"Of {one['count']:,} {items} of the class {label}, {round(one['recall'] * one['count']):,} are found"
        for label, one in list(missed.items())[:MOST_NAMED]
    ]
    low, high = wilson(*validation)
    if (half := (high - low) / 2) >= WIDE:
        told.append(f"The epoch was chosen on {validation[1]:,} {items}: ±{100 * half:.0f} points of accuracy")
    return told


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean over items; of logits, since a score may be too small for a logarithm."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]).mean())


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (Wilson 1927)."""
    center, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return (center - spread) / (1 + z * z / count), (center + spread) / (1 + z * z / count)


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts [true class, predicted class]."""
    classes = logits.shape[1]
    return np.bincount(labels * classes + logits.argmax(1), minlength=classes * classes).reshape(classes, classes)


def calibration(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The expected calibration error (Guo et al. 2017); per bin of the top score its mean, the accuracy, the count."""
    top, right = scores.max(1), scores.argmax(1) == labels
    at = np.minimum((top * BINS).astype(int), BINS - 1)
    bins = [
        {"score": float(top[at == b].mean()), "accuracy": float(right[at == b].mean()), "count": int((at == b).sum())}
        for b in range(BINS)
        if (at == b).any()
    ]
    error = sum(one["count"] / len(labels) * abs(one["accuracy"] - one["score"]) for one in bins)
    return {"error": float(error), "bins": bins}


def by_score(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Items, and how many of them are right, by bins of the top score, as shared/counts/counts.py has them.

    From it the service estimates accuracy without labels (shared/accuracy/estimate.py).
    """
    top, right = scores.max(1), scores.argmax(1) == labels
    at = np.minimum((top * SCORES).astype(int), SCORES - 1)
    return {
        "split": "test",
        "counts": np.bincount(at, minlength=SCORES).tolist(),
        "right": np.bincount(at[right], minlength=SCORES).tolist(),
    }


def slices(features: dict[str, np.ndarray], right: np.ndarray) -> list[dict[str, Any]]:
    """Accuracy with its interval in the lower, middle and upper third of each feature; too small parts are left out."""
    rows = []
    for name, values in features.items():
        edges = np.nanquantile(values, [0, 1 / 3, 2 / 3, 1])
        for part, (low, high) in enumerate(pairwise(edges)):
            within = (values >= low) & ((values < high) | (part == 2))
            if within.sum() < FEWEST or low == high:
                continue
            share = float(right[within].mean())
            rows.append(
                {
                    "slice": f"{name} {low:.3g} to {high:.3g}",
                    "count": int(within.sum()),
                    "accuracy": round(share, 4),
                    "interval": [round(value, 4) for value in wilson(share, int(within.sum()))],
                }
            )
    return rows
