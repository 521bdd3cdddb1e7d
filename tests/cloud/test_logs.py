"""What is in the log at INFO, as Amazon's runtime client writes it: docs/logs.md lists it."""

from __future__ import annotations

import json
import re
import site
from pathlib import Path
from typing import Any

import pytest

from shared import metrics
from tests import emulator
from tests.cloud.template import TEMPLATE, deployed, region
from tests.servers import ROOT

__all__ = ["region"]  # a fixture

FORGED, HALF = 'x\n{"level": "ERROR", "message": "forged"}\r\n\u2028', " half \ud800"

# the product's own code on a store in memory; nothing of it is replaced but the store
FUNCTION = """
import logging

from functions.authorize import app as authorize
from functions.ingest import app as ingest
from functions.scrub import app as scrub
from functions.sweep import app as sweep
from functions.tokens import app as tokens
from functions.upload import app as upload
from shared.entry import wiring
from shared.entry.http import Routes
from shared.ingest import pipeline
from shared.registry.log import Log
from shared.serving.models import Models
from shared.storage.memory import MemoryStore
from shared.uploads import listing, states
from tests.support import call, linear, s3_event

store = MemoryStore()
log = Log(store, on_commit=wiring._committed)
for app in (ingest, scrub, sweep):
    app.log = lambda: log
for app in (authorize, tokens, upload):
    app.store = lambda: store
routes = Routes("tested")


@routes.route("GET", "/bug", id="bug", scope=None)
def bug(request):
    raise RuntimeError(request.query["forged"] + " half " + chr(0xD800))


def broken(*_):
    raise OSError("the disk is gone")


def push(model, body):
    store.put(f"inbox/{model}/model.onnx", body)
    return ingest.handler(s3_event(f"inbox/{model}/model.onnx"), None)


def request(app, method, path, body=b""):
    return call(app.handler, method, path, body).json


def of(model):
    return listing.of_model(store, model)[0][0].upload_id


def handler(event, context):
    logging.getLogger("begin").warning("begin")
    push("bad", b"not a model")
    push("good", linear([[1.0]]))
    Models(log, ttl=1.0, capacity=1 << 20).load("good", None)
    sweep.handler({}, None)
    register, pipeline._register = pipeline._register, broken
    try:
        push("later", linear([[2.0]]))
    except OSError:
        pass
    finally:
        pipeline._register = register
    request(upload, "DELETE", "/uploads/" + of("bad"))
    request(upload, "POST", "/uploads/redrive", {"uploads": [of("later")]})
    scrub.handler({}, None)
    first = request(tokens, "POST", "/tokens", {"name": "ci", "scopes": ["infer"]})
    secret = request(tokens, "POST", "/tokens/" + first["id"] + "/rotate", {})["token"]
    request(tokens, "DELETE", "/tokens/" + first["id"], {})
    for header in (f"Bearer {secret}", "Bearer nonsense"):
        try:
            authorize.handler(event["authorizer"] | {"headers": {"authorization": header}}, None)
        except Exception:
            pass
    routes(event["request"], context)
    return {"statusCode": 200}
"""


def code(folder: Path, source: str) -> emulator.Function:
    """A function of one file, with this repository and the packages of this environment as its layers."""
    (folder / "code").mkdir()
    (folder / "code" / "fn.py").write_text(source)
    layers = []
    for name, path in (("repository", ROOT), ("packages", Path(site.getsitepackages()[0]))):
        (folder / name).mkdir()
        (folder / name / "python").symlink_to(path)
        layers.append(folder / name)
    return emulator.Function(folder / "code", "fn.handler", layers, {"BUCKET": "b", "MODELS_DIR": "/nowhere"})


