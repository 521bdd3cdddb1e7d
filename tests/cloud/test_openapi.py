"""The API's description as the live gateway gives it: valid, with its address, and what schemathesis makes of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from amaas.api import package
from openapi_spec_validator import validate
from PIL import Image

from api.document import document
from shared import keys
from shared.clock import new_id, now
from shared.jobs.training.job import Job
from tests import conformance
from tests.cloud.conftest import ROOT, Cloud
from tests.decoders import folders
from tests.support import linear, tiny_classifier

pytestmark = pytest.mark.cloud
SCHEMATHESIS = ROOT / ".local" / "envs" / "schemathesis" / "bin" / "schemathesis"
DOCUMENT = document()
MODELS = ("moving", "retired", "tensors", "pictures", "doomed", "writer")
# No success here: what schemathesis reads, what names its model in the body, a long job, a queue for training.
SELDOM = {
    ("GET", "/openapi.json"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/translations"),
    ("POST", "/v1/rerank"),
    ("POST", "/v2/rerank"),
    ("DELETE", "/batch/{job}"),
    ("POST", "/training-jobs"),
    # of an alias that two persons move, and of another person's request
    ("POST", "/models/{model}/aliases/{alias}/policy/requests"),
    ("POST", "/models/{model}/requests/{number}/approve"),
}
CONFIG = Path(__file__).with_name("schemathesis.toml")
MANIFEST = (
    b"""{"task": "image-classification", "preprocess": {"mode": "L", "size": [4, 4]}, "labels": ["a", "b", "c"]}"""
)


@pytest.fixture
def own(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Models that nobody else uses, and the variables of schemathesis.toml: a batch job, tokens. Removed afterwards.

    Of each test its own: what one has deleted, rejected or revoked, the next one could do to nothing.
    """
    tokens, mark, room = _tokens(cloud), new_id()[-6:], tmp_path_factory.mktemp("writer")
    models = {name.upper(): f"openapi-{name}-{mark}" for name in MODELS}
    moving, retired, tensors, pictures, doomed, writer = models.values()
    for weight in (1.0, 2.0):
        for model in (moving, retired):
            upload = cloud.upload(model, {"model.onnx": linear([[weight], [1.0]])})
    cloud.upload(tensors, {"model.onnx": linear([[1.0], [1.0]])})
    cloud.upload(pictures, {"model.onnx": tiny_classifier(), "amaas.json": MANIFEST})
    cloud.upload(doomed, {"model.onnx": linear([[1.0]])})
    with package.opened(folders.write(room / "writer")) as files:
        cloud.upload(writer, {name: path.read_bytes() for name, path in files.items()})
    _post(cloud, f"/models/{moving}/aliases/canary", {"version": 1}, "PUT")
    _post(cloud, f"/models/{retired}/aliases/production", {"version": 2}, "PUT")  # so that version 1 can be retired
    aliases = f"/models/{moving}/aliases"
    asked = [_post(cloud, f"{aliases}/{name}/requests", {"version": 2})["request"] for name in ("production", "spare")]
    waiting = _post(cloud, f"/models/{pictures}/batch", {"files": [{"name": "a.png", "size": 1}]})
    yield models | {
        "TOKEN": _post(cloud, "/tokens", {"name": "schemathesis", "scopes": ["admin"]})["token"],
        "REVOKED": _post(cloud, "/tokens", {"name": "to be revoked", "scopes": ["read"]})["id"],
        "UPLOAD": upload["upload_id"],
        "APPROVED": str(asked[0]),
        "REJECTED": str(asked[1]),
        "JOB": _job(cloud, pictures),
        "WAITING": waiting["id"],
        "TRAINING": _training(cloud, moving),
    }
    for model in models.values():
        cloud.api.request("DELETE", f"/models/{model}")
    made = [{"Key": key} for key in sorted(_tokens(cloud) - tokens)]
    cloud.s3.delete_objects(Bucket=cloud.access["bucket"], Delete={"Objects": made[:1000]})


