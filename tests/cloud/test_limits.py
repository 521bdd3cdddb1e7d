"""Limits of one token through the running gateway: its own key in a usage plan, and markers in the bucket."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.cloud.conftest import Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud
PATIENCE = 60


def client(cloud: Cloud, scopes: list[str], **limits: float) -> httpx.Client:
    """Of a new token with these limits."""
    created = cloud.api.post("/tokens", json={"name": "limited", "scopes": scopes, "limits": limits})
    assert created.status_code == 201, created.text
    return httpx.Client(
        base_url=cloud.api.base_url, headers={"Authorization": f"Bearer {created.json()['token']}"}, timeout=PATIENCE
    )


def refusals(answers: list[httpx.Response], limit: str) -> list[httpx.Response]:
    """Those that were refused, each by this limit."""
    refused = [answer for answer in answers if answer.status_code == 429]
    for answer in refused:
        assert list(answer.json()) == ["error", "code", "request_id"]
        assert limit in answer.json()["error"]
        assert int(answer.headers["retry-after"]) > 0
    assert {answer.status_code for answer in answers if answer not in refused} <= {200, 201}
    return refused


def test_rate_and_burst_are_one_token_s(cloud: Cloud) -> None:
    limited, other = client(cloud, ["infer"], rate=1, burst=3), client(cloud, ["infer"])
    answers = [limited.get("/v2/health/live") for _ in range(8)]
    refused = refusals(answers, "limits rate and burst")
    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert refused
    assert other.get("/v2/health/live").status_code == 200
    time.sleep(float(refused[0].headers["retry-after"]) + 0.1)
    assert limited.get("/v2/health/live").status_code == 200


def test_a_quota_is_one_token_s_and_rotation_is_no_new_month(cloud: Cloud) -> None:
    limited, other = client(cloud, ["infer"], quota=4), client(cloud, ["infer"])
    own = limited.get("/tokens/self").json()
    assert own["limits"]["quota"] == 4
    assert own["limits"]["batch_jobs"] == 20
    answers = [limited.get("/v2/health/live") for _ in range(5)]
    assert len(refusals(answers, "limit quota")) == 2
    rotated = cloud.api.post(f"/tokens/{own['id']}/rotate", json={}).json()
    assert rotated["limits"]["quota"] == 4
    headers = {"Authorization": f"Bearer {rotated['token']}"}
    again = httpx.get(f"{cloud.api.base_url}v2/health/live", headers=headers, timeout=PATIENCE)
    assert len(refusals([again], "limit quota")) == 1
    # not even with another key in a header of the caller's own, which is not looked at
    [standard] = cloud.aws("apigateway").get_api_keys(includeValues=True, nameQuery="amaas-standard")["items"]
    bribed = limited.get("/v2/health/live", headers={"x-api-key": standard["value"]})
    assert bribed.status_code == 429
    assert other.get("/v2/health/live").status_code == 200


def test_a_revoked_token_leaves_no_key(cloud: Cloud) -> None:
    def keys() -> set[str]:
        return {item["name"] for item in cloud.aws("apigateway").get_api_keys(limit=500)["items"]}

    before = keys()
    created = cloud.api.post("/tokens", json={"name": "short", "scopes": ["infer"]}).json()
    assert {name.rpartition("-")[2] for name in keys() - before} == {created["id"]}
    assert cloud.api.delete(f"/tokens/{created['id']}").status_code == 200
    assert keys() == before


def test_bytes_of_a_day(cloud: Cloud) -> None:
    limited = client(cloud, ["write", "infer"], upload_bytes=1000)

    def announce(size: int) -> httpx.Response:
        return limited.post("/models/bytes/uploads", json={"files": [{"name": "model.onnx", "size": size}]})

    assert announce(600).status_code == 201
    assert len(refusals([announce(600)], "limit upload_bytes: these are 600 bytes, and 400 of the 1,000")) == 1
    assert announce(400).status_code == 201
    assert announce(1).status_code == 429


def test_batch_jobs_at_the_same_time(cloud: Cloud) -> None:
    cloud.upload("queued", {"model.onnx": linear([[1.0], [1.0]])})
    limited = client(cloud, ["infer"], batch_jobs=1)

    def start() -> tuple[httpx.Response, dict[str, Any]]:
        body = b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}\n'
        announced = {"files": [{"name": "a.jsonl", "size": len(body)}]}
        job = limited.post("/models/queued/batch", json=announced).json()
        target = job["files"][0]
        assert httpx.put(target["url"], content=body, headers=target["headers"], timeout=PATIENCE).status_code == 200
        return limited.post(job["start_url"], json={}), job

    def over(job: dict[str, Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while limited.get(job["status_url"]).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    first, job = start()
    assert first.status_code in (200, 202), first.text
    second, other = start()
    if second.status_code != 429:  # the first one was quicker than we
        assert first.status_code == 200 or limited.get(job["status_url"]).status_code == 200
    over(job)
    assert limited.post(other["start_url"], json={}).status_code in (200, 202)
    over(other)
