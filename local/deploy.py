"""Build and deploy template.yaml, unmodified, to the embedded cloud; skipped if nothing changed since."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local import cloud
from local.settings import BUILD, HOME, REGION, ROOT, RUNTIME, STACK, aws_env, say, tool
from tools import build

RECORD = HOME / "deployed.json"
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"  # of this machine
ARTIFACTS = f"{STACK}-artifacts"
ACCOUNT = "000000000000"  # the embedded cloud's
DATA = f"{STACK}-data-{ACCOUNT}-{REGION}"
SOURCES = ["template.yaml", "samconfig.toml", "Makefile", "tools/build.py", "tools/models_layer.py"]
SOURCES += [f"requirements/{lock}.txt" for lock in ("core", "runtime", *build.OWN_PACKAGES)]
TREES = ["functions", "shared", "layers", "api"]


def client(service: str, endpoint: str, patience: int = 60) -> Any:
    """A boto3 client of the embedded cloud. patience: seconds for an answer."""
    return boto3.client(
        service,
        config=Config(read_timeout=patience),
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def up_to_date(endpoint: str) -> dict[str, str] | None:
    """The outputs of the deployed stack, if it is complete and was built from the present sources."""
    stack_outputs = outputs(endpoint)
    if stack_outputs is None or not RECORD.exists():
        return None
    return stack_outputs if json.loads(RECORD.read_text()) == fingerprint(endpoint) else None


def deploy(endpoint: str) -> dict[str, str]:
    """Build, deploy, and return the stack's outputs. Raises SystemExit with the tool's output."""
    built_from = fingerprint(endpoint)  # before the build: a file that is saved meanwhile is deployed next time
    say("building the functions and layers")
    _sam("build", "--build-dir", str(BUILD), "--template", "template.yaml", endpoint=endpoint)
    say("deploying the template")
    _make_room(endpoint)
    template = str(BUILD / "template.yaml")
    _sam("deploy", "--template-file", template, "--s3-bucket", ARTIFACTS, "--region", REGION, endpoint=endpoint)
    deployed = outputs(endpoint)
    if deployed is None:
        raise SystemExit(f"the stack {STACK} is not complete; the embedded cloud's log is {cloud.LOG}")
    RECORD.write_text(json.dumps(built_from))
    return deployed


def outputs(endpoint: str) -> dict[str, str] | None:
    """The stack's outputs, or None if there is no complete stack."""
    try:
        [stack] = client("cloudformation", endpoint).describe_stacks(StackName=STACK)["Stacks"]
    except ClientError:
        return None
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return None
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def fingerprint(endpoint: str) -> dict[str, str]:
    """What a deployment is built from: its parameters, and a digest of all its sources."""
    digest = hashlib.sha256()
    for path in _inputs():
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return {"sources": digest.hexdigest(), **_parameters(endpoint)}


def _inputs() -> Iterator[Path]:
    yield from (ROOT / name for name in SOURCES)
    for tree in TREES:
        files = sorted(path for path in (ROOT / tree).rglob("*") if path.is_file())
        yield from (path for path in files if "__pycache__" not in path.parts)


def _parameters(endpoint: str) -> dict[str, str]:
    # Each worker of a batch job is a process here. A stack keeps its parameters' values where none are given: that of
    # RequireQuotaKey was empty in stacks of before, which the template does not allow any more
    more = {"BatchConcurrency": "2", "RequireQuotaKey": "true", "MaxUploadBytes": str(3 * 2**30)}
    more["InboxQuietSeconds"] = "3"  # files come from the same machine
    more["CorsOrigins"] = "*"  # a page that one writes has an origin of its own: a file, or a port
    return {"PythonRuntime": RUNTIME, "EndpointUrl": endpoint, **more}


def _make_room(endpoint: str) -> None:
    """The bucket that archives go through, and the way free for a stack that could not be completed last time."""
    s3 = client("s3", endpoint)
    if not _exists(s3, ARTIFACTS):
        s3.create_bucket(Bucket=ARTIFACTS)
    formation = client("cloudformation", endpoint)
    status = _status(formation)
    if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"):
        formation.delete_stack(StackName=STACK)
        formation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
        status = None
    if status is None and _exists(s3, DATA):
        _adopt(formation)


def _adopt(formation: Any) -> None:
    """Create the new stack around the data bucket of an earlier one, which the template retains."""
    say(f"taking over the bucket {DATA}")
    bucket = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": DATA}}
    adopted = {
        "ResourceType": bucket["Type"],
        "LogicalResourceId": "Data",
        "ResourceIdentifier": {"BucketName": DATA},
    }
    formation.create_change_set(
        StackName=STACK,
        ChangeSetName="adopt",
        ChangeSetType="IMPORT",
        ResourcesToImport=[adopted],
        TemplateBody=json.dumps({"Resources": {"Data": bucket}}),
    )
    formation.get_waiter("change_set_create_complete").wait(
        StackName=STACK, ChangeSetName="adopt", WaiterConfig={"Delay": 1}
    )
    formation.execute_change_set(StackName=STACK, ChangeSetName="adopt")
    formation.get_waiter("stack_import_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def _status(formation: Any) -> str | None:
    try:
        status: str = formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return status


def _exists(s3: Any, bucket: str) -> bool:
    return bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


def _sam(command: str, *arguments: str, endpoint: str) -> None:
    """Run SAM CLI quietly. Raises SystemExit with its output if it fails."""
    values = [f"{name}={value}" for name, value in _parameters(endpoint).items()]
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "embedded"]
    process = subprocess.run(
        [tool("sam", "sam"), command, *arguments, *config, "--parameter-overrides", *values],
        cwd=ROOT,
        env=aws_env(endpoint) | {"AMAAS_RUNTIME": RUNTIME, "AMAAS_ARCHITECTURE": ARCHITECTURE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (HOME / f"sam-{command}.log").write_text(process.stdout)
    if process.returncode:
        raise SystemExit(f"{process.stdout}\nsam {command} failed with {process.returncode}")