def _post(cloud: Cloud, path: str, body: Any, method: str = "POST") -> dict[str, Any]:
    answer = cloud.api.request(method, path, json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def _job(cloud: Cloud, model: str) -> str:
    """A batch job that is done: one image that can be read, and one that cannot."""
    image = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(image, "PNG")
    files = {"a.png": image.getvalue(), "b.png": b"no image"}
    announced = {"files": [{"name": name, "size": len(body)} for name, body in files.items()]}
    ticket = _post(cloud, f"/models/{model}/batch", announced)
    for target, body in zip(ticket["files"], files.values(), strict=True):
        cloud.api.put(target["url"], content=body, headers=target["headers"] | {"Authorization": ""})
    cloud.api.post(ticket["start_url"], json={"wait": 20})
    return str(ticket["id"])


def _training(cloud: Cloud, model: str) -> str:
    """A training job that waits: as the function notes it where there is a queue."""
    job = Job(id=new_id(), model=model, data="fashion-mnist", by="ann", created_at=now())
    key = keys.training_record(job.id, "job")
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=msgspec.json.encode(job))
    return job.id


def _tokens(cloud: Cloud) -> set[str]:
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.access["bucket"], Prefix="access/tokens/")
    return {found["Key"] for page in pages for found in page.get("Contents", [])}


def test_the_description_is_valid_and_says_where_the_api_is(cloud: Cloud) -> None:
    answer = cloud.api.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found = answer.json()
    validate(found)
    assert found["openapi"].startswith("3.1.")
    assert found["servers"] == [{"url": cloud.access["api_url"]}]


@pytest.mark.parametrize("examples", [2, pytest.param(60, marks=pytest.mark.soak)])
def test_schemathesis_finds_nothing(own: dict[str, str], cloud: Cloud, tmp_path: Path, examples: int) -> None:
    """Every operation is called with what its description allows and with what it forbids, and so is each answer."""
    report, har = tmp_path / "report.json", tmp_path / "calls.har"
    options = ["--max-examples", str(examples), "--report-json-path", str(report), "--report-har-path", str(har)]
    done = _schemathesis(own, f"{cloud.access['api_url']}/openapi.json", tmp_path, *options)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    told = json.loads(report.read_text())
    every = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert told["operations"]["tested"] == len(every) - 1, "all but the description itself, which it reads"
    assert {told["phases"][name]["status"] for name in ("examples", "coverage", "fuzzing")} == {"success"}
    entries = json.loads(har.read_text())["log"]["entries"]
    assert len(entries) >= examples * len(every)
    assert every - _succeeded(entries, cloud) <= SELDOM


def test_negative_control_an_answer_that_is_not_as_described_is_found_out(
    own: dict[str, str], cloud: Cloud, tmp_path: Path
) -> None:
    description = cloud.api.get("/openapi.json").json()
    described = description["paths"]["/models"]["get"]["responses"]["200"]["content"]["application/json"]
    described["schema"] = {"type": "object", "required": ["what no answer has"]}
    (tmp_path / "lying.json").write_text(json.dumps(description))
    options = ["--url", cloud.access["api_url"], "--max-examples", "4", "--include-operation-id", "listModels"]
    done = _schemathesis(own, str(tmp_path / "lying.json"), tmp_path, *options)
    assert done.returncode == 1, done.stdout[-20_000:] + done.stderr
    assert "Response violates schema" in done.stdout


def _schemathesis(
    own: dict[str, str], description: str, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    command = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", description, *options]
    command += ["--header", f"Authorization: Bearer {own['TOKEN']}", "--no-shrink", "--generation-deterministic"]
    return subprocess.run(
        [*command, "--no-color"],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


def _succeeded(entries: list[dict[str, Any]], cloud: Cloud) -> set[tuple[str, str]]:
    """The operations that were answered with success at least once."""
    base = httpx.URL(cloud.access["api_url"]).path
    found = set()
    for entry in entries:
        path = httpx.URL(entry["request"]["url"]).raw_path.decode().partition("?")[0].removeprefix(base)
        if entry["response"]["status"] < 300:
            found |= {route for route in [conformance.route(entry["request"]["method"], path)] if route}
    return found
