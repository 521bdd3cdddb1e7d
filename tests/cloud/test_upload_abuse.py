"""Abuse of an upload's URLs over HTTP: nothing else is stored, and what was checked is served."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from tests.cloud.conftest import Cloud
from tests.cloud.running import settings
from tests.support import linear

pytestmark = pytest.mark.cloud
BODY = linear([[5.0], [0.0]])
OTHER = linear([[6.0], [0.0]])
assert len(BODY) == len(OTHER)
PATIENCE = 60  # seconds


def session(cloud: Cloud, model: str, *, sha256: bool = True) -> dict[str, Any]:
    file = {"name": "model.onnx", "size": len(BODY)}
    announced = file | ({"sha256": hashlib.sha256(BODY).hexdigest()} if sha256 else {})
    answer = cloud.api.post(f"/models/{model}/uploads", json={"files": [announced]})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def put(url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.put(url, content=body, headers=headers | {"Content-Length": str(len(body))}, timeout=PATIENCE)


def altered(url: str, path: Callable[[str], str] = lambda path: path, **query: str) -> str:
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.query)) | query
    return urlunsplit(parts._replace(path=path(parts.path), query=urlencode(values, quote_via=quote)))


def another_file(path: str) -> str:
    return path.replace("model.onnx", "amaas.json")


def a_blob(path: str) -> str:
    return "/" + path.split("/")[1] + "/blobs/sha256/" + "0" * 64


def versions(cloud: Cloud, prefix: str) -> list[str]:
    page = cloud.s3.list_object_versions(Bucket=cloud.access["bucket"], Prefix=prefix)
    return [entry["Key"] for entry in page.get("Versions", [])]


Headers = dict[str, str]
ABUSES: dict[str, Callable[[str, Headers], tuple[str, bytes, Headers]]] = {
    "one byte more": lambda url, headers: (url, BODY + b"x", headers),
    "one byte less": lambda url, headers: (url, BODY[:-1], headers),
    "a hundred megabytes": lambda url, headers: (url, b"x" * 100_000_000, headers),
    "another content": lambda url, headers: (url, OTHER, headers),
    "without its condition": lambda url, headers: (url, BODY, {k: v for k, v in headers.items() if k[:2] != "If"}),
    "another checksum": lambda url, headers: (
        url, OTHER, headers | {"x-amz-checksum-sha256": "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="},
    ),
    "another file": lambda url, headers: (altered(url, another_file), BODY, headers),
    "a blob": lambda url, headers: (altered(url, a_blob), BODY, headers),
    "another signature": lambda url, headers: (altered(url, **{"X-Amz-Signature": "0" * 64}), BODY, headers),
    "a longer life": lambda url, headers: (altered(url, **{"X-Amz-Expires": "604800"}), BODY, headers),
    "another version": lambda url, headers: (altered(url, versionId="null"), BODY, headers),
}  # fmt: skip


@pytest.mark.parametrize("abuse", ABUSES)
def test_a_url_takes_what_was_announced_and_nothing_else(cloud: Cloud, abuse: str) -> None:
    opened = session(cloud, "abused")
    [target] = opened["files"]
    url, body, headers = ABUSES[abuse](target["url"], target["headers"])
    before = set(versions(cloud, ""))
    refused = put(url, body, headers)
    assert refused.status_code in (400, 403, 411), (abuse, refused.status_code, refused.text)
    assert set(versions(cloud, "")) == before, "nothing is stored"
    assert put(target["url"], BODY, target["headers"]).status_code == 200
    state = cloud.wait(lambda: cloud.api.get(opened["status_url"]).json())
    assert state["state"] == "registered", state


@pytest.mark.parametrize("size", [0, -1, 10**12, 2**63, 1.5, "9", None])
def test_a_size_is_a_size(cloud: Cloud, size: Any) -> None:
    before = versions(cloud, "uploads/")
    answer = cloud.api.post("/models/abused/uploads", json={"files": [{"name": "model.onnx", "size": size}]})
    assert answer.status_code in (400, 413), answer.text
    assert versions(cloud, "uploads/") == before


def test_a_url_is_no_key_to_read_or_delete(cloud: Cloud) -> None:
    opened = session(cloud, "abused")
    [target] = opened["files"]
    for method in ("GET", "DELETE", "HEAD", "POST"):
        answer = httpx.request(method, target["url"], timeout=PATIENCE)
        assert answer.status_code in (403, 405), (method, answer.status_code)


def test_an_expired_url_is_refused(cloud: Cloud) -> None:
    with settings(cloud, "UploadFunction", UPLOAD_TTL_SECONDS="1"):
        opened = session(cloud, "abused")
    [target] = opened["files"]
    time.sleep(2.5)
    assert put(target["url"], BODY, target["headers"]).status_code == 403
    assert versions(cloud, f"uploads/{opened['upload_id']}/files/") == []


def test_a_url_is_replayed_in_vain(cloud: Cloud) -> None:
    """Before and after the verdict; without an announced digest, so that only the condition protects it."""
    opened = session(cloud, "replayed", sha256=False)
    [target] = opened["files"]
    assert put(target["url"], BODY, target["headers"]).status_code == 200
    assert put(target["url"], OTHER, target["headers"]).status_code == 412
    state = cloud.wait(lambda: cloud.api.get(opened["status_url"]).json())
    assert state["state"] == "registered", state
    for body in (OTHER, BODY):
        assert put(target["url"], body, target["headers"]).status_code == 412
    assert versions(cloud, f"uploads/{opened['upload_id']}/files/") == [
        f"uploads/{opened['upload_id']}/files/model.onnx"
    ]


def test_what_is_overwritten_after_the_verdict_is_served_as_it_was_checked(cloud: Cloud) -> None:
    """By somebody who can write the bucket below uploads/: no URL can."""
    state = cloud.upload("overwritten", {"model.onnx": BODY})
    version = cloud.api.get(f"/models/overwritten/versions/{state['version']}").json()
    key = f"uploads/{state['upload_id']}/files/model.onnx"
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=OTHER)
    time.sleep(1)  # the event of that
    answer = cloud.api.post("/models/overwritten/versions/1/predict", json={"inputs": {"x": [[1, 0]]}})
    assert answer.json()["outputs"] == {"y": [[5.0]]}
    assert cloud.api.get("/models/overwritten/versions/1").json() == version
    assert [one["state"] for one in cloud.api.get("/models/overwritten/uploads").json()["uploads"]] == ["registered"]
    assert [one["version"] for one in cloud.api.get("/models/overwritten").json()["versions"]] == [1]
