"""`amaas cost`: tables of amounts, and the sentences under them."""

from __future__ import annotations

import time

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.test_cli import answered
from tests.registry.conftest import push


def test_cost_of_one_model_and_of_all(run: Run, log: Log) -> None:
    push(log, "m", 2)
    push(log, "quiet")
    at = int(time.time() // 60) - 5
    rows = [
        Row(model="m", version=version, alias="production", since=2, at=at, counts=Counts(requests=1000, billed_ms=ms))
        for version, ms in ((1, 5000), (2, 40_000))
    ]
    log.store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, 1), forms.pack(forms.Raw(rows=rows)))
    shown = run("cost", "m").stdout
    assert shown.startswith("m costs from ") and "per 1,000 answers" in shown
    assert "break-even: from " in shown and "c6i.large" in shown and "not in it: " in shown
    assert "remembered" in shown
    exact = answered(run, "cost", "m")
    assert [one["mean_ms"] for one in exact["versions"]] == [5.0, 40.0]
    never = run("cost", "m", "--instance-hour", "99").stdout
    assert "break-even: at no number of calls" in never
    listed = run("cost").stdout
    assert "quiet" in listed and "in all:" in listed
    assert [one["model"] for one in answered(run, "cost")["models"]] == ["m", "quiet"]
    assert run("cost", "--instance-hour", "1").exit_code == 2
    refused = run("cost", "nope")
    assert (refused.exit_code, "no model 'nope'" in refused.stderr) == (1, True)
