"""The Python client, method by method."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import amaas
import pytest
from amaas import AmaasError, ApiError, Client
from amaas.client import RENAMED

from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.client.models import PNG, served
from tests.registry.conftest import push

CLIENT = Path(__file__).parents[2] / "client"


def test_lists_are_followed_over_all_pages(client: Client, service: Service, log: Log) -> None:
    for name in ("a", "b", "c"):
        push(log, name)
    assert [model["name"] for model in client.list_models()] == ["a", "b", "c"]
    assert [model["name"] for model in client.list_models("c")] == ["c"]
    push(log, "many", 205)
    assert [version["version"] for version in client.list_versions("many")] == list(range(205, 0, -1))
    assert [record["revision"] for record in client.get_history("many")] == list(range(205, 0, -1))
    assert [record["revision"] for record in client.get_history("many", 2)] == [205, 204]
    assert len(service.received("GET", "/models/many/history")) == 1 + 5


def test_a_model_and_its_versions(client: Client, log: Log) -> None:
    push(log, "m", 2)
    assert client.get_model("m")["aliases"]["production"]["version"] == 1
    assert client.get_version("m", 2)["version"] == 2
    assert client.get_version("m", "production")["version"] == 1
    with pytest.raises(ApiError, match="version 1 is not signed") as error:
        client.get_version_signature("m", 1)
    assert error.value.status == 404


def test_a_promotion(client: Client, log: Log) -> None:
    push(log, "m", 2)
    move = client.promote("m", 2, reason="better", expect_revision=2)
    assert (move["model"], move["alias"], move["version"], move["revision"]) == ("m", "production", 2, 3)
    assert client.get_history("m")[0]["reason"] == "better"
    with pytest.raises(ApiError, match="at revision 3, not 2") as error:
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
    client: Client, service: Service, tmp_path: Path, content: bytes, name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with suppress(ApiError):  # there is no model
        client.predict("m", tmp_path / name)
    assert service.calls[-1].headers["content-type"] == kind
    assert service.calls[-1].body == content


def test_a_type_that_the_model_does_not_take(client: Client, log: Log) -> None:
    served(log)
    with pytest.raises(ApiError, match="this model takes image/png or image/jpeg") as error:
        client.predict("digits", b"a,b", content_type="text/csv")
    assert error.value.status == 415


def test_inputs_that_are_not_files(client: Client, service: Service, log: Log) -> None:
    served(log)
    assert client.predict("sum", {"inputs": {"x": [[1.0, 2.0]]}})["outputs"] == {"y": [[21.0]]}
    assert len(client.predict("digits", PNG, options={"top_k": "1"})["predictions"]) == 1
    assert client.predict("digits", PNG, "production", content_type="image/png", key="k")["version"] == 1
    assert service.calls[-1].path == "/models/digits/versions/production/predict"
    assert service.calls[-1].headers["x-request-key"] == "k"
    with pytest.raises(ApiError, match=r"'nowhere' is no file here, and was sent as a text"):
        client.predict("digits", "nowhere")


def test_explanations(client: Client, log: Log) -> None:
    served(log)
    assert client.explain("digits", PNG, options={"method": "occlusion"})["method"] == "occlusion"  # type: ignore[index,call-overload]
    assert bytes(client.explain("digits", PNG, picture=True)).startswith(b"\x89PNG")


def test_open_inference(client: Client, log: Log) -> None:
    served(log)
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    assert client.infer("sum", body)["outputs"][0]["data"] == [21.0]
    assert client.infer("sum", body, 1)["model_version"] == "1"
    assert client.get_version_statistics("sum", 1)["inference_count"] >= 2


def test_tokens(client: Client) -> None:
    token = client.create_token("ci", ["infer:fashion-*"], expires_in_days=7)
    assert token["token"].startswith(f"amaas_{token['id']}_") and token["expires_at"]
    assert ["infer:fashion-*"] in [row["scopes"] for row in client.list_tokens()]
    assert client.revoke_token(token["id"])["revoked"] is True
    with pytest.raises(ApiError, match="'x/y' is not a token id"):
        client.revoke_token("x/y")


def test_status(client: Client, service: Service, log: Log) -> None:
    push(log, "m")
    assert client.status() == {"url": client.url, "live": True, "ready": True, "models": 1}
    service.trouble = [Trouble("GET", "ready", 503, times=9)]
    assert client.status()["ready"] is False
    service.trouble = [Trouble("GET", "/models$", 403)]  # a token that may not read
    assert client.status()["models"] is None


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_be_another_path(client: Client, service: Service, name: str) -> None:
    with pytest.raises(AmaasError, match="is not a model name"):
        client.get_model(name)
    assert not service.calls


def test_older_names_work_and_say_which_is_the_present_one(client: Client, log: Log) -> None:
    push(log, "m")
    with pytest.warns(DeprecationWarning, match=r"Client\.version is now Client\.get_version"):
        assert client.version("m", 1)["version"] == 1  # type: ignore[attr-defined]
    assert not set(RENAMED) & set(dir(Client)) and set(RENAMED.values()) <= set(dir(Client))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        client.nonsense  # type: ignore[attr-defined]  # noqa: B018 - to be looked up


def test_the_version_has_one_place() -> None:
    """What is installed from a checkout was built when the environment was: the sources are compared."""
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert CLIENT / project["tool"]["hatch"]["version"]["path"] == Path(amaas.__file__)
    assert f'__version__ = "{amaas.__version__}"' in Path(amaas.__file__).read_text()


HEAVY = {"numpy", "boto3", "botocore", "onnx", "onnxruntime", "msgspec", "PIL", "torch", "shared", "functions"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        (
            "from amaas.cli.app import main; main(['--help'], standalone_mode=False)",
            {"httpx", "rich", "asyncio", "ssl"},
        ),
        ("from amaas import Client; import amaas.cli.display.models, amaas.cli.display.progress", set()),
    ],
)
def test_what_importing_does_not_load(statement: str, unwanted: set[str]) -> None:
    code = f"{statement}; import sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (HEAVY | unwanted) & set(result.stdout.splitlines()[-1].split())
