"""Answers that are streamed, through the embedded cloud's gateway with an authorizer, from a template of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import httpx
import msgspec
import pytest

from tests.servers import ROOT
from tools import build, closure

FIXTURE = ROOT / "tests" / "fixtures" / "streaming"
ENVS = ROOT / ".local" / "envs"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
PATIENCE = 60


@dataclass
class Deployed:
    home: Path
    endpoint: str
    outputs: dict[str, str]

    def client(self) -> httpx.Client:
        address = f"{self.endpoint}/_aws/execute-api/{self.outputs['ApiId']}/v1"
        return httpx.Client(base_url=address, headers={"Authorization": "Bearer x"}, timeout=PATIENCE)

    def aws(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1")

    def lines(self, path: str, **wish: Any) -> Iterator[dict[str, Any]]:
        """What each part says, with the time at which it came: `got`."""
        with self.client() as client, client.stream("POST", path, json=wish) as answer:
            assert answer.status_code == wish.get("status", 200), answer.read()
            assert answer.headers["X-Kind"] == "stream"
            assert answer.headers["Content-Type"] == "application/x-ndjson"
            for line in answer.iter_lines():
                yield json.loads(line) | {"got": time.time()}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    home = tmp_path_factory.mktemp("streaming")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AMAAS_HOME": str(home), "AMAAS_PORT": port}
    python = str(ENVS / "cloud" / "bin" / "python")
    start = [python, "-c", "from local import cloud; print(cloud.start())"]
    endpoint = subprocess.run(start, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    try:
        yield Deployed(home, endpoint.strip(), deploy(home / "source", endpoint.strip(), environment))
    finally:
        subprocess.run([python, "-m", "local.cloud", "stop"], cwd=ROOT, env=environment, check=True)


def deploy(folder: Path, endpoint: str, environment: dict[str, str]) -> dict[str, str]:
    """Package and deploy the template with SAM; the stack's outputs."""
    shutil.copytree(FIXTURE, folder)
    build.copy((closure.modules()[name] for name in closure.reached("shared.entry.streamed")), folder / "code")
    build.loop(folder / "code")
    package = Path(msgspec.__file__).parent
    shutil.copytree(package, folder / "layer" / "python" / "msgspec")
    aws = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    aws.create_bucket(Bucket="artifacts")
    command = [str(ENVS / "sam" / "bin" / "sam"), "deploy", "--template-file", str(folder / "template.yaml")]
    command += ["--stack-name", "streaming", "--s3-bucket", "artifacts", "--region", "us-east-1", "--no-progressbar"]
    command += ["--capabilities", "CAPABILITY_IAM", "--parameter-overrides", f"PythonRuntime={RUNTIME}"]
    environment = environment | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    formation = boto3.client("cloudformation", endpoint_url=endpoint, region_name="us-east-1")
    [stack] = formation.describe_stacks(StackName="streaming")["Stacks"]
    return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def until(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return answer


def test_the_client_has_each_part_before_the_next_is_made(deployed: Deployed) -> None:
    lines = list(deployed.lines("/stream", parts=4, pause=1, status=201))
    assert [line["number"] for line in lines] == [0, 1, 2, 3]
    assert all(line["got"] < later["made"] for line, later in pairwise(lines))


def test_an_ordinary_answer_of_the_same_function_is_whole(deployed: Deployed) -> None:
    with deployed.client() as client:
        answer = client.post("/stream", json={})
    assert (answer.status_code, answer.headers["X-Plain"]) == (418, "1")
    said = answer.json()
    assert said["authorizer"]["principalId"] == "ann" and said["authorizer"]["scopes"] == "infer"
    assert said["n"] == "é" and 100_000 < said["left"] <= 120_000


def test_an_answer_may_be_larger_than_lambdas_limit(deployed: Deployed) -> None:
    lines = list(deployed.lines("/stream", parts=150, large=80_000))
    assert len(lines) == 150 and {len(line["x"]) for line in lines} == {80_000}


def test_a_failure_in_mid_stream_is_a_body_that_is_cut_off(deployed: Deployed) -> None:
    lines, before = [], time.time()
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        lines.extend(deployed.lines("/stream", parts=5, fail=3))
    assert [line["number"] for line in lines] == [0, 1, 2]
    again = list(deployed.lines("/stream", parts=1))
    assert again[0]["pid"] == lines[0]["pid"]  # the process has gone on
    group = f"/aws/lambda/{deployed.outputs['StreamName']}"
    events = deployed.aws("logs").filter_log_events(logGroupName=group, startTime=int(before * 1000))["events"]
    logged = [json.loads(row) for event in events for row in event["message"].splitlines() if row.startswith("{")]
    [error] = [line for line in logged if line["level"] == "ERROR"]
    assert error["errorType"] == "ValueError" and error["stackTrace"]


def test_a_failure_before_the_first_part_is_an_error(deployed: Deployed) -> None:
    with deployed.client() as client:
        for wish in ({"raise": True}, {"parts": 2, "fail": 0}):
            assert client.post("/stream", json=wish).status_code == 502


def test_a_client_that_leaves_ends_the_making(deployed: Deployed, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    lines = deployed.lines("/stream", parts=1000, pause=0.1, mark=str(mark))
    first = [next(lines) for _ in range(3)]
    lines.close()  # type: ignore[attr-defined]  # it is a generator
    made = until(lambda: mark.exists() and mark.read_text())
    assert 3 <= int(made) < 1000
    assert next(deployed.lines("/stream", parts=1))["pid"] == first[0]["pid"]


def test_calls_at_the_same_time_have_processes_of_their_own(deployed: Deployed) -> None:
    one, other = deployed.lines("/stream", parts=3, pause=0.5), deployed.lines("/stream", parts=3, pause=0.5)
    mixed = [next(one), next(other), *one, *other]
    assert len({line["pid"] for line in mixed}) == 2 and len(mixed) == 6


def test_a_routes_limit_of_time_cuts_the_answer(deployed: Deployed, tmp_path: Path) -> None:
    mark, lines = tmp_path / "mark", []
    list(deployed.lines("/stream", parts=1))  # it is warm
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        lines.extend(deployed.lines("/short", parts=300, pause=0.1, mark=str(mark)))
    assert 0 < len(lines) < 300
    assert until(lambda: mark.exists() and mark.read_text())
    with deployed.client() as client:
        assert client.post("/soon", json={"parts": 2, "pause": 4}).status_code == 504


def test_a_functions_own_time_cuts_the_answer_and_ends_the_process(deployed: Deployed) -> None:
    lines: list[dict[str, Any]] = []
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        lines.extend(deployed.lines("/brief", parts=300, pause=0.1))
    assert 0 < len(lines) < 300
    until(lambda: not Path(f"/proc/{lines[0]['pid']}").exists())
    assert next(deployed.lines("/brief", parts=1))["pid"] != lines[0]["pid"]


def test_without_the_wrapper_the_same_code_answers_whole(deployed: Deployed) -> None:
    lines = list(deployed.lines("/plain", parts=3, pause=0.2))
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert lines[0]["got"] > lines[2]["made"]
    with deployed.client() as client:
        assert client.post("/unfit", json={"parts": 1}).status_code == 500  # AWS wants a prelude of such a route


def test_a_direct_call_gets_plain_json(deployed: Deployed) -> None:
    client = deployed.aws("lambda")
    answer = json.load(client.invoke(FunctionName=deployed.outputs["StreamName"], Payload=b'{"parts": 2}')["Payload"])
    assert answer["statusCode"] == 200 and len(answer["body"].splitlines()) == 2
    failed = client.invoke(FunctionName=deployed.outputs["StreamName"], Payload=b'{"raise": true}')
    assert failed["FunctionError"] and "as the call has wished" in json.load(failed["Payload"])["errorMessage"]


def test_no_function_outlives_the_cloud(deployed: Deployed) -> None:
    """The last one: the cloud is killed."""
    pid = next(deployed.lines("/stream", parts=1))["pid"]
    assert "runtime_loop" in Path(f"/proc/{pid}/cmdline").read_text()
    os.kill(int((deployed.home / "cloud.pid").read_text().split()[0]), signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
