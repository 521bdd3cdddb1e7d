"""`amaas release`: where a canary is, what follows, and the evidence, in sentences and a table."""

from __future__ import annotations

import time

import pytest

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.registry import models
from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.test_cli import answered
from tests.registry.conftest import push


def test_a_release_in_words(run: Run, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    push(log, "m", 2)
    shown = run("release", "m").stdout
    assert shown.startswith("m production points to version 1")
    assert "not watched: it has no release policy" in shown and "amaas policy m --alias production --on" in shown
    assert run("policy", "m", "--on").exit_code == 0
    assert "there is no canary" in run("release", "m", "--watch").stdout  # and does not go on for ever
    assert run("split", "m", "1=90", "2=10").exit_code == 0
    assert "waits: no calls of version 2 since" in run("release", "m").stdout
    later = time.time() + 300
    monkeypatch.setattr(time, "time", lambda: later)
    at = int(later // 60) - 3
    rows = [
        Row(model="m", version=version, alias="production", since=models.get(log, "m").revision, at=at, counts=counts)
        for version, counts in ((1, Counts(requests=90)), (2, Counts(requests=20, server_errors=10)))
    ]
    log.store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, 1), forms.pack(forms.Raw(rows=rows)))
    shown = run("release", "m").stdout
    assert "goes back: version 2 is worse than version 1: server errors in 10 of 20 calls" in shown
    assert "worse (of 100)" in shown and "10 of 20" in shown and "next step: 25 %" in shown
    assert answered(run, "release", "m")["verdict"] == "roll-back"
    refused = run("release", "m", "--alias", "nope")
    assert (refused.exit_code, "no alias 'nope'" in refused.stderr) == (1, True)
