"""Fixed bins of durations, and quantiles of what is in them.

Bin b holds durations of 2^(b/4) up to 2^((b+1)/4) µs: quarter octaves, the same in every process and release, so that
histograms are added bin by bin. A quantile is the geometric middle of the bin that holds it, so it is off by a factor
of 2^(1/8) at most: by 9.1 %, whatever the durations are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

PER_OCTAVE = 4
LAST = 35 * PER_OCTAVE  # 2^35 µs are nine hours: more than any call takes
ERROR = 2 ** (1 / (2 * PER_OCTAVE)) - 1

SCORES = 20  # bins of a score, from 0 to 1
LARGEST = 1e300  # of an edge: an integer may be larger than any float

Histogram = dict[int, int]


def of_ns(ns: int) -> int:
    """The bin of a duration in ns. What is shorter than a microsecond is in bin 0."""
    if ns <= 1000:
        return 0
    return min(int(PER_OCTAVE * math.log2(ns / 1000)), LAST)


def milliseconds(number: int) -> float:
    """The geometric middle of a bin."""
    return float(2 ** ((number + 0.5) / PER_OCTAVE)) / 1000


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """In ms: of `share` of all durations, the longest (nearest rank). None for an empty histogram."""
    rank = math.ceil(share * sum(histogram.values()))
    for number in sorted(histogram):
        rank -= histogram[number]
        if rank <= 0:
            return milliseconds(number)
    return None


def place(value: float, edges: Sequence[float]) -> int:
    """The bin of a value among edges, as numpy's histogram has them: from 1 on; 0 is below, len(edges) is above.

    The last bin includes its upper edge. NaN, an absent value, is in bin -1.
    """
    if math.isnan(value):
        return -1
    if value == edges[-1]:
        return len(edges) - 1
    from bisect import bisect_right

    return bisect_right(edges, value)


def is_scale(edges: Any) -> bool:
    """Whether these can be the edges of bins, whatever a package says: finite numbers that do not fall."""
    return (
        isinstance(edges, list)
        and all(isinstance(edge, (int, float)) and -LARGEST < edge < LARGEST for edge in edges)
        and all(low <= high for low, high in pairwise(edges))
    )
