"""Training jobs on the running cloud, which has no queue: AWS Batch is beyond what the embedded one deploys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.clock import new_id, now
from tests.cloud.conftest import Cloud

pytestmark = pytest.mark.cloud
ASKED = {"model": "shoes", "data": "fashion-mnist", "arguments": {"epochs": 3, "size": [8, 8], "no-flip": True}}


def put(cloud: Cloud, job: str, name: str, body: Any) -> None:
    """What a queue, a container or another function would write."""
    text = body if isinstance(body, str) else json.dumps(body)
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=f"training/{job}/{name}", Body=text.encode())


def test_a_request_without_a_queue_says_what_to_do(cloud: Cloud) -> None:
    before = cloud.api.get("/training-jobs").json()["jobs"]
    answer = cloud.api.post("/training-jobs", json=ASKED)
    assert answer.status_code == 501
    assert "amaas train --local" in answer.json()["error"]
    assert cloud.api.post("/training-jobs", json=ASKED | {"arguments": {"out": "/"}}).status_code == 400
    elsewhere = cloud.api.post("/training-jobs", json=ASKED | {"data": "s3://other/datasets/x"})
    assert f"s3://{cloud.access['bucket']}/datasets/ only" in elsewhere.json()["error"]
    assert cloud.api.get("/training-jobs").json()["jobs"] == before


def test_a_job_is_followed_listed_and_cancelled(cloud: Cloud) -> None:
    job = new_id()
    put(cloud, job, "job.json", {**ASKED, "id": job, "by": "ann", "created_at": now()})
    put(cloud, job, "container.json", {"attempt": 1, "phase": "running", "at": now()})
    put(cloud, job, "metrics.jsonl", '{"epoch": 1, "loss": 2.5}\n{"epoch": 2, "loss": 1.5}\n')
    found = cloud.api.get(f"/training-jobs/{job}").json()
    assert (found["state"], found["attempts"], found["next"], len(found["metrics"])) == ("running", 1, 2, 2)
    rest = cloud.api.get(f"/training-jobs/{job}", params={"after": "1"}).json()
    assert rest["metrics"] == [{"epoch": 2, "loss": 1.5}]
    assert job in [listed["id"] for listed in cloud.api.get("/training-jobs").json()["jobs"]]
    reader = cloud.api.post("/tokens", json={"name": "reader", "scopes": ["read", "write"]}).json()["token"]
    as_reader = {"Authorization": f"Bearer {reader}"}
    assert cloud.api.get(f"/training-jobs/{job}", headers=as_reader).status_code == 200
    assert cloud.api.delete(f"/training-jobs/{job}", headers=as_reader).status_code == 403
    assert cloud.api.delete(f"/training-jobs/{job}").json()["state"] == "cancelled"
    assert cloud.api.delete(f"/training-jobs/{job}").status_code == 409
