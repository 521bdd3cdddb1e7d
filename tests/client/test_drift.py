"""`amaas drift` and `amaas accuracy`: whether a model still fits its calls."""

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


def test_drift_shows_which_columns_differ_and_how(run: Run, log: Log) -> None:
    push(log, "pets", labels=["cat", "dog"], reference={"scores": {"labels": {"cat": 500, "dog": 500}}})
    assert run("drift", "pets").stdout.startswith("pets no calls from ")
    minute = int(time.time() // 60)
    counts = Counts(requests=300, labels={"cat": 295, "dog": 5})
    row = Row(model="pets", version=1, alias="production", since=2, at=minute, counts=counts)
    log.store.put(keys.stats_raw(hour_of(minute), 0, "0" * 16, 1), forms.pack(forms.Raw(rows=[row])))
    shown = run("drift", "pets", "--bins").stdout
    assert shown.startswith("pets@1 drift: these are distributed in another way: best label (PSI ")
    assert "major" in shown and "300" in shown and "too few" in shown
    assert answered(run, "drift", "pets@production")["versions"][0]["severity"] == "major"
    assert answered(run, "drift", "pets@1", "--since", "7d")["versions"][0]["requests"] == 300
    log.store.put(keys.stats_raw(hour_of(minute), 0, "0" * 16, 2), b"x")
    assert "incomplete: 1 stored objects" in run("drift", "pets").stdout
    refused = run("drift", "pets", "--since", "yesterday")
    assert (refused.exit_code, "is no time" in refused.stderr) == (1, True)


def test_accuracy_shows_an_estimate_and_how_sure_it_is(run: Run, log: Log) -> None:
    table = {"counts": [50] * 20, "right": [45] * 20}
    push(log, "pets", labels=["cat", "dog"], reference={"scores": {"calibration": table}})
    assert run("accuracy", "pets").stdout.startswith("pets no calls from ")
    minute = int(time.time() // 60)
    for number, scores in enumerate(({18: 60}, {19: 340})):
        row = Row(model="pets", version=1, alias="production", since=2, at=minute, counts=Counts(scores=scores))
        log.store.put(keys.stats_raw(hour_of(minute), 0, "0" * 16, number), forms.pack(forms.Raw(rows=[row])))
        shown = run("accuracy", "pets").stdout
        assert shown.startswith("pets@1 waiting: 60 answers" if number == 0 else "pets@1 estimated: 89.2 % (")
    assert "of 400 answers are right, 90.0 % on the test split" in shown
    assert answered(run, "accuracy", "pets@1", "--since", "1d")["versions"][0]["items"] == 400
