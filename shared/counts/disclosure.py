"""Bins that are not told, since they could tell of single persons: cell suppression, as statistical offices do it."""

from __future__ import annotations

from collections.abc import Sequence

# health statistics publish no cell of 10 or fewer (CMS): in one, a person can be made out by who knows the others
LEAST_TOLD = 11


def suppressed(items: Sequence[int]) -> set[int]:
    """Numbers of the bins, of those with these numbers of items, that are not told; where that is a single one, which
    would follow from the total, the next smallest is not told either.
    """
    order = sorted(range(len(items)), key=lambda number: items[number])
    few = [number for number in order if items[number] < LEAST_TOLD]
    return set(order[:2] if len(few) == 1 else few)
