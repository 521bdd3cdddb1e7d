"""The inbox of the deployed template: S3's own events, its timer, and what they come to."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.cloud.conftest import Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud
BODY = linear([[1.0], [2.0]])
FILES = {"amaas.json": json.dumps({"licence": "MIT"}).encode(), "model.onnx": BODY}


def put(cloud: Cloud, files: dict[str, bytes], prefix: str) -> None:
    for name, body in files.items():
        cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=prefix + name, Body=body)


def ended(cloud: Cloud, model: str) -> dict[str, Any]:
    def newest() -> dict[str, Any]:
        uploads = cloud.api.get(f"/models/{model}/uploads").json()["uploads"]
        return dict(uploads[-1]) if uploads else {}

    return cloud.wait(newest, 90)


def test_a_folder_that_is_copied_is_one_package(cloud: Cloud) -> None:
    put(cloud, FILES, "inbox/folder/")
    state = ended(cloud, "folder")
    assert (state["state"], state["version"]) == ("registered", 1), state
    assert [file["name"] for file in state["files"]] == ["model.onnx", "amaas.json"]
    assert cloud.api.get("/models/folder/versions/1").json()["licence"] == "MIT"
    assert len(cloud.api.get("/models/folder/uploads").json()["uploads"]) == 1


def test_a_folder_with_the_marker_is_taken_at_once(cloud: Cloud) -> None:
    put(cloud, FILES, "inbox/ready/")
    put(cloud, {"_READY": b""}, "inbox/ready/")
    assert ended(cloud, "ready")["version"] == 1


@pytest.mark.parametrize("key", ["inbox/zipped.zip", "inbox/zipped-in/any name.zip"])
def test_an_archive_is_a_package(cloud: Cloud, key: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in FILES.items():
            archive.writestr(f"top/{name}", body)
    cloud.s3.put_object(Bucket=cloud.access["bucket"], Key=key, Body=packed.getvalue())
    model = key.split("/")[1].removesuffix(".zip")
    assert ended(cloud, model)["version"] == 1
    assert cloud.api.get(f"/models/{model}/versions/1").json()["licence"] == "MIT"


def test_what_is_no_package_is_told_of(cloud: Cloud) -> None:
    put(cloud, {"deep/model.onnx": BODY}, "inbox/told/")
    state = ended(cloud, "told")
    assert (state["state"], state["code"]) == ("rejected", "sub_folder")
    assert "inbox/told/deep/model.onnx" in state["reason"]


def test_what_lies_in_no_models_folder_is_among_the_uploads_of_all_models(cloud: Cloud) -> None:
    put(cloud, {"lost.onnx": BODY}, "inbox/")

    def found() -> dict[str, Any]:
        listed: list[dict[str, Any]] = []
        following: str | None = ""
        while following is not None:
            query = {"limit": "2", **({"next": following} if following else {})}
            page = cloud.api.get("/uploads", params=query).json()
            listed, following = listed + page["uploads"], page["next"]
        assert len({one["upload_id"] for one in listed}) == len(listed)
        return next((one for one in listed if "inbox/lost.onnx" in one.get("reason", "")), {})

    state = cloud.wait(found, 90)
    assert (state["model"], state["code"]) == ("", "no_folder")
    assert cloud.api.get(f"/uploads/{state['upload_id']}").json() == state
