"""What events do not bring to an end, on the deployed template: Lambda's own retries, the real queue, a redrive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.settings import STACK
from tests.cloud.conftest import Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud
PATIENCE = 120  # seconds: three deliveries, on whatever else the machine does


@pytest.fixture(scope="module")
def outputs(cloud: Cloud) -> dict[str, str]:
    stack = cloud.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def until(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return answer


def waiting(cloud: Cloud, outputs: dict[str, str]) -> int:
    names = ["ApproximateNumberOfMessages"]
    queue = cloud.aws("sqs").get_queue_attributes(QueueUrl=outputs["IngestFailuresUrl"], AttributeNames=names)
    return int(queue["Attributes"][names[0]])


def look(cloud: Cloud, outputs: dict[str, str]) -> list[dict[str, Any]]:
    event = json.dumps({"look": "uploads", "patience": 0})
    answer = cloud.aws("lambda").invoke(FunctionName=outputs["IngestFunctionName"], Payload=event)
    assert "FunctionError" not in answer
    handled: list[dict[str, Any]] = json.load(answer["Payload"])["handled"]
    return handled


def versions(cloud: Cloud, prefix: str) -> list[str]:
    page = cloud.s3.list_object_versions(Bucket=cloud.access["bucket"], Prefix=prefix)
    return [entry["Key"] for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]


def test_what_failed_three_times_waits_in_the_queue_and_is_redriven(cloud: Cloud, outputs: dict[str, str]) -> None:
    body = linear([[1.0], [0.0]])
    announced = {"files": [{"name": "model.onnx", "size": len(body)}]}
    session = cloud.api.post("/models/dead-letter/uploads", json=announced).json()
    identity, target = session["upload_id"], session["files"][0]
    state = {"Bucket": cloud.access["bucket"], "Key": f"models/dead-letter/uploads/{identity}.json"}
    sound = cloud.s3.get_object(**state)["Body"].read()
    cloud.s3.put_object(**state, Body=b"damaged: every delivery of the event ends with an exception")
    assert httpx.put(target["url"], content=body, headers=target["headers"], timeout=60).status_code == 200
    until(lambda: waiting(cloud, outputs))
    cloud.s3.put_object(**state, Body=sound)  # the cause is mended

    redriven = cloud.api.post("/uploads/redrive", json={}).json()
    assert {(one.get("upload_id"), one["outcome"]) for one in redriven["uploads"]} >= {(identity, "reopened")}
    until(lambda: waiting(cloud, outputs) == 0)
    assert cloud.api.post("/uploads/redrive", json={}).json()["uploads"] == []
    assert [(one["upload_id"], one["state"]) for one in look(cloud, outputs)] == [(identity, "registered")]
    assert cloud.api.get(f"/uploads/{identity}").json()["version"] == 1
    assert versions(cloud, f"uploads/{identity}/")


def test_an_upload_is_deleted_with_all_versions(cloud: Cloud) -> None:
    state = cloud.upload("deleted-files", {"model.onnx": linear([[2.0], [0.0]])})
    identity = state["upload_id"]
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=f"uploads/{identity}/files/model.onnx", Body=b"overwritten")
    deletion = cloud.api.delete(f"/uploads/{identity}").json()["deletion"]
    assert (deletion["objects"], deletion["versions"]) == (1, 2)
    assert versions(cloud, f"uploads/{identity}/") == []
    assert cloud.api.get("/models/deleted-files/versions/1").status_code == 200, "the version stays"
    [listed] = cloud.api.get("/models/deleted-files/uploads").json()["uploads"]
    assert listed["deletion"] == deletion


def test_nothing_that_ended_has_a_marker(cloud: Cloud, outputs: dict[str, str]) -> None:
    look(cloud, outputs)
    page = cloud.s3.list_objects_v2(Bucket=cloud.access["bucket"], Prefix="unfinished/")
    models = {entry["Key"].split("/")[1] for entry in page.get("Contents", [])}
    assert models.isdisjoint({"dead-letter", "deleted-files", "fashion-mnist", "spoken-digits"})
