"""What later traffic can be compared with: the `reference` of amaas.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from training.data.dataset import Dataset
from training.kinds.kind import Kind
from training.report.quality import by_score, softmax

BINS = 20
ENOUGH = 1_000  # items: histograms of as many are compared with whatever traffic there is


Logits = Callable[[np.ndarray], np.ndarray]


def reference(logits: Logits, data: Dataset, kind: Kind, *, private: bool = False) -> dict[str, Any]:
    """Histograms of inputs' plain features, of top scores and of answered labels; how often which top score is right.

    logits: the model's, [N, classes], of values as a split has them.
    Scores are those of the validation split, and right or wrong those of the test split: items that the network was not
    fitted to. What inputs are like no network changes, so a small validation split's inputs are counted together with
    the training split's; not where that is private, nor features of what was fitted to it, as a vocabulary.
    """
    scores = softmax(logits(data.validation[0]))
    predicted = np.bincount(scores.argmax(1), minlength=len(data.labels))
    return {
        "features": _features(data, kind, private),
        "scores": {
            "top": _histogram(scores.max(1), (0.0, 1.0)),
            "labels": dict(zip(data.labels, predicted.tolist(), strict=True)),
            "calibration": by_score(softmax(logits(data.test[0])), np.asarray(data.test[1])),
        },
    }


def _features(data: Dataset, kind: Kind, private: bool) -> dict[str, Any]:
    unseen = data.validation[0]
    typical = unseen if private or len(unseen) >= ENOUGH else np.concatenate([unseen, data.train[0]])
    computed, details = kind.features(typical), kind.feature_details()
    if kind.fitted_features:
        computed |= {name: values for name, values in kind.features(unseen).items() if name in kind.fitted_features}
    computed |= {} if private else kind.file_features(data.details)
    numbers = {
        name: _histogram(values) | {"absent": int(np.isnan(values).sum())} | details.get(name, {})
        for name, values in computed.items()
        if np.isfinite(values).any()
    }
    return numbers | {name: _frequencies(*one) for name, one in kind.categories(typical).items()}


def _frequencies(names: list[str], values: list[str | None]) -> dict[str, Any]:
    numbers = Counter(values)
    counts = [numbers[name] for name in names]
    return {
        "names": names,
        "counts": counts,
        "other": len(values) - numbers[None] - sum(counts),
        "absent": numbers[None],
    }


def _histogram(values: np.ndarray, span: tuple[float, float] | None = None) -> dict[str, list[Any]]:
    """Over their own span, where none is given; absent values are left out."""
    known = values[np.isfinite(values)]
    if span is None and known.min() >= 0 and known.max() <= 1:
        span = (0.0, 1.0)
    counts, edges = np.histogram(known, bins=BINS, range=span)
    return {"edges": [float(f"{edge:.6g}") for edge in edges], "counts": counts.tolist()}
