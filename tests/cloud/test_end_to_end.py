"""The whole product through the running gateway: two ways in, predictions, access, bad input, a restart."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.cloud.conftest import ROOT, Cloud
from tests.support import linear

pytestmark = pytest.mark.cloud
IMAGES = sorted((ROOT / "examples" / "images").glob("fashion-*.png"))
PATIENCE = 60  # seconds for an answer: a first call starts a function, on whatever else the machine does


def test_make_run_answers_with_the_bundled_model(cloud: Cloud) -> None:
    assert "fashion-mnist" in cloud.first_run
    assert cloud.access["api_url"] in cloud.first_run
    names = [m["name"] for m in cloud.api.get("/models").json()["models"]]
    assert "fashion-mnist" in names


@pytest.mark.parametrize("image", IMAGES, ids=lambda p: p.stem)
def test_real_test_images_get_their_labels(cloud: Cloud, image: Path) -> None:
    answer = cloud.api.post(
        "/models/fashion-mnist/predict", content=image.read_bytes(), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200, answer.text
    label = answer.json()["predictions"][0]["label"]
    assert label.lower().replace("/", "-").replace(" ", "-") in image.stem


@pytest.fixture(scope="module")
def iris() -> tuple[bytes, np.ndarray, np.ndarray]:
    """A model made elsewhere: scikit-learn's, through skl2onnx, with its ZipMap left on."""
    x, y = load_iris(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    return to_onnx(fitted, x[:1].astype(np.float32)).SerializeToString(), x.astype(np.float32), fitted.predict_proba(x)


@pytest.mark.parametrize("way", ["ticket", "inbox"])
def test_a_model_made_elsewhere_by_both_ways_in(cloud: Cloud, iris, way: str) -> None:
    model, rows, expected = iris
    name = f"iris-{way}"
    state = cloud.upload(name, {"model.onnx": model}) if way == "ticket" else cloud.inbox(name, "iris v1.onnx", model)
    assert (state["state"], state["version"]) == ("registered", 1), state
    inputs = cloud.api.get(f"/v2/models/{name}").json()["inputs"]
    tensor = {"name": inputs[0]["name"], "shape": [150, 4], "datatype": "FP32", "data": rows.tolist()}
    answer = cloud.api.post(f"/v2/models/{name}/infer", json={"id": "x7", "inputs": [tensor]}).json()
    outputs = {o["name"]: np.reshape(o["data"], o["shape"]) for o in answer["outputs"]}
    assert answer["id"] == "x7"
    assert np.allclose(outputs["output_probability"], expected, atol=1e-5)
    served = cloud.api.get(f"/models/{name}/versions/1").json()
    assert served["labels"] == ["0", "1", "2"]  # the keys of the ZipMap, which became a plain tensor


def test_an_unmodified_client_of_the_protocol(cloud: Cloud) -> None:
    assert cloud.upload("client-made", {"model.onnx": linear([[2.0], [3.0]])})["state"] == "registered"
    url = cloud.access["api_url"].removeprefix("http://")
    headers = {"Authorization": f"Bearer {cloud.access['token']}"}
    with triton.InferenceServerClient(url) as client:
        assert client.is_server_live(headers)
        assert client.is_server_ready(headers)
        assert client.is_model_ready("client-made", headers=headers)
        assert client.get_model_metadata("client-made", headers=headers)["platform"] == "onnx_onnxruntime"
        tensor = triton.InferInput("x", [1, 2], "FP32")
        tensor.set_data_from_numpy(np.array([[1, 1]], np.float32), binary_data=False)
        wanted = triton.InferRequestedOutput("y", binary_data=False)
        for version in ("", "1", "production"):
            result = client.infer("client-made", [tensor], outputs=[wanted], model_version=version, headers=headers)
            assert result.as_numpy("y").tolist() == [[5.0]]
        with pytest.raises(triton.InferenceServerException, match="no model"):
            client.infer("nothing-here", [tensor], headers=headers)


def test_promotion_is_followed_and_can_be_undone(cloud: Cloud) -> None:
    for n in (1, 2):
        assert cloud.upload("moving", {"model.onnx": linear([[float(n)], [0.0]])})["version"] == n

    def production() -> float:
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}
        return cloud.api.post("/v2/models/moving/infer", json={"inputs": [tensor]}).json()["outputs"][0]["data"][0]

    assert production() == 1.0
    for version in (2, 1):
        moved = cloud.api.put("/models/moving/aliases/production", json={"version": version, "reason": "test"})
        assert moved.status_code == 200, moved.text
        deadline = time.monotonic() + 4  # the alias may be reused for 2 s, and this machine is slow
        while production() != version and time.monotonic() < deadline:
            time.sleep(0.1)
        assert production() == version
    records = cloud.api.get("/models/moving/history").json()["records"]
    assert [r["kind"] for r in records] == ["alias", "alias", "register", "register"]


