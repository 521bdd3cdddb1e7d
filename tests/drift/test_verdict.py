"""From a package's reference and counts of calls to a verdict, and what is told of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.counts import bins
from shared.counts.counts import SCORES, Counts
from shared.drift import columns, verdict, views
from shared.drift.histograms import Part
from shared.package.manifest import Manifest

RANDOM = np.random.default_rng(18)
EDGES = np.linspace(0, 1, 21).round(6).tolist()
LABELS = ["cat", "dog", "eel"]


def histogram(values: np.ndarray) -> dict[str, Any]:
    return {"edges": EDGES, "counts": np.histogram(values, bins=np.array(EDGES))[0].tolist()}


def manifest(**reference: Any) -> Manifest:
    usual = {
        "features": {"brightness": histogram(RANDOM.beta(2, 3, 4000))},
        "scores": {"top": histogram(RANDOM.beta(9, 1, 4000)), "labels": {"cat": 2000, "dog": 1500, "eel": 500}},
    }
    return Manifest(name="m", labels=LABELS, reference=usual | reference)


def calls(
    n: int, brightness: tuple[float, float] = (2, 3), score: tuple[float, float] = (9, 1), cats: float = 0.5
) -> Counts:
    counts = Counts(requests=n, items=n, features={"brightness": {}})
    for value in RANDOM.beta(*brightness, n).tolist():
        number = bins.place(value, EDGES)
        counts.features["brightness"][number] = counts.features["brightness"].get(number, 0) + 1
    for value in RANDOM.beta(*score, n).tolist():
        number = min(int(value * SCORES), SCORES - 1)
        counts.scores[number] = counts.scores.get(number, 0) + 1
    shares = [cats, (1 - cats) * 0.75, (1 - cats) * 0.25]
    counts.labels = dict(zip(LABELS, RANDOM.multinomial(n, shares).tolist(), strict=True))
    return counts


def test_calls_as_in_training_are_quiet() -> None:
    judged = verdict.judge(manifest(), calls(3000))
    assert (judged.state, judged.severity, judged.baseline) == ("quiet", "none", "reference")
    assert [one.column.name for one in judged.compared] == ["brightness", "top score", "best label"]


@pytest.mark.parametrize(
    ("different", "drifted"),
    [
        ({"brightness": (4, 2)}, "brightness"),
        ({"score": (3, 1)}, "top score"),
        ({"cats": 0.1}, "best label"),
    ],
)
def test_what_differs_is_named(different: dict[str, Any], drifted: str) -> None:
    judged = verdict.judge(manifest(), calls(3000, **different))
    assert (judged.state, judged.severity) == ("drift", "major")
    assert [one.column.name for one in judged.compared if one.severity != "none"] == [drifted]
    assert judged.reason.startswith(f"these are distributed in another way: {drifted} (PSI ")


def test_a_difference_that_is_certain_and_small_rings_nothing() -> None:
    judged = verdict.judge(manifest(), calls(200_000, cats=0.55))
    (labels,) = [one for one in judged.compared if one.column.name == "best label"]
    assert labels.probability is not None and labels.probability < verdict.ALPHA
    assert (judged.state, labels.severity) == ("quiet", "none")


def test_few_items_wait_and_say_how_many() -> None:
    judged = verdict.judge(manifest(), calls(60))
    assert (judged.state, judged.severity) == ("waiting", "none")
    assert judged.reason.startswith("60 items were counted in this span: 100 are needed")
    nothing = verdict.judge(manifest(), Counts(requests=3))
    assert nothing.state == "waiting" and "no items" in nothing.reason


def test_a_package_without_a_reference_is_compared_with_its_own_first_calls() -> None:
    bare = Manifest(name="m", labels=LABELS)
    assert "has no `reference`" in verdict.judge(bare, calls(3000)).reason
    first = calls(5000)
    assert verdict.judge(bare, calls(3000), first).state == "quiet"
    judged = verdict.judge(bare, calls(3000, cats=0.1), first)
    assert (judged.state, judged.baseline) == ("drift", "first calls")


def test_labels_that_are_not_counted_by_name_are_one() -> None:
    names = [f"l{number:03}" for number in range(100)]
    many = Manifest(labels=names, reference={"scores": {"labels": dict.fromkeys(names, 10)}})
    (column,) = columns.outputs(many, Counts(labels={"l000": 10, "other": 360}))
    assert (len(column.names), column.reference[-1], column.counts[-1]) == (65, 360, 360)


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"features": [1], "scores": "x"},
        {"features": {"a": 1, "b": {"edges": [1, 2]}, "c": {"edges": [2, 1], "counts": [3]}}, "scores": {"top": 3}},
        {"features": {"brightness": {"edges": [0, float("nan")], "counts": [3]}}, "scores": {"labels": {"cat": "3"}}},
        {"features": {"brightness": {"edges": EDGES, "counts": [-1] * 20}}, "scores": {"labels": [1]}},
        {"features": {"brightness": {"edges": EDGES, "counts": [1] * 19}}, "scores": {"top": {"counts": [1] * 20}}},
        {"features": {"brightness": {"names": [1] * 20, "counts": [True] * 20}}, "scores": {"labels": {"cat": True}}},
        {"features": {"brightness": {"names": [], "counts": []}}, "scores": {"top": {"edges": EDGES[1:]}}},
    ],
)
def test_of_a_package_that_says_nonsense_nothing_is_compared(reference: dict[str, Any]) -> None:
    judged = verdict.judge(Manifest(labels=LABELS, reference=reference), calls(500))
    assert (judged.state, judged.compared) == ("waiting", [])


def test_bins_with_few_items_are_not_told() -> None:
    def told(*counts: int) -> list[float | None]:
        return [one.share for one in views.bins([Part(name="p", reference=100, count=count) for count in counts])]

    assert told(50, 25, 25) == [0.5, 0.25, 0.25]
    assert told(10, 0, 90) == [None, None, 0.9]
    assert told(70, 5, 25) == [0.7, None, None], "one alone would follow from the others"
    assert told(0, 100) == [None, None]
