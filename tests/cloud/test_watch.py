"""A worse canary on the deployed template: rolled back without a person, told, and shown in a history that verifies."""

from __future__ import annotations

import json
import os
import time

import pytest

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from tests.cloud.conftest import Cloud
from tests.cloud.running import logged, resource, until
from tests.support import linear

pytestmark = pytest.mark.cloud
MODEL = "watched"
ALIAS = f"/models/{MODEL}/aliases/production"


def count(cloud: Cloud, since: int) -> None:
    """What a process would have counted three minutes ago: half of the canary's calls failed."""
    at = int(time.time() // 60) - 3
    rows = [
        Row(model=MODEL, version=version, alias="production", since=since, at=at, counts=counts)
        for version, counts in ((1, Counts(requests=90)), (2, Counts(requests=20, server_errors=10)))
    ]
    key = keys.stats_raw(hour_of(at), at % 60, os.urandom(8).hex(), 1)
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=forms.pack(forms.Raw(rows=rows)))


def test_a_worse_canary_is_rolled_back_without_a_person(cloud: Cloud) -> None:
    began = time.time()
    for weight in (1.0, 2.0):
        assert cloud.upload(MODEL, {"model.onnx": linear([[weight], [0.0]])})["state"] == "registered"
    policy = cloud.api.put(f"{ALIAS}/policy", json={"release": {"steps": [10, 50, 100]}})
    assert policy.json()["release"]["abort"], policy.text
    moved = cloud.api.put(ALIAS, json={"split": {"1": 90, "2": 10}})
    assert moved.status_code == 200, moved.text
    count(cloud, moved.json()["since"])

    def rolled_back() -> bool:
        reply = cloud.aws("lambda").invoke(
            FunctionName=resource(cloud, "WatchFunction"), Payload=b'{"source": "aws.events"}'
        )
        answer = json.loads(reply["Payload"].read())
        assert "FunctionError" not in reply, answer
        return (
            cloud.api.get(f"/models/{MODEL}").json()["aliases"]["production"]["version"] == 1 and not answer["looked"]
        )

    until(rolled_back)  # by this call, or by the schedule's
    history = cloud.api.get(f"/models/{MODEL}/history?verify=true").json()
    record = history["records"][0]
    assert history["verified"] is True
    assert (record["kind"], record["by"], record["aliases"]) == ("rollback", "watcher", {"production": 1})
    assert record["evidence"]["metrics"]["server_errors"]["canary_bad"] == 10
    assert "version 2 is worse than version 1" in record["reason"]
    told = f"{MODEL}/{record['revision']}"
    until(lambda: [line for line in logged(cloud, "watch", began) if line.get("id") == told])