def test_tokens_open_what_their_scopes_say(cloud: Cloud) -> None:
    url = cloud.access["api_url"]
    for headers in ({}, {"Authorization": "Bearer amaas_000000000000_" + "a" * 43}, {"Authorization": "Bearer x"}):
        refused = httpx.get(f"{url}/models", headers=headers, timeout=PATIENCE)
        assert (refused.status_code, list(refused.json())) == (401, ["error", "code", "request_id"])
    made = cloud.api.post("/tokens", json={"name": "shop", "scopes": ["infer:fashion-*"]}).json()
    headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "image/png"}
    image = IMAGES[0].read_bytes()
    assert (
        httpx.post(f"{url}/models/fashion-mnist/predict", headers=headers, content=image, timeout=PATIENCE).status_code
        == 200
    )
    for method, path in (
        ("POST", "/models/moving/predict"),
        ("GET", "/models/fashion-mnist"),
        ("GET", "/tokens"),
        ("POST", "/models/fashion-mnist/uploads"),
        ("PUT", "/models/fashion-mnist/aliases/production"),
    ):
        refused = httpx.request(method, url + path, headers=headers, content=b"{}", timeout=PATIENCE)
        assert refused.status_code == 403, (path, refused.text)
        assert list(refused.json()) == ["error", "code", "request_id"]
    stored = cloud.s3.get_object(Bucket=cloud.access["bucket"], Key=f"access/tokens/{made['id']}.json")["Body"].read()
    assert made["token"].split("_", 2)[2].encode() not in stored


def test_presigned_uploads_cannot_replace_what_is_there(cloud: Cloud) -> None:
    body = linear([[1.0], [0.0]])
    ticket = cloud.api.post("/models/once/uploads", json={"files": [{"name": "model.onnx", "size": len(body)}]}).json()
    target = ticket["files"][0]
    assert httpx.put(target["url"], content=body, headers=target["headers"], timeout=PATIENCE).status_code == 200
    again = httpx.put(target["url"], content=body[::-1], headers=target["headers"], timeout=PATIENCE)
    assert again.status_code == 412


def test_a_large_upload_goes_in_parts(cloud: Cloud) -> None:
    rng = np.random.default_rng(0)
    body = linear(rng.random((1500, 1000), np.float32).tolist())
    part = 5 * 1024 * 1024
    announced = {"files": [{"name": "model.onnx", "size": len(body)}], "multipart_part_size": part}
    ticket = cloud.api.post("/models/parts/uploads", json=announced).json()
    target = ticket["files"][0]
    tags = [
        httpx.put(url, content=body[i * part : (i + 1) * part], timeout=PATIENCE).headers["etag"]
        for i, url in enumerate(target["parts"])
    ]
    assert len(tags) == 2
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{t}</ETag></Part>" for n, t in enumerate(tags, 1))
    xml = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    done = httpx.post(target["complete"]["url"], content=xml, timeout=PATIENCE)
    assert done.status_code == 200, done.text
    state = cloud.wait(lambda: cloud.api.get(ticket["status_url"]).json())
    assert (state["state"], state["version"]) == ("registered", 1), state


def test_the_command_line(cloud: Cloud, tmp_path: Path) -> None:
    amaas = ROOT / ".local" / "envs" / "client" / "bin" / "amaas"
    env = {"AMAAS_URL": cloud.access["api_url"], "AMAAS_TOKEN": cloud.access["token"], "PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> dict:
        done = subprocess.run(
            [str(amaas), *arguments, "--json"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    (tmp_path / "tool-made.onnx").write_bytes(linear([[4.0], [0.0]]))
    assert run("push", "tool-made.onnx")["version"] == 1
    assert run("push", "tool-made.onnx")["version"] == 2
    assert "tool-made" in json.dumps(run("ls"))
    assert run("promote", "tool-made", "2", "--reason", "why not")["version"] == 2
    assert run("show", "tool-made")["aliases"]["production"]["version"] == 2
    assert run("predict", "fashion-mnist", str(IMAGES[0]))["predictions"]
    assert json.dumps(run("status"))
    assert run("token", "create", "ci", "--scope", "infer")["token"].startswith("amaas_")


def test_state_survives_a_restart(cloud: Cloud) -> None:
    before = cloud.api.get("/models/fashion-mnist").json()
    url = cloud.access["api_url"]
    cloud.down()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/v2", timeout=PATIENCE)
    cloud.up()
    assert cloud.access["api_url"] == url
    assert cloud.api.get("/models/fashion-mnist").json() == before
    answer = cloud.api.post(
        "/models/fashion-mnist/predict", content=IMAGES[0].read_bytes(), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200, answer.text
