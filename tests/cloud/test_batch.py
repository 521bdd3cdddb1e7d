"""Batch jobs on the running cloud: the state machine, its workers, and the command that follows them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from amaas import Client
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from onnx import helper, numpy_helper
from PIL import Image

from shared.package.manifest import Tensor
from tests.cloud import running
from tests.cloud.conftest import ROOT, Cloud
from tests.ingest import corpus
from tests.ingest.test_guards import division
from tests.support import linear

pytestmark = pytest.mark.cloud
COUNT = 25


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> Client:
    """Of a cloud with a model that gives a + 10 b for a row."""
    described = {"task": "tabular", "preprocess": {"columns": [{"name": "a"}, {"name": "b"}]}}
    files = {"model.onnx": linear([[1.0], [10.0]]), "amaas.json": json.dumps(described).encode()}
    assert cloud.upload("sums", files)["state"] == "registered"
    return Client(cloud.access["api_url"], cloud.access["token"])


def jsonl() -> bytes:
    rows = [{"id": f"r{n}", "input": {"a": n, "b": n}} for n in range(COUNT)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def csv() -> bytes:
    return b"id,b,a\n" + b"".join(b"r%d,%d,%d\n" % (n, n, n) for n in range(COUNT))


def parquet() -> bytes:
    buffer = io.BytesIO()
    numbers = Array([float(n) for n in range(COUNT)], DataType.float64())
    names = Array([f"r{n}" for n in range(COUNT)], DataType.string())
    write_parquet(Table.from_pydict({"id": names, "a": numbers, "b": numbers}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "body"), [("rows.jsonl", jsonl()), ("rows.csv", csv()), ("rows.parquet", parquet())])
def test_rows_of_every_kind_of_file(client: Client, tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    job = client.create_batch_job("sums", tmp_path / name, chunk=10)
    state = client.wait_for_batch_job(job["id"], timeout=120)
    assert (state["state"], state["done"], state["failed"], state["chunks"]) == (
        "done",
        COUNT,
        0,
        {"all": 3, "done": 3},
    )
    answers = list(client.read_batch_job_outputs(job["id"]))
    assert [answer["id"] for answer in answers] == [f"r{n}" for n in range(COUNT)]
    assert [answer["prediction"]["value"] for answer in answers] == [11.0 * n for n in range(COUNT)]


def amaas(cloud: Cloud, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"AMAAS_URL": cloud.access["api_url"], "AMAAS_TOKEN": cloud.access["token"]}
    command = [str(ROOT / ".local" / "envs" / "client" / "bin" / "amaas"), *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_the_command_over_a_folder_of_images(cloud: Cloud, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    done = amaas(cloud, "batch", "fashion-mnist", "examples/images", "--chunk", "4", "--top-k", "1", "--out", str(out))
    assert "is done: 10 of 10 inputs done, 0 failed" in done.stderr
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    names = sorted(path.name for path in (ROOT / "examples" / "images").iterdir())
    assert [answer["input"] for answer in answers] == names
    labels = [answer["prediction"]["predictions"][0]["label"] for answer in answers]
    right = sum(_slug(label) in name for label, name in zip(labels, names, strict=True))
    assert right >= 9, labels


def _slug(label: str) -> str:
    return label.lower().replace("/", "-").replace(" ", "-")


def test_bad_inputs_are_listed_and_stop_no_other(cloud: Cloud, client: Client, tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text('{"input": {"a": 1, "b": 1}}\nnonsense\n{"input": {"a": "x", "b": 1}}\n')
    told: dict[str, Any] = json.loads(
        amaas(cloud, "batch", "sums", str(tmp_path / "some.jsonl"), "--json", status=1).stdout
    )
    assert (told["state"], told["done"], told["failed"]) == ("done", 3, 2)
    assert [(line["input"], line["status"]) for line in told["failures"]] == [
        ("some.jsonl:2", 400),
        ("some.jsonl:3", 400),
    ]
    (tmp_path / "none.jsonl").write_text('{"input": {"a": "x", "b": 1}}\n' * 3)
    failed = amaas(cloud, "batch", "sums", str(tmp_path / "none.jsonl"), status=1).stderr
    assert "amaas: none of the inputs could be answered; none.jsonl:1: " in failed
    again = amaas(cloud, "batch", "sums", "--resume", told["id"], status=1)
    assert json.loads(again.stdout.splitlines()[0])["prediction"] == {"value": 11.0}


def test_an_image_that_is_too_large_for_one_call(cloud: Cloud) -> None:
    """The way that 413 names, with nothing but HTTP: ask, PUT, start and wait."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1800, 1800, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    body = buffer.getvalue()
    assert len(body) > 9_000_000
    refused = cloud.api.post("/models/fashion-mnist/predict", content=body, headers={"Content-Type": "image/png"})
    assert refused.status_code == 413
    assert "POST /models/{model}/batch" in refused.json()["error"]
    ticket = cloud.api.post(
        "/models/fashion-mnist/batch", json={"files": [{"name": "big.png", "size": len(body)}]}
    ).json()
    [target] = ticket["files"]
    assert httpx.put(target["url"], content=body, headers=target["headers"], timeout=60).status_code == 200
    done = cloud.api.post(ticket["start_url"], json={"wait": 20}).json()
    while done["state"] in ("planning", "running"):
        done = cloud.api.get(ticket["status_url"], params={"wait": 20}).json()
    assert (done["state"], done["failed"]) == ("done", 0), done
    assert len(done["results"][0]["prediction"]["predictions"]) == 5


