"""`amaas stats`: what all processes counted of a model's calls."""

from __future__ import annotations

import time

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.models import served
from tests.client.test_cli import answered


def test_stats_shows_what_all_processes_counted(run: Run, log: Log) -> None:
    served(log)
    assert run("stats", "sum").stdout.startswith("sum 0 requests from ")
    minute = int(time.time() // 60)
    slow = Counts(
        requests=3, server_errors=1, errors={"Crashed": 1}, latency={"total": {40: 3}}, ns={"total": 3_000_000}
    )
    rows = [Row(model="sum", version=1, alias="production", since=2, at=minute - ago, counts=slow) for ago in (3, 2)]
    by_number = Row(model="sum", version=1, at=minute - 1, counts=Counts(requests=5))
    for number, row in enumerate([*rows, by_number]):
        body = forms.pack(forms.Raw(rows=[row]))
        log.store.put(keys.stats_raw(hour_of(row.at), 0, "0" * 16, number), body)
    shown = run("stats", "sum").stdout
    assert shown.startswith("sum 11 requests from ")
    assert "2 Crashed" in shown and "at most 5 a minute" in shown and "1.12" in shown
    hours = answered(run, "stats", "sum", "--since", "1d", "--step", "hour")
    assert [one["requests"] for one in hours["sums"]] == [5, 6]
    assert answered(run, "stats", "sum@production")["sums"][0]["requests"] == 6
    assert len(answered(run, "stats", "sum@1")["series"]) == 3
    refused = run("stats", "sum", "--since", "yesterday")
    assert (refused.exit_code, "is no time" in refused.stderr) == (1, True)
