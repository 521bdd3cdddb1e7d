"""What a function does before its first call, in a process of its own with Lambda's environment variables."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import keys
from shared.access import tokens, usage
from shared.access.records import Seals
from shared.clock import now
from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store
from shared.uploads import forms, states
from tests import servers
from tests.serving.test_models import publish
from tests.support import caller, linear, load_event

# not on the path of an answer: each takes 20 to 350 ms to import, or is needed by few calls
FORBIDDEN = {
    "the SDK": "boto3 botocore urllib3 requests httpx ssl http.client urllib.request",
    "frameworks": "aws_lambda_powertools aws_xray_sdk pydantic jsonschema asyncio multiprocessing concurrent.futures",
    "of other tasks": "PIL tokenizers soundfile soxr onnx sklearn scipy pandas torch cryptography",
    "of larger bodies": "simdjson pybase64",
    "of older Pythons": "typing_extensions",
    "of the standard library": "email xml tempfile random numpy.random numpy.testing",
    "our own": "shared.registry.catalog shared.serving.describe shared.serving.tasks shared.serving.explain "
    "shared.counts shared.serving.counting",
}

CALL = """
import importlib, json, os, sys
app = importlib.import_module("functions.inference.app")
event = json.loads(sys.stdin.readline())
loaded = None
if event["prefetched"]:
    app.prefetching.join()
    loaded = [name for name in ("m",) if app.models()._kept.entries()]
reply = app.handler(event, None)
print(json.dumps({"reply": reply, "modules": sorted(sys.modules), "loaded": loaded}), file=sys.stderr)
"""

# one call of any function
CALL_ANY = """
import importlib, json, sys
app = importlib.import_module(f"functions.{sys.argv[1]}.app")
reply = app.handler(json.loads(sys.stdin.readline()), None)
print(json.dumps({"reply": reply, "modules": sorted(sys.modules)}), file=sys.stderr)
"""

SNAPSHOT = """
import importlib, json, os, sys
sys.path.insert(0, os.environ["REGISTERED"])
import snapshot_restore_py as hooks
app = importlib.import_module("functions.inference.app")
event = json.loads(sys.stdin.readline())
for call, args, named in reversed(hooks.get_before_snapshot()):
    call(*args, **named)
answers = [app.handler(event, None)]
print("asleep", flush=True)
sys.stdin.readline()
answers.append(app.handler(event, None))
for call, args, named in hooks.get_after_restore():
    call(*args, **named)
