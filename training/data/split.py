"""Splits of items, and picks from them, by class."""

from __future__ import annotations

import numpy as np

from training.data.source import Split


def stratified(values: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[Split, Split]:
    """Two parts with the same mixture of classes; the second has `share` of each class, and at least one of it."""
    random = np.random.default_rng(seed)
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        second[members[: max(1, round(len(members) * share))]] = True
    return (values[~second], labels[~second]), (values[second], labels[second])


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` items in turn from every class: the first of each, then the second of each, and so on."""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.sort(np.argsort(turn, kind="stable")[:count])
