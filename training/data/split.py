"""Splits of items, and picks from them, by class."""

from __future__ import annotations

import numpy as np

from training.data.source import Split
from training.errors import TrainingError


def stratified(
    values: np.ndarray, labels: np.ndarray, share: float, seed: int, groups: np.ndarray | None = None
) -> tuple[Split, Split]:
    """Two parts with the same mixture of classes; the second has `share` of each class, and at least one of it.

    groups: names [N] of what may not be torn apart; the share is then met as nearly as they allow.
    """
    random = np.random.default_rng(seed)
    if groups is not None:
        second = _whole_groups(labels, groups, share, random)
    else:
        second = np.zeros(len(labels), bool)
        for label in np.unique(labels):
            members = random.permutation(np.flatnonzero(labels == label))
            second[members[: max(1, round(len(members) * share))]] = True
    return (values[~second], labels[~second]), (values[second], labels[second])


def _whole_groups(labels: np.ndarray, groups: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Which items [N] the second part has: group by group in random order, where each class has room for its items.

    A class that found no room so gets its smallest group. Raises TrainingError where all of a class is in one group.
    """
    classes, label = np.unique(labels, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (group, label), 1)
    room = np.maximum(1, np.round(counts.sum(0) * share)).astype(int)
    chosen = np.zeros(len(names), bool)
    for one in random.permutation(len(names)):
        if (counts[one] <= room).all():
            chosen[one], room = True, room - counts[one]
    for column in range(len(classes)):
        if counts[chosen, column].sum() == 0:
            members = np.flatnonzero(counts[:, column])
            chosen[members[counts[members].sum(1).argmin()]] = True
    if (counts[~chosen].sum(0) == 0).any():
        raise TrainingError(
            "the groups leave a class without training items: a class that is to be learned and tested needs items in "
            "several groups"
        )
    return chosen[group]


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` items in turn from every class: the first of each, then the second of each, and so on."""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.sort(np.argsort(turn, kind="stable")[:count])
