"""Upgrade and downgrade over HTTP: a bucket of release 0.1, served by this release, by that one, and by this again."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.settings import STACK
from ops import tokens
from tests.cloud.conftest import Cloud
from tests.registry import release

pytestmark = pytest.mark.cloud
MODELS = ("served", "governed")
BUCKET = "amaas-of-release-0-1"
# those that answer calls and change models; the others hand files and tokens on, which have one form in both
SWAPPED = ("InferenceFunction", "RegistryFunction")


def functions(cloud: Cloud) -> dict[str, str]:
    """The deployed functions' names, by their names in the template."""
    resources = cloud.aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


@pytest.fixture(scope="module")
def restored(cloud: Cloud) -> Iterator[Cloud]:
    """The deployment with the bucket of release 0.1, whose key is among those that it trusts.

    Of a bucket with models of later tasks, 0.1 lists nothing; this one has what 0.1 left.
    """
    named = functions(cloud)
    cloud.s3.create_bucket(Bucket=BUCKET)
    cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key, body in release.objects().items():
        cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        if key.startswith("access/tokens/"):
            cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=body)
    # what an operator does: a token of 0.1 opens nothing until then
    assert caller(cloud).get("/models").status_code == 401
    command = {"sign": [release.contents()["token"].split("_")[1]]}
    [signed] = tokens.order(named["TokensFunction"], command, cloud.access["endpoint_url"])["signed"]
    assert signed["scopes"] == ["admin"], signed
    before = {name: environment(cloud, named[name]) for name in SWAPPED}
    for name in SWAPPED:  # the keys: what FormerPublicKeys does
        keys = f"{before[name]['PUBLIC_KEYS']},{release.public_key()}"
        configure(cloud, named[name], before[name] | {"PUBLIC_KEYS": keys, "BUCKET": BUCKET})
    yield cloud
    for name in SWAPPED:
        configure(cloud, named[name], before[name])


def environment(cloud: Cloud, function: str) -> dict[str, str]:
    configuration = cloud.aws("lambda").get_function_configuration(FunctionName=function)
    return dict(configuration["Environment"]["Variables"])


def configure(cloud: Cloud, function: str, variables: dict[str, str]) -> None:
    cloud.aws("lambda").update_function_configuration(FunctionName=function, Environment={"Variables": variables})


def deploy(cloud: Cloud, code: Path | None) -> None:
    """Have the functions run other code, with the packages that they are built with; None: their own again."""
    for name in SWAPPED:
        built = cloud.home / "build" / name
        archive = zipped(built, ("shared", "functions") if code else (), code)
        cloud.aws("lambda").update_function_code(FunctionName=functions(cloud)[name], ZipFile=archive)


def zipped(folder: Path, without: tuple[str, ...], more: Path | None) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for root in (folder, more) if more else (folder,):
            for file in sorted(path for path in root.rglob("*") if path.is_file()):
                inside = file.relative_to(root)
                if root is not folder or inside.parts[0] not in without:
                    archive.write(file, os.fspath(inside))
    return body.getvalue()


def caller(cloud: Cloud) -> httpx.Client:
    """With the token of release 0.1, and answers that are not held against this release's description."""
    headers = {"Authorization": f"Bearer {release.contents()['token']}"}
    return httpx.Client(base_url=cloud.access["api_url"], headers=headers, timeout=60)


def infer(api: httpx.Client) -> tuple[int, float]:
    """Which version answers, and what: its factor."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    answer = api.post("/v2/models/served/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["model_version"]), answer.json()["outputs"][0]["data"][0]


def answers(api: httpx.Client, version: int) -> float:
    """What the version answers, as soon as it is the one that does: aliases may be remembered for some seconds."""
    deadline = time.monotonic() + 30
    while True:
        present, factor = infer(api)
        if present == version:
            return factor
        assert time.monotonic() < deadline, f"version {present} still answers, not {version}"
        time.sleep(0.1)


FACTORS = {1: 2.0, 2: 3.0, 3: 5.0}


def moved(cloud: Cloud, version: int) -> None:
    """Move production, call it, roll it back, and have the log verified."""
    api = caller(cloud)
    before, _ = infer(api)
    answer = api.put("/models/served/aliases/production", json={"version": version})
    assert answer.status_code == 200, answer.text
    assert answers(api, version) == FACTORS[version]
    rollback = api.post("/models/served/aliases/production/rollback", json={})
    assert (rollback.status_code, rollback.json()["version"]) == (200, before), rollback.text
    assert answers(api, before) == FACTORS[before]
    for model in MODELS:
        history = api.get(f"/models/{model}/history", params={"verify": "true"}).json()
        assert (history["verified"], history["problems"]) == (True, [])
    listing = api.get("/models")
    assert listing.status_code == 200, listing.text
    listed = listing.json()["models"]
    assert set(MODELS) <= {model["name"] for model in listed}


def test_upgrade_and_downgrade_over_http(restored: Cloud, tmp_path: Path) -> None:
    cloud, api = restored, caller(restored)
    moved(cloud, 3)
    assert api.patch("/models/governed", json={"tags": ["by-the-new-release"]}).status_code == 200
    assert documented(api)
    deploy(cloud, release.unpack_code(tmp_path))
    try:
        assert documented(api) == []  # it is release 0.1 that answers: its archive has no description of the API
        moved(cloud, 1)
        assert api.get("/models/governed").json()["tags"] == ["by-the-new-release"]
    finally:
        deploy(cloud, None)
    assert documented(api)
    moved(cloud, 3)


def documented(api: httpx.Client) -> list[str]:
    return list(api.get("/openapi.json").json().get("paths", []))
