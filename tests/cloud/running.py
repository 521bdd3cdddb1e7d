"""What runs in the embedded cloud of the tests: the functions' processes, their settings and their logs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.settings import STACK
from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.signing import model_signing
from shared.signing.kms import KmsKey
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store
from tests.cloud.conftest import Cloud

NAME = b"AWS_LAMBDA_FUNCTION_NAME="


def resource(cloud: Cloud, name: str) -> str:
    """The physical id of one of the template's resources."""
    resources = cloud.aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return str(next(entry["PhysicalResourceId"] for entry in resources if entry["LogicalResourceId"] == name))


def processes(cloud: Cloud, function: str = "Function") -> dict[int, str]:
    """Numbers of the functions' processes, with the names of the functions. function: a part of the name.

    Only children of the process that this test's cloud is: never those of another deployment on this machine.
    """
    parent = int((cloud.home / "cloud.pid").read_text().split()[0])
    running: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) != parent or fields[0] == "Z":
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        names = [entry.removeprefix(NAME).decode() for entry in variables if entry.startswith(NAME)]
        if names and function in names[0]:
            running[int(folder.name)] = names[0]
    return running


@contextmanager
def settings(cloud: Cloud, function: str, *, timeout: int | None = None, **environment: str) -> Iterator[None]:
    """A function of the template with other settings, for as long as the block runs. Both times it starts anew."""
    client, name = cloud.aws("lambda"), resource(cloud, function)
    before = client.get_function_configuration(FunctionName=name)
    variables = before["Environment"]["Variables"]
    try:
        client.update_function_configuration(
            FunctionName=name,
            Timeout=timeout or before["Timeout"],
            Environment={"Variables": variables | environment},
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        yield
    finally:
        client.update_function_configuration(
            FunctionName=name, Timeout=before["Timeout"], Environment={"Variables": variables}
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def logged(cloud: Cloud, function: str, since: float) -> list[dict[str, Any]]:
    """The JSON lines that a function has logged. function: its folder; since: seconds since the epoch."""
    pages = cloud.aws("logs").get_paginator("filter_log_events")
    lines = [
        line
        for page in pages.paginate(logGroupName=f"/amaas/{STACK}/{function}", startTime=int(since * 1000))
        for event in page["events"]
        for line in event["message"].splitlines()
    ]
    return [json.loads(line) for line in lines if line.startswith("{")]


def deployed_log(cloud: Cloud) -> Log:
    """The models' logs of the deployment, with its own signing key: what the registry function has."""
    endpoint = cloud.access["endpoint_url"]
    return Log(S3Store(cloud.access["bucket"], endpoint), signer=KmsKey(resource(cloud, "SigningKey"), endpoint))


def register_past_the_gate(
    cloud: Cloud, model: str, body: bytes, inputs: list[Tensor], outputs: list[Tensor], key: LocalKey | None = None
) -> Version:
    """A version that no gate has seen. key: its package is signed with it."""
    log = deployed_log(cloud)
    digest = blobs.write(log.store, body)
    described = blobs.write(log.store, manifest.encode(Manifest(name=model, inputs=inputs, outputs=outputs)))
    files = {"model.onnx": digest, "amaas.json": described}
    version = Version(
        version=0,
        task="tensor",
        manifest=described,
        source=digest,
        model=digest,
        size=len(body),
        upload=f"past-the-gate-{digest[:16]}",  # an upload is one version
        package=blobs.write(log.store, model_signing.sign(key, model, files)) if key else None,
    )
    return versions.register(log, model, version, Change(by="test"))


def until(ask: Callable[[], Any], patience: float = 120) -> Any:
    """The first answer that is not empty."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return answer
