"""The simulation of drift: what changes is found, what does not is not, by the product's own looks."""

from __future__ import annotations

import numpy as np

from bench.drift import quiet, streams
from bench.drift.streams import Pool, described
from shared.package.manifest import Manifest


def test_quiet_days_are_quiet_and_the_usual_rule_is_not() -> None:
    days = quiet.days(5, 6000, 120, np.random.default_rng(1))
    assert (days["alarmed"], days["days"]) == (0, 5)
    assert days["usual"] > 0


def test_a_change_is_found_in_its_hour_where_there_are_enough_items() -> None:
    random = np.random.default_rng(2)
    reference = {"features": {"x": described(random.beta(2, 3, 5000))}}
    before, after = (Pool({"x": random.beta(*of, 5000)}).fit(reference) for of in ((2, 3), (4, 2)))
    manifest = Manifest(reference=reference)
    assert streams.delay(manifest, before.counts, after.counts, 500, 4, random) == 1
    assert streams.delay(manifest, before.counts, before.counts, 500, 4, random) is None
    slow = streams.delay(manifest, before.counts, after.counts, 20, 24, random)
    assert slow is not None and 1 < slow < 24
