"""The registry on the running cloud: split, roll back, approve, verify; signed by the key service; tampered with."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from local.settings import STACK
from ops import tokens as operator
from tests.cloud.conftest import Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def model(cloud: Cloud) -> str:
    """Version n of it multiplies by n."""
    for n in (1, 2, 3):
        state = cloud.upload("steps", {"model.onnx": linear([[float(n)]])})
        assert state["version"] == n, state
    return "steps"


def ask(cloud: Cloud, model: str, key: str | None = None) -> str:
    """The version that answered, which must be the one whose weights did."""
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]}
    answer = cloud.api.post(f"/v2/models/{model}/infer", json=body, headers={"x-request-key": key} if key else {})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["outputs"][0]["data"] == [float(found["model_version"])]
    assert answer.headers["x-amaas-version"] == found["model_version"]
    return found["model_version"]


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def put(cloud: Cloud, model: str, **body: Any) -> dict[str, Any]:
    answer = cloud.api.put(f"/models/{model}/aliases/production", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_split_then_roll_back(cloud: Cloud, model: str) -> None:
    put(cloud, model, version=1)
    put(cloud, model, split={"1": 90, "2": 10}, reason="canary")
    keys = [f"customer-{n}" for n in range(60)]
    eventually(lambda: {ask(cloud, model, key) for key in keys} == {"1", "2"})
    shares = Counter(ask(cloud, model, key) for key in keys)
    assert shares["1"] > shares["2"] > 0
    assert [ask(cloud, model, key) for key in keys] == [ask(cloud, model, key) for key in keys]
    back = cloud.api.post(f"/models/{model}/aliases/production/rollback", json={"reason": "night"})
    assert (back.status_code, back.json()["version"], "split" in back.json()) == (200, 1, False)
    eventually(lambda: {ask(cloud, model, key) for key in keys} == {"1"})


def test_a_lost_reply_is_repeated_without_harm(cloud: Cloud, model: str) -> None:
    put(cloud, model, version=2)
    put(cloud, model, version=3)
    before = cloud.api.get(f"/models/{model}").json()["revision"]
    for _ in range(3):
        back = cloud.api.post(
            f"/models/{model}/aliases/production/rollback", json={}, headers={"Idempotency-Key": f"r-{before}"}
        )
        assert back.json()["version"] == 2
    assert cloud.api.get(f"/models/{model}").json()["revision"] == before + 1


def test_two_persons_through_the_gateway(cloud: Cloud, model: str) -> None:
    # by the operator: what one administrator creates is one person's
    [stack] = cloud.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    [tokens] = [one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "TokensFunctionName"]
    commands = [{"create": {"name": n, "scopes": ["promote", "write"]}} for n in ("ann", "bob")]
    made = [operator.order(tokens, command, cloud.access["endpoint_url"]) for command in commands]
    ann, bob = ({"Authorization": f"Bearer {token['token']}"} for token in made)
    alias = f"/models/{model}/aliases/stable"
    put_policy = cloud.api.put(alias + "/policy", json={"two_person": True})
    assert put_policy.json()["two_person"] is True
    assert cloud.api.put(alias, json={"version": 2}, headers=ann).status_code == 409
    asked = cloud.api.post(alias + "/requests", json={"version": 2}, headers=ann)
    assert asked.status_code == 201, asked.text
    approve = f"/models/{model}/requests/{asked.json()['request']}/approve"
    assert cloud.api.post(approve, headers=ann).status_code == 403
    assert cloud.api.post(approve, headers=bob).json()["version"] == 2
    newest = cloud.api.get(f"/models/{model}/history?limit=1").json()["records"][0]
    assert (newest["kind"], newest["name"], newest["by"]) == ("approve", "bob", made[1]["id"])


def test_edit_search_retire_and_delete_through_the_gateway(cloud: Cloud) -> None:
    for n in (1, 2):
        cloud.upload("short-lived", {"model.onnx": linear([[float(n)]])})
    assert cloud.api.patch("/models/short-lived", json={"tags": ["only-here"]}).json()["tags"] == ["only-here"]
    found = cloud.api.get("/models?tag=only-here&task=tensor").json()["models"]
    assert [one["name"] for one in found] == ["short-lived"]
    assert cloud.api.get("/models/short-lived/diff").json()["to"] == 2
    assert cloud.api.post("/models/short-lived/versions/2/retire").json()["state"] == "retired"
    assert cloud.api.post("/v2/models/short-lived/versions/2/infer", json={"inputs": []}).status_code in (400, 404)
    assert cloud.api.delete("/models/short-lived").json()["deleted"] is True
    assert cloud.api.get("/models/short-lived").status_code == 404
    eventually(lambda: cloud.api.get("/v2/models/short-lived").status_code == 404)
    assert cloud.api.post("/models/short-lived/restore").json()["restored"] is True
    assert ask(cloud, "short-lived") == "1"


def test_records_are_signed_by_the_key_service_and_verified(cloud: Cloud, model: str) -> None:
    found = cloud.api.get(f"/models/{model}/history?verify=true&limit=1").json()
    assert (found["verified"], found["problems"]) == (True, [])
    seal = found["records"][0]["seal"]
    assert len(seal["key"]) == 16
    assert seal["signature"]
    bundle = cloud.api.get(f"/models/{model}/versions/1/signature").json()
    assert bundle["bundle"]["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    assert "BEGIN PUBLIC KEY" in bundle["public_keys"][0]


def test_whoever_writes_to_the_bucket_cannot_change_what_is_served(cloud: Cloud) -> None:
    for n in (1, 2):
        cloud.upload("guarded", {"model.onnx": linear([[float(n)]])})
    bucket = {"Bucket": cloud.access["bucket"]}
    head = "models/guarded/head.json"
    forged = json.loads(cloud.s3.get_object(**bucket, Key=head)["Body"].read())
    forged["state"]["aliases"]["production"]["version"] = 2
    cloud.s3.put_object(**bucket, Key=head, Body=json.dumps(forged).encode())
    assert ask(cloud, "guarded") == "1"  # the log says so
    revision = forged["state"]["revision"]
    newest = f"models/guarded/log/{revision:012d}.json"
    raw = cloud.s3.get_object(**bucket, Key=newest)["Body"].read()
    record = json.loads(raw)
    added = {**record, "kind": "alias", "aliases": {"production": 2}, "revision": revision + 1, "write_id": "forged"}
    added.pop("version")
    added["previous"] = hashlib.sha256(raw).hexdigest()
    after = f"models/guarded/log/{revision + 1:012d}.json"
    cloud.s3.put_object(**bucket, Key=after, Body=json.dumps(added, separators=(",", ":")).encode())

    def refused() -> bool:
        answer = cloud.api.get("/v2/models/guarded")
        return answer.status_code == 503 and "not to be trusted" in answer.json()["error"]

    eventually(refused)
    found = cloud.api.get("/models/guarded/history?verify=true").json()
    assert found["verified"] is False
    assert {problem["revision"] for problem in found["problems"]} == {revision + 1}
    cloud.s3.delete_object(**bucket, Key=after)
    eventually(lambda: cloud.api.get("/v2/models/guarded").status_code == 200)
    assert ask(cloud, "guarded") == "1"


def test_the_daily_sweep_runs(cloud: Cloud) -> None:
    stack = cloud.aws("cloudformation").describe_stacks(StackName="amaas")["Stacks"][0]
    names = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key="blobs/sha256/" + "a" * 64, Body=b"young orphan")
    for function in ("SweepFunctionName", "IngestFunctionName"):
        reply = cloud.aws("lambda").invoke(FunctionName=names[function], Payload=b'{"source": "aws.events"}')
        answer = json.loads(reply["Payload"].read())
        assert "FunctionError" not in reply, answer
        assert answer.get("deleted", 0) == 0
    assert cloud.s3.head_object(Bucket=cloud.access["bucket"], Key="blobs/sha256/" + "a" * 64)


def test_a_key_is_answered_once_by_the_deployed_functions(cloud: Cloud, model: str) -> None:
    path, key = f"/models/{model}/aliases/keyed", {"Idempotency-Key": os.urandom(8).hex()}
    first = cloud.api.put(path, json={"version": 1}, headers=key)
    assert first.status_code == 200, first.text
    assert cloud.api.delete(path).status_code == 200
    again = cloud.api.put(path, json={"version": 1}, headers=key)
    assert (again.status_code, again.text, again.headers["Idempotent-Replayed"]) == (200, first.text, "true")
    refused = cloud.api.put(path, json={"version": 999}, headers=key)
    assert (refused.status_code, "use a new key" in refused.text) == (422, True)
    session = {"files": [{"name": "model.onnx", "size": 9}]}
    uploads = [cloud.api.post("/models/keyed/uploads", json=session, headers=key | {"x": "y"}) for _ in range(2)]
    assert [answer.status_code for answer in uploads] == [422, 422]  # the key of another call
    fresh = {"Idempotency-Key": os.urandom(8).hex()}
    uploads = [cloud.api.post("/models/keyed/uploads", json=session, headers=fresh) for _ in range(2)]
    assert uploads[0].status_code == 201
    assert uploads[0].text == uploads[1].text


def test_the_scrubber_runs(cloud: Cloud, model: str) -> None:
    stack = cloud.aws("cloudformation").describe_stacks(StackName="amaas")["Stacks"][0]
    [name] = [item["OutputValue"] for item in stack["Outputs"] if item["OutputKey"] == "ScrubFunctionName"]
    reply = cloud.aws("lambda").invoke(FunctionName=name, Payload=b"{}")
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    assert answer["records"] > 0
    state = json.loads(cloud.s3.get_object(Bucket=cloud.access["bucket"], Key="scrub/state.json")["Body"].read())
    assert state["seen"][model]["revision"] > 0
