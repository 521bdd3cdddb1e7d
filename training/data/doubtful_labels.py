"""Doubtful labels: items that a model which has not seen them confidently takes for another class.
from training.options import KindName

Confident learning (Northcutt, Jiang, Chuang: Confident Learning, JAIR 70, 2021). A model on cheap features says what is
odd, no more: whether it is wrong is for somebody to see.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from training.data import features
from training.options import KindName

FOLDS = 5
MARGIN = 0.7  # by which the likely class must lead: half of what is found on Fashion-MNIST without it is no mistake
FIELDS, COMPONENTS, KERNELS, WIDTH = 14, 40, 300, 0.6  # an image's thumbnail; WIDTH is for a total variance of 1
BANDS, PARTS = 24, 4  # a sound's mel energies: mean and deviation in each quarter of it
HASHES, GRAMS = 2**14, (1, 3)  # a text's runs of one to three characters
CATEGORIES = 254  # of a column, as many as the trees tell apart; rarer ones are a gap


class Suspect(NamedTuple):
    """item: its index in the values. label, likely: classes. confidence: probability of the likely one, out of fold."""

    item: int
    label: int
    likely: int
    confidence: float


def suspects(
    values: np.ndarray,
    labels: np.ndarray,
    kind: KindName,
    details: dict[str, Any],
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> list[Suspect]:
    """Items (as in Source) with doubtful labels [N], most confident first; among those that can be judged."""
    within = ~alone(labels)
    if len(np.unique(labels[within])) < 2:
        return []
    if not within.all():
        places = np.flatnonzero(within)
        doubtful_items = suspects(values[within], labels[within], kind, details, folds=folds, seed=seed)
        return [one._replace(item=int(places[one.item])) for one in doubtful_items]
    matrix, model = PREPARED[kind](values, details, seed)
    return doubtful(out_of_fold(matrix, labels, model, folds, seed), labels)


def alone(labels: np.ndarray) -> np.ndarray:
    """Which items [N] are the only one of their class: a model that has not seen them does not know the class."""
    return np.asarray(np.bincount(labels)[labels] < 2)


def doubtful(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """The off-diagonal of the confident joint. probabilities: [N, classes], of models that did not see the item.

    An item belongs to a class with confidence when its probability is at least the mean of those who carry that label;
    of several such classes to the likeliest. It is doubtful when that is not its own, and leads by MARGIN.
    """
    own = [labels == k for k in range(probabilities.shape[1])]
    means = np.array([probabilities[of, k].mean() if of.any() else np.inf for k, of in enumerate(own)])
    confident = np.where(probabilities >= means, probabilities, -1.0)
    likely, best = confident.argmax(1), confident.max(1)
    own_label = probabilities[np.arange(len(labels)), labels]
    doubtful_items = np.flatnonzero((likely != labels) & (best - own_label >= MARGIN))
    order = doubtful_items[np.argsort(-best[doubtful_items], kind="stable")]
    return [Suspect(int(n), int(labels[n]), int(likely[n]), float(best[n])) for n in order]


def out_of_fold(matrix: Any, labels: np.ndarray, model: Any, folds: int, seed: int) -> np.ndarray:
    """Probabilities [N, classes], each item's from a copy of the model that was fitted without its fold."""
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    smallest = np.bincount(labels)[np.unique(labels)].min()
    parts = StratifiedKFold(max(2, min(folds, smallest)), shuffle=True, random_state=seed)
    probabilities = np.zeros((len(labels), labels.max() + 1))
    with threadpool_limits(1), warnings.catch_warnings():  # products this small are slower in several threads
        warnings.simplefilter("ignore")  # a class of one item; a fit that is good enough for this, but not at its end
        for others, fold in parts.split(np.zeros(len(labels)), labels):
            fitted = clone(model).fit(matrix[others], labels[others])
            probabilities[np.ix_(fold, fitted.classes_)] = fitted.predict_proba(matrix[fold])
    return probabilities


def _images(images: np.ndarray, details: dict[str, Any], seed: int) -> tuple[Any, Any]:
    """Thumbnails in a sum of Gaussian kernels: straight lines alone tell a shirt from a coat too badly."""
    from sklearn.decomposition import PCA
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    fields = features.thumbnails(images, FIELDS, gray=False)
    fields = (fields - fields.mean(0)) / max(float(np.sqrt(fields.var(0).sum())), 1e-6)
    components = min(COMPONENTS, fields.shape[1], len(fields) // 2)
    kernels = Nystroem(gamma=WIDTH, n_components=KERNELS, random_state=seed)
    return fields, make_pipeline(PCA(components, random_state=seed), kernels, LogisticRegression(C=10, max_iter=100))


def _texts(texts: np.ndarray, details: dict[str, Any], seed: int) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=GRAMS, n_features=HASHES, dtype=np.float32)
    return hashed.transform(texts), LogisticRegression(C=10, max_iter=50)


def _sounds(sounds: np.ndarray, details: dict[str, Any], seed: int) -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = []
    for samples in sounds:
        parts = np.array_split(features.mel(samples, details["sample_rate"], BANDS), PARTS, axis=1)
        filled = [part if part.shape[1] else parts[0] for part in parts]  # a sound of fewer frames than parts
        rows.append(np.concatenate([measure(part, axis=1) for part in filled for measure in (np.mean, np.std)]))
    return np.stack(rows), make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100))


def _rows(rows: np.ndarray, details: dict[str, Any], seed: int) -> tuple[Any, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    types: dict[str, str] = details["types"]
    columns = [_codes([row[name] for row in rows], kind) for name, kind in types.items()]
    categories = [kind == "category" for kind in types.values()]
    model = HistGradientBoostingClassifier(max_iter=60, categorical_features=categories, random_state=seed)
    return np.stack(columns, axis=1), model


def _codes(values: list[Any], kind: str) -> np.ndarray:
    if kind == "number":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    common = Counter(value for value in values if value is not None).most_common(CATEGORIES)
    codes = {value: float(code) for code, (value, _) in enumerate(common)}
    return np.array([codes.get(value, np.nan) for value in values])


PREPARED: dict[KindName, Callable[[np.ndarray, dict[str, Any], int], tuple[Any, Any]]] = {
    "image": _images,
    "text": _texts,
    "audio": _sounds,
    "table": _rows,
}
