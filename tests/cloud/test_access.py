"""Tokens over HTTP: what is put into the bucket by hand opens nothing; rotation; data sets; the second person."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.settings import STACK
from ops import tokens as operator
from shared.access.authenticate import hash_secret
from tests.cloud.conftest import Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud
SECRET = "s" * 43
ROWS = b'{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}\n'


def created(cloud: Cloud, *scopes: str, name: str = "test", **by: Any) -> dict[str, Any]:
    answer = cloud.api.post("/tokens", json={"name": name, "scopes": list(scopes)}, **by)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def as_(token: dict[str, Any] | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token['token']}"}


def stored(cloud: Cloud, key: str) -> bytes:
    body: bytes = cloud.s3.get_object(Bucket=cloud.access["bucket"], Key=key)["Body"].read()
    return body


def put(cloud: Cloud, key: str, body: bytes) -> None:
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=body)


def status(cloud: Cloud, token: dict[str, Any] | str, path: str = "/tokens") -> int:
    return cloud.api.get(path, headers=as_(token)).status_code


def eventually(check: Callable[[], bool]) -> None:
    """Within the seconds for which the gateway remembers, on a slow machine."""
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def forged(identity: str) -> bytes:
    record = {"format": 1, "id": identity, "name": "forged", "scopes": ["admin"], "salt": "00" * 16}
    record |= {"hash": hash_secret("00" * 16, SECRET), "created_at": "2020-01-01T00:00:00.000Z"}
    return json.dumps(record).encode()


def test_a_forged_record_opens_nothing(cloud: Cloud) -> None:
    put(cloud, "access/tokens/f00000000000.json", forged("f00000000000"))
    assert status(cloud, f"amaas_f00000000000_{SECRET}") == 401
    listed = {one["id"]: one for one in cloud.api.get("/tokens").json()["tokens"]}
    assert "it is not signed" in listed["f00000000000"]["problem"]
    cloud.s3.delete_object(Bucket=cloud.access["bucket"], Key="access/tokens/f00000000000.json")


def test_edited_and_exchanged_records_open_nothing(cloud: Cloud) -> None:
    low, other, admin = created(cloud, "infer:nothing"), created(cloud, "infer:nothing"), created(cloud, "admin")
    key = f"access/tokens/{low['id']}.json"
    put(cloud, key, stored(cloud, key).replace(b'["infer:nothing"]', b'["admin"]'))
    assert status(cloud, low) == 401
    put(cloud, f"access/tokens/{other['id']}.json", stored(cloud, f"access/tokens/{admin['id']}.json"))
    assert status(cloud, f"amaas_{other['id']}_{admin['token'].split('_', 2)[2]}") == 401
    assert status(cloud, admin) == 200


def test_a_record_that_is_put_back_stays_revoked(cloud: Cloud) -> None:
    admin = created(cloud, "admin")
    assert status(cloud, admin) == 200
    key = f"access/tokens/{admin['id']}.json"
    before = stored(cloud, key)
    revoked = cloud.api.request("DELETE", f"/tokens/{admin['id']}", json={"reason": "leaked"}).json()
    assert (revoked["revoked"], revoked["refused_within"], revoked["reason"]) == (True, 10, "leaked")
    put(cloud, key, before)
    eventually(lambda: status(cloud, admin) == 401)


def test_a_scope_with_a_blank_is_refused(cloud: Cloud) -> None:
    for scope in ("infer:wine admin", "infer:wine\nadmin", "infer:[a-z]*"):
        refused = cloud.api.post("/tokens", json={"name": "innocent", "scopes": [scope]})
        assert (refused.status_code, "is not a scope" in refused.json()["error"]) == (400, True)


def test_rotation(cloud: Cloud) -> None:
    old = created(cloud, "read", "infer:*")
    assert old["scopes"] == ["read", "infer"]
    new = cloud.api.post(f"/tokens/{old['id']}/rotate", json={"overlap_hours": 0}).json()
    assert (new["replaces"], new["scopes"], new["creator"]) == (old["id"], old["scopes"], old["creator"])
    assert status(cloud, new, "/models") == 200
    eventually(lambda: status(cloud, old, "/models") == 401)
    listed = {one["id"]: one for one in cloud.api.get("/tokens").json()["tokens"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert listed[new["id"]]["last_used"] is not None
    assert listed[new["id"]]["expires_at"] > time.time() + 89 * 86400


def test_data_sets_are_granted(cloud: Cloud) -> None:
    cloud.upload("numbers", {"model.onnx": linear([[2.0]])})
    put(cloud, "batch/salaries/in/rows.jsonl", ROWS)
    body = {"prefix": "batch/salaries/in/"}
    other = created(cloud, "infer:numbers")
    refused = cloud.api.post("/models/numbers/batch", json=body, headers=as_(other))
    assert (refused.status_code, "lacks the scope 'data:salaries'" in refused.json()["error"]) == (403, True)
    allowed = created(cloud, "infer:numbers", "data:sal*")
    job = cloud.api.post("/models/numbers/batch", json=body, headers=as_(allowed))
    assert job.status_code == 202, job.text
    assert status(cloud, other, f"/batch/{job.json()['id']}") == 403
    # of one's own
    files = {"files": [{"name": "rows.jsonl", "size": len(ROWS)}]}
    own = cloud.api.post("/models/numbers/batch", json=files, headers=as_(other)).json()
    [target] = own["files"]
    assert httpx.put(target["url"], content=ROWS, headers=target["headers"], timeout=60).status_code == 200
    assert cloud.api.post(own["start_url"], json={"files": 1}, headers=as_(other)).status_code == 202


def test_an_administrator_alone_is_one_person(cloud: Cloud) -> None:
    cloud.upload("freed", {"model.onnx": linear([[2.0]])})
    policy = "/models/freed/aliases/production/policy"
    assert cloud.api.put(policy, json={"two_person": True}).status_code == 200
    for body in ({"two_person": False}, {"default": True}, {"protected": False, "below_default": True}):
        assert cloud.api.put(policy, json=body).status_code == 409
    number = cloud.api.post(policy + "/requests", json={"default": True}).json()["request"]
    approve = f"/models/freed/requests/{number}/approve"
    assert cloud.api.post(approve).status_code == 403
    minted = created(cloud, "admin", name="a second token of mine")
    refused = cloud.api.post(approve, headers=as_(minted))
    assert (refused.status_code, "the same person's as yours" in refused.json()["error"]) == (403, True)
    # two tokens that one administrator created, neither of which created the other
    requested = created(cloud, "admin", name="a third one")
    other = cloud.api.post(policy + "/requests", json={"default": True}, headers=as_(requested)).json()["request"]
    assert cloud.api.post(f"/models/freed/requests/{other}/approve", headers=as_(minted)).status_code == 403
    assert cloud.api.post(f"/models/freed/requests/{other}/reject", headers=as_(requested)).status_code == 200
    [waiting] = cloud.api.get("/models/freed").json()["requests"]
    assert waiting["policy"] == {"protected": True, "two_person": False}
    # the operator's other token
    second = operator.order(tokens_function(cloud), {"create": {"name": "bob"}}, cloud.access["endpoint_url"])
    assert cloud.api.post(approve, headers=as_(second)).status_code == 200
    assert cloud.api.get("/models/freed").json()["policies"]["production"]["two_person"] is False


def tokens_function(cloud: Cloud) -> str:
    outputs = cloud.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    return str({one["OutputKey"]: one["OutputValue"] for one in outputs}["TokensFunctionName"])