answers.append(app.handler(event, None))
print(json.dumps([json.loads(answer["body"])["outputs"][0]["data"] for answer in answers]), file=sys.stderr)
"""


@pytest.fixture
def deployed(seaweedfs_endpoint: str) -> dict[str, str]:
    """The environment of a function whose bucket has versions 1 and 2 of the model m."""
    store = servers.bucket(seaweedfs_endpoint)
    for n in (1, 2):
        publish(store, "m", linear([[float(n)], [0.0]]), f"upload-{n}")
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(servers.ROOT),
        "BUCKET": store.bucket,
        "AWS_ENDPOINT_URL": seaweedfs_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "inference",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "MODELS_DIR": "/nowhere",
    }


def event(prefetched: bool = False) -> str:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}]}
    made = load_event("apigateway_proxy")
    made |= {"httpMethod": "POST", "path": "/v2/models/m/infer", "queryStringParameters": None}
    made |= {"body": json.dumps(body), "isBase64Encoded": False, "headers": {}, "prefetched": prefetched}
    made["requestContext"]["authorizer"] = caller("infer")
    return json.dumps(made) + "\n"


def run(code: str, env: dict[str, str], given: str, *arguments: str) -> dict:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=env, input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def test_the_first_answer_imports_no_more_than_it_needs(deployed: dict[str, str]) -> None:
    said = run(CALL, deployed, event())
    assert said["reply"]["statusCode"] == 200, said["reply"]
    assert json.loads(said["reply"]["body"])["outputs"][0]["data"] == [1.0]
    assert [name for names in FORBIDDEN.values() for name in names.split() if name in said["modules"]] == []
    assert {"numpy", "msgspec", "obstore"} <= set(said["modules"])
    assert "onnxruntime" not in said["modules"]  # the model is not trusted: another process runs it


def test_the_authorizer_imports_no_more_than_it_needs(deployed: dict[str, str], tmp_path: Path) -> None:
    """Every first caller waits for it, before the function that answers is even started."""
    store, key = S3Store(deployed["BUCKET"], deployed["AWS_ENDPOINT_URL"]), LocalKey.create(tmp_path / "key.pem")
    token, secret = tokens.create(store, "ci", ["infer"], seals=Seals(key, (key.public,)))
    event = load_event("authorizer_request") | {"headers": {"authorization": f"Bearer {secret}"}}
    env = deployed | {"PUBLIC_KEYS": base64.b64encode(key.public).decode() + ","}
    done = run(CALL_ANY, env, json.dumps(event), "authorize")
    assert done["reply"]["principalId"] == token.id
    assert usage.read(store.get(keys.token(token.id, keys.USED))) == now()[:10]
    assert [name for names in FORBIDDEN.values() for name in names.split() if name in done["modules"]] == []
    others = [name for name in done["modules"] if name.startswith("shared.")]
    assert {name.split(".")[1] for name in others} <= {
        "access",
        "deadline",
        "clock",
        "config",
        "entry",
        "errors",
        "formats",
        "keys",
        "plain_text",
        "logs",
        "signing",
        "storage",
    }
    assert {"numpy", "onnxruntime", "secrets", "inspect", "urllib.parse"}.isdisjoint(done["modules"])
    assert {"msgspec", "obstore"} <= set(done["modules"])


@pytest.mark.parametrize(
    ("function", "path"),
    [
        ("registry", "/models/m"),
        ("registry", "/models/m/versions/production"),
        ("registry", "/models/m/history"),
        ("upload", "/uploads/UPLOAD"),
    ],
)
def test_reading_the_control_plane_takes_no_sdk(deployed: dict[str, str], function: str, path: str) -> None:
    if "UPLOAD" in path:
        store = S3Store(deployed["BUCKET"], deployed["AWS_ENDPOINT_URL"])
        path = path.replace("UPLOAD", states.open_session(store, "m", [forms.File("model.onnx")], "ann").upload_id)
    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": path, "body": None}
    event["requestContext"]["authorizer"] = caller("read")
    done = run(CALL_ANY, deployed, json.dumps(event | {"queryStringParameters": None}), function)
    assert done["reply"]["statusCode"] == 200, done["reply"]
    assert {"boto3", "botocore", "aws_lambda_powertools"}.isdisjoint(done["modules"])


@pytest.mark.parametrize(("wanted", "loaded"), [("m", ["m"]), ("nobody m", ["m"]), ("", []), ("*", [])])
def test_what_is_prefetched(deployed: dict[str, str], wanted: str, loaded: list[str]) -> None:
    said = run(CALL, deployed | {"PREFETCH": wanted}, event(prefetched=True))
    assert said["loaded"] == loaded
    assert said["reply"]["statusCode"] == 200


def test_a_store_that_is_away_stops_no_function_from_starting(deployed: dict[str, str]) -> None:
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "PREFETCH": "m"}
    said = run(CALL, deployed | away, event(prefetched=True))
    assert said["reply"]["statusCode"] == 503
    assert "try again" in json.loads(said["reply"]["body"])["error"]


def test_a_function_restored_from_a_snapshot_asks_where_aliases_are(deployed: dict[str, str]) -> None:
    """With Lambda's own registry of hooks; the alias moves while the process sleeps, within the alias' time."""
    env = deployed | {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", "PREFETCH": "m", "ALIAS_TTL_SECONDS": "3600"}
    site = Path(__import__("snapshot_restore_py").__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SNAPSHOT],
        env=env | {"REGISTERED": str(site)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process:
        process.stdin.write(event())
        process.stdin.flush()
        while process.stdout.readline().strip() != "asleep":
            assert process.poll() is None, process.stderr.read()
        store = S3Store(deployed["BUCKET"], deployed["AWS_ENDPOINT_URL"])
        aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
        _, told = process.communicate("woken\n")
    assert json.loads(told.splitlines()[-1]) == [[1.0], [1.0], [2.0]]
