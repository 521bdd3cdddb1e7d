"""The console's pictures: their counts add up as a function's do, and the README names those that there are."""

from __future__ import annotations

import re

import pytest

from bench.console import deployment, pictures
from bench.machine import ROOT


@pytest.mark.parametrize("number", range(0, deployment.MINUTES, 7))
@pytest.mark.parametrize(("calls", "version"), [(72, 1), (8, 2)])
def test_a_minute_counts_each_item_once(number: int, calls: int, version: int) -> None:
    counts = deployment.minute(number, calls, version)
    sums = [counts.labels, counts.scores, counts.latency["total"], *counts.features.values()]
    assert counts.requests > 0
    assert [sum(one.values()) for one in sums] == [counts.requests] * len(sums)
    assert all(share >= 0 for one in sums for share in one.values())


def test_the_same_minute_is_the_same_each_time() -> None:
    assert deployment.minute(11, 72, 1) == deployment.minute(11, 72, 1)
    assert deployment.minute(11, 72, 1) != deployment.minute(30, 72, 1)


def test_the_readme_shows_every_picture_with_a_text_and_each_is_small() -> None:
    named = dict(re.findall(r"!\[([^\]]{20,})\]\(docs/pictures/(\w+)\.png\)", (ROOT / "README.md").read_text()))
    there = {path.stem: path.stat().st_size for path in pictures.FOLDER.iterdir()}
    assert sorted(named.values()) == sorted(there) == sorted(pictures.PICTURES)
    assert max(there.values()) <= pictures.MOST