# ---- what ends a worker


DIVISION = division().SerializeToString()
NUMBERS = [Tensor(name, "INT64", [-1]) for name in "ab"]


def register_unguarded(cloud: Cloud, model: str, body: bytes = DIVISION, inputs: list[Tensor] = NUMBERS) -> None:
    """Register a model past the gate; by default a division, which the gate would guard: smallest by -1 kills."""
    outputs = [Tensor("y", inputs[0].datatype, [-1] if inputs is NUMBERS else [])]
    running.register_past_the_gate(cloud, model, body, inputs, outputs)


def test_an_input_that_kills_the_worker_is_its_own_failure(cloud: Cloud, client: Client, tmp_path: Path) -> None:
    register_unguarded(cloud, "kills")
    rows = [{"inputs": {"a": [n], "b": [3]}} for n in range(9)]
    rows.insert(5, {"inputs": {"a": [-(2**63)], "b": [-1]}})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = client.create_batch_job("kills", tmp_path / "rows.jsonl", version=1)
    state = client.wait_for_batch_job(job["id"], timeout=300)
    assert (state["state"], state["done"], state["failed"]) == ("done", 10, 1), state
    [failure] = state["failures"]
    assert (failure["input"], failure["status"] in (500, 503)) == ("rows.jsonl:6", True), failure
    answers = list(client.read_batch_job_outputs(job["id"]))
    assert [answer["index"] for answer in answers if "prediction" in answer] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


# ---- executions and workers that are ended


def slow_model() -> bytes:
    """Some tenths of a second per row: products of one large matrix."""
    size, count = 1000, 12
    weight = numpy_helper.from_array(np.eye(size, dtype=np.float32), "w")
    nodes = [helper.make_node("Expand", ["x", "shape"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{n}", "w"], [f"m{n + 1}"]) for n in range(count)]
    nodes += [helper.make_node("ReduceMax", [f"m{count}"], ["y"], keepdims=0)]
    shape = numpy_helper.from_array(np.array([size, size]), "shape")
    return corpus.model(nodes, [corpus.value("x", [1, 1])], [corpus.value("y", [])], initializers=[weight, shape])


def test_a_job_whose_execution_is_stopped_from_outside_is_failed_and_resumed(
    cloud: Cloud, client: Client, tmp_path: Path
) -> None:
    register_unguarded(cloud, "slow", slow_model(), [Tensor("x", "FP32", [1, 1])])
    rows = [{"inputs": {"x": [[float(n)]]}} for n in range(400)]  # a minute of work, of which little is done
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = client.create_batch_job("slow", tmp_path / "rows.jsonl", version=1, chunk=2)["id"]
    machine = cloud.aws("stepfunctions")
    machines = [entry["stateMachineArn"] for entry in machine.list_state_machines()["stateMachines"]]
    [arn] = [one for one in machines if not one.endswith("-inbox")]
    machine.stop_execution(executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:{job}-1", cause="by hand")
    state = client.wait_for_batch_job(job, timeout=120)
    assert state["state"] == "failed" and "aborted: by hand" in state["error"], state
    assert client.list_batch_jobs("slow")[0]["state"] == "failed"
    assert client.start_batch_job(job)["state"] in ("planning", "running")
    assert client.cancel_batch_job(job)["state"] == "cancelled"


def test_every_input_is_answered_though_the_worker_is_killed(cloud: Cloud, client: Client, tmp_path: Path) -> None:
    register_unguarded(cloud, "slowly", slow_model(), [Tensor("x", "FP32", [1, 1])])
    rows = [{"inputs": {"x": [[float(n)]]}} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = client.create_batch_job("slowly", tmp_path / "rows.jsonl", version=1)["id"]
    kills = 0
    state = client.get_batch_job(job)
    while state["state"] in ("planning", "running"):
        processes = running.processes(cloud, "BatchworkFunction") if kills < 3 and state["state"] == "running" else []
        for process in processes:
            os.kill(process, signal.SIGKILL)
        kills += bool(processes)
        state = client.get_batch_job(job, wait=2)
    assert kills == 3, "it was over before it could be killed"
    assert (state["state"], state["done"], state["failed"]) == ("done", 12, 0), state
    answers = list(client.read_batch_job_outputs(job))
    assert [answer["prediction"]["outputs"]["y"] for answer in answers] == [float(n) for n in range(12)]