def lines(log: Path) -> list[dict[str, Any]]:
    """The function's; the emulator's own begin otherwise."""
    return [json.loads(line) for line in log.read_text().split("\n") if line.startswith("{")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of one call."""
    folder = tmp_path_factory.mktemp("logs")
    request = json.loads((ROOT / "tests" / "events" / "apigateway_proxy.json").read_text())
    request |= {"httpMethod": "GET", "path": "/bug", "queryStringParameters": {"forged": FORGED}, "body": None}
    authorizer = json.loads((ROOT / "tests" / "events" / "authorizer_request.json").read_text())
    event = {"request": request, "authorizer": authorizer}
    emulator.start(code(folder, FUNCTION), event, emulator.runtime(folder / "runtime"), folder / "log")
    written_lines = lines(folder / "log")
    begun = [number for number, line in enumerate(written_lines) if line["message"] == "begin"]
    return written_lines[begun[0] + 1 : begun[1]]  # emulator.start calls twice


def documented() -> dict[str, list[str]]:
    """Of the table "What there is at INFO" in docs/logs.md: message → fields."""
    text = (ROOT / "docs" / "logs.md").read_text()
    table = text.partition("## What there is at INFO")[2].partition("\n\n|")[2].partition("\n\n")[0]
    rows = [row.split("|") for row in table.splitlines()[2:]]
    return {row[1].strip(" `"): re.findall(r"`(\w+)`", row[3].partition(";")[0]) for row in rows}


# of canaries and inputs that were judged, and counts that were added up, which this function has none of; see
# tests/functions/test_watch.py and tests/drift
OTHERS = ("verdict", "told", "drift", "counts merged", "labels merged")


@pytest.mark.parametrize("message", [message for message in documented() if message not in OTHERS])
def test_what_is_listed_is_written_with_its_fields(written: list[dict[str, Any]], message: str) -> None:
    [line, *_] = [line for line in written if line["message"] == message]
    assert line["level"] == "INFO" and line["timestamp"]
    # a value that is not there is not written: an upload that was registered has no `why`
    missing = set(documented()[message]) - set(line)
    assert missing <= ({"why"} if message == "upload" else set())


def test_the_lines_that_an_operator_looks_for(written: list[dict[str, Any]]) -> None:
    by_message = {line["message"]: line for line in written}
    rejected, interrupted = by_message["rejected"], by_message["interrupted"]
    assert (rejected["code"], rejected["logger"]) == ("not_onnx", "shared.ingest.pipeline")
    assert rejected["upload"] and interrupted["upload"]
    assert (interrupted["level"], interrupted["errorType"]) == ("ERROR", "OSError")
    assert interrupted["requestId"]
    assert any("broken" in frame for frame in interrupted["stackTrace"])


def test_what_a_user_sends_forges_no_line(written: list[dict[str, Any]]) -> None:
    """Nor does half a surrogate pair in it stop the line, and the answer with it."""
    assert "forged" not in [line["message"] for line in written]
    [unexpected] = [line for line in written if line["message"] == "unexpected"]
    assert unexpected["errorMessage"] == FORGED + HALF


def test_a_calls_line_is_its_metrics(written: list[dict[str, Any]]) -> None:
    """Written to standard output, and not through the runtime's formatter: it is the root that CloudWatch looks at."""
    [call] = [line for line in written if line["message"] == "call" and line["service"] == "tested"]
    assert call["_aws"]["CloudWatchMetrics"][0]["Namespace"] == metrics.NAMESPACE
    assert (call["Faults"], call["status"], call["route"], call["service"]) == (1, 500, "/bug", "tested")


SPEAK = """
import logging
from shared.entry import wiring
from shared import metrics

def handler(event, context):
    for name in ("shared.ingest.pipeline", "shared.serving.models", "functions.ingest.app", "botocore"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "said")
    metrics.event("call", {"Errors": 1}, {"service": "s"}, {"path": "/x"})
    return {"statusCode": 200}
"""


@pytest.mark.parametrize(
    ("level", "ours", "theirs"), [("DEBUG", 4, 2), ("INFO", 3, 2), ("WARN", 2, 2), ("ERROR", 1, 1)]
)
def test_one_parameter_moves_every_logger(level: str, ours: int, theirs: int, tmp_path: Path) -> None:
    function = code(tmp_path, SPEAK)
    function.env["AWS_LAMBDA_LOG_LEVEL"] = level
    emulator.start(function, {}, emulator.runtime(tmp_path / "runtime"), tmp_path / "log")
    written_lines = lines(tmp_path / "log")
    by_logger = [line.get("logger") for line in written_lines[: len(written_lines) // 2]]
    assert {name: by_logger.count(name) for name in by_logger} == {
        "shared.ingest.pipeline": ours,
        "shared.serving.models": ours,
        "functions.ingest.app": ours,
        "botocore": theirs,
        None: 1,  # the metrics
    }


def test_the_template_has_lambda_write_json_at_the_level_of_the_parameter() -> None:
    functions = [one for one in deployed().values() if one["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == 21
    for function in functions:
        logging = function["Properties"]["LoggingConfig"]
        assert logging.pop("LogGroup")
        assert logging == {"LogFormat": "JSON", "ApplicationLogLevel": {"Ref": "LogLevel"}, "SystemLogLevel": "INFO"}
    levels = TEMPLATE["Parameters"]["LogLevel"]["AllowedValues"]
    assert set(levels) <= {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}, "Lambda knows no other"
