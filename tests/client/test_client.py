"""The Python client, method by method."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from amaas import AmaasError, ApiError, Client

from tests.client.fake_service import Fake, Trouble

PNG = b"\x89PNG\r\n\x1a\n..."


def test_lists_are_followed_over_all_pages(client: Client, fake: Fake) -> None:
    for name in "abcde":
        fake.add(name)
    assert [model["name"] for model in client.models()] == list("abcde")
    assert len(fake.said("GET", "/models$")) == 3
    assert [model["name"] for model in client.models("c")] == ["c"]
    for _ in range(4):
        fake.add("a")
    assert [record["revision"] for record in client.history("a")] == [5, 4, 3, 2, 1]


def test_a_model_and_its_versions(client: Client, fake: Fake) -> None:
    fake.add("m")
    fake.add("m")
    assert client.model("m")["aliases"] == {"production": {"version": 1}}
    assert client.version("m", 2)["version"] == 2
    assert client.version("m", "production")["version"] == 1


def test_a_promotion(client: Client, fake: Fake) -> None:
    fake.add("m")
    fake.add("m")
    done = client.promote("m", 2, reason="better", expect_revision=2)
    assert done == {"model": "m", "alias": "production", "version": 2, "revision": 3}
    assert client.history("m")[0]["reason"] == "better"
    with pytest.raises(ApiError, match="'m' is at revision 3, not 2") as error:
        client.promote("m", 1, expect_revision=2)
    assert error.value.status == 409


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (PNG, "a.dat", "image/png"),
        (b"\xff\xd8\xff..", "a.png", "image/jpeg"),  # the bytes are right, the name is not
        (b"RIFF....WEBP", "a", "image/webp"),
        (b"RIFF....WAVE", "a", "audio/wav"),
        (b'{"inputs": {"x": 1}}', "a.json", "application/json"),
        (b'  {"inputs": {"x": 1}}', "a", "application/json"),
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b"\x00\x01", "a", "application/octet-stream"),
    ],
)
def test_the_content_type_of_a_file(
    client: Client, fake: Fake, tmp_path: Path, content: bytes, name: str, kind: str
) -> None:
    fake.add("m")
    (tmp_path / name).write_bytes(content)
    with suppress(ApiError):  # the fake refuses other types than images and JSON
        client.predict("m", tmp_path / name)
    assert fake.calls[-1].headers["content-type"] == kind
    assert fake.calls[-1].body == content


def test_a_type_that_the_model_does_not_take(client: Client, fake: Fake) -> None:
    fake.add("m")
    with pytest.raises(ApiError, match="takes an image") as error:
        client.predict("m", b"a,b", content_type="text/csv")
    assert error.value.status == 415


def test_inputs_that_are_not_files(client: Client, fake: Fake) -> None:
    fake.add("m")
    assert client.predict("m", {"inputs": {"x": [[1.0]]}})["outputs"] == {"y": [[1.0]]}
    assert len(client.predict("m", PNG, options={"top_k": "1"})["predictions"]) == 1
    assert client.predict("m", b"raw", "production", content_type="image/x-raw")["version"] == 1
    assert fake.calls[-1].path == "/models/m/versions/production/predict"
    with pytest.raises(AmaasError, match="is no file"):
        client.predict("m", "nowhere.png")


def test_open_inference(client: Client, fake: Fake) -> None:
    fake.add("m")
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
    assert client.infer("m", body)["outputs"] == body["inputs"]
    assert client.infer("m", body, 1)["model_version"] == "1"


def test_tokens(client: Client, fake: Fake) -> None:
    made = client.create_token("ci", ["infer:fashion-*"], expires_in_days=7)
    assert made["token"].startswith("amaas_0001_") and made["expires_in_days"] == 7
    assert [token["scopes"] for token in client.tokens()] == [["infer:fashion-*"]]
    assert client.revoke_token("0001")["revoked"] is True
    with pytest.raises(ApiError, match="there is no token 'x/y'"):
        client.revoke_token("x/y")


def test_status(client: Client, fake: Fake) -> None:
    fake.add("m")
    assert client.status() == {"url": client.url, "live": True, "ready": True, "models": 1}
    fake.ready = False
    assert client.status()["ready"] is False


def test_status_for_a_token_that_may_not_read(client: Client, fake: Fake) -> None:
    fake.trouble = [Trouble("GET", "/models$", 403)]
    assert client.status()["models"] is None


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_be_another_path(client: Client, fake: Fake, name: str) -> None:
    with pytest.raises(AmaasError, match="is no model's name"):
        client.model(name)
    assert not fake.calls


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import amaas, amaas.cli.models", {"httpx", "rich", "asyncio", "ssl"}),
        ("from amaas import Client; import amaas.cli.tables, amaas.cli.progress", set()),
    ],
)
def test_what_importing_does_not_load(statement: str, unwanted: set[str]) -> None:
    heavy = {"numpy", "boto3", "botocore", "onnx", "onnxruntime", "msgspec", "PIL", "torch", "shared", "functions"}
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (heavy | unwanted) & set(json.loads(done.stdout))
