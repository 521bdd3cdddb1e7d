"""Counts on the running cloud: a call is seen by version and alias, before it is merged and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.conftest import Cloud
from tests.cloud.running import resource, until
from tests.support import linear

pytestmark = pytest.mark.cloud


def counted(cloud: Cloud, model: str) -> dict[tuple[int, str | None], Any]:
    answer = cloud.api.get(f"/models/{model}/stats")
    assert answer.status_code == 200, answer.text
    assert answer.json()["left_out"] == 0
    return {(one["version"], one["alias"]): one for one in answer.json()["sums"]}


def test_a_call_is_counted_by_version_and_alias(cloud: Cloud) -> None:
    assert cloud.upload("counted", {"model.onnx": linear([[1.0]])})["version"] == 1
    assert cloud.api.put("/models/counted/aliases/production", json={"version": 1}).status_code == 200
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]}
    answer = cloud.api.post("/v2/models/counted/infer", json=body)
    assert answer.status_code == 200
    assert "run;dur=" in answer.headers["Server-Timing"]

    def seen() -> Any:
        # a process writes once a minute at most, after a call: other tests may have had it write just before
        assert cloud.api.post("/v2/models/counted/versions/1/infer", json=body).status_code == 200
        return counted(cloud, "counted").get((1, "production"))

    one = until(seen)
    assert (one["requests"], one["server_errors"], one["routes"]) == (1, 0, {"infer": 1})
    reply = cloud.aws("lambda").invoke(FunctionName=resource(cloud, "CountsFunction"), Payload=b"{}")
    merged = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, merged
    assert merged["damaged"] == 0
    assert counted(cloud, "counted")[1, "production"] == one
    assert counted(cloud, "counted")[1, None]["requests"] >= 1
    hours = cloud.s3.list_objects_v2(Bucket=cloud.access["bucket"], Prefix="stats/hours/")
    assert hours["KeyCount"] >= 1
