"""The sweep's own functions: made beside the deployed one, which is only read, and deleted however it ends."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops import siblings as module
from ops import tune
from ops.siblings import TAG, sibling_name, siblings

DEPLOYED = "amaas-InferenceFunction-ABCDEFGHIJKL"
SETTINGS = {
    "FunctionName": DEPLOYED,
    "Runtime": "python3.12",
    "Role": "arn:role",
    "Handler": "functions.inference.app.handler",
    "Timeout": 29,
    "MemorySize": 1769,
    "Layers": [{"Arn": "arn:core", "CodeSize": 1}, {"Arn": "arn:runtime", "CodeSize": 2}],
    "Environment": {"Variables": {"BUCKET": "b"}},
    "Architectures": ["arm64"],
    "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/amaas/x/inference"},
}


class Conflict(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceConflictException", "Message": "it exists"}}, "CreateFunction")


class Missing(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceNotFoundException", "Message": "it is gone"}}, "DeleteFunction")


class Lambda:
    """The calls of Lambda that a sweep makes. answers: by memory size, what a call takes, or why it fails."""

    class exceptions:
        ResourceConflictException, ResourceNotFoundException = Conflict, Missing

    def __init__(self, answers: dict[int, Any] | None = None) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.invoked: list[str] = []
        self.broken: set[str] = set()  # cannot be created
        self.answers = answers or {}

    def get_function(self, FunctionName: str) -> dict[str, Any]:
        assert FunctionName == DEPLOYED
        return {"Configuration": SETTINGS, "Code": {"Location": "https://code.example/zip"}}

    def create_function(self, **members: Any) -> None:
        name = members["FunctionName"]
        if name in self.broken:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "iam:PassRole"}}, "CreateFunction")
        if name in self.there:
            raise Conflict
        self.there[name] = members

    def delete_function(self, FunctionName: str) -> None:
        assert FunctionName != DEPLOYED
        self.deleted.append(FunctionName)
        if self.there.pop(FunctionName, None) is None:
            raise Missing

    def get_waiter(self, name: str) -> Any:
        assert name == "function_active_v2"
        return self

    def wait(self, FunctionName: str, WaiterConfig: dict[str, int]) -> None:
        assert FunctionName in self.there

    def invoke(self, FunctionName: str, Payload: bytes, LogType: str) -> dict[str, Any]:
        request = json.loads(Payload)
        assert request["path"] == "/models/m/versions/3/predict" and base64.b64decode(request["body"]) == b"input"
        first = FunctionName not in self.invoked
        self.invoked.append(FunctionName)
        answer = self.answers[self.there[FunctionName]["MemorySize"]]
        if isinstance(answer, Exception):
            raise answer
        status, time = (answer, 1.0) if isinstance(answer, int) else (200, answer)
        metrics = {"durationMs": time, "billedDurationMs": time + 0.5, "maxMemoryUsedMB": 200}
        report = {
            "type": "platform.report",
            "record": {"metrics": metrics | ({"initDurationMs": 300} if first else {})},
        }
        log = 'half a line"}\n{"message": "call"}\n' + json.dumps(report)
        body = json.dumps({"statusCode": status, "body": '{"error": "too large"}' if status != 200 else "{}"})
        return {"Payload": io.BytesIO(body.encode()), "LogResult": base64.b64encode(log.encode()).decode()}


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.urllib.request, "urlopen", lambda address: io.BytesIO(b"the zip"))


def test_a_sibling_differs_in_its_memory_alone() -> None:
    functions = Lambda()
    with siblings(functions, DEPLOYED, [512, 1024]) as names:
        assert names == {512: f"{DEPLOYED}-tune-512", 1024: f"{DEPLOYED}-tune-1024"}
        made = functions.there[names[512]]
        assert (made["MemorySize"], made["Code"], made["Tags"]) == (512, {"ZipFile": b"the zip"}, TAG)
        assert made["Layers"] == ["arn:core", "arn:runtime"] and made["Environment"] == SETTINGS["Environment"]
        for name in ("Runtime", "Role", "Handler", "Timeout", "Architectures", "LoggingConfig"):
            assert made[name] == SETTINGS[name]
    assert functions.there == {}


def test_they_are_deleted_when_the_sweep_fails_and_when_one_cannot_be_created() -> None:
    functions = Lambda()
    with pytest.raises(KeyboardInterrupt), siblings(functions, DEPLOYED, [512, 1024]):
        raise KeyboardInterrupt
    assert functions.there == {}
    functions.broken = {sibling_name(DEPLOYED, 1024)}
    with pytest.raises(ClientError, match="PassRole"), siblings(functions, DEPLOYED, [512, 1024]):
        pytest.fail("one is missing")
    assert functions.there == {}


def test_what_a_killed_sweep_has_left_is_replaced() -> None:
    functions = Lambda()
    functions.there[sibling_name(DEPLOYED, 512)] = {"MemorySize": 1}
    with siblings(functions, DEPLOYED, [512]) as names:
        assert functions.there[names[512]]["MemorySize"] == 512
    assert functions.there == {}


def test_a_name_is_no_longer_than_lambda_allows() -> None:
    assert len(sibling_name("x" * 64, 10240)) == 64 and sibling_name("x" * 64, 512).endswith("-tune-512")


PAYLOAD = tune.event("m", 3, b"input", "text/plain")


def test_a_sweep_calls_each_size_in_turn_and_counts_warm_calls_only() -> None:
    functions = Lambda({512: 20.5, 1769: 6.5})
    small, large = tune.sweep(functions, DEPLOYED, PAYLOAD, [512, 1769], 3)
    assert small.milliseconds == [20.5] * 3 and large.billed_ms == [7] * 3
    assert (small.start_ms, small.used_mb, small.failure) == (320.5, 200, None)
    turn = [sibling_name(DEPLOYED, 512), sibling_name(DEPLOYED, 1769)]
    assert functions.invoked == turn * 4
    assert functions.there == {}


def test_a_size_that_fails_is_given_up_and_the_others_are_measured() -> None:
    functions = Lambda({256: 413, 1769: 6.5})
    small, large = tune.sweep(functions, DEPLOYED, PAYLOAD, [256, 1769], 2)
    assert small.failure == '413: {"error": "too large"}' and not small.milliseconds
    assert len(large.milliseconds) == 2 and functions.invoked.count(sibling_name(DEPLOYED, 256)) == 1


def test_a_call_that_lambda_refuses_ends_the_sweep_and_leaves_nothing() -> None:
    throttled = ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "slow down"}}, "Invoke")
    functions = Lambda({512: throttled})
    with pytest.raises(ClientError, match="slow down"):
        tune.sweep(functions, DEPLOYED, PAYLOAD, [512], 2)
    assert functions.there == {} and functions.deleted == [sibling_name(DEPLOYED, 512)]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            "START RequestId: 1\nREPORT RequestId: 1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\t"
            "Max Memory Used: 201 MB\tInit Duration: 345.67 ms\t\n",
            (12.34, 13, 201, 345.67),
        ),
        (
            "REPORT RequestId: 1\tDuration: 2.00 ms\tBilled Duration: 2 ms\tMemory Size: 512 MB\tMax Memory Used: 9 MB",
            (2.0, 2, 9, None),
        ),
        ('{"message": "call", "Duration": 1.59, "cold_start": false}', (1.59, 2, None, None)),
        ('{"message": "call", "Duration": 122.8, "cold_start": true}', (122.8, 123, None, 0.0)),
    ],
)
def test_what_a_call_took_is_in_its_log(log: str, expected: tuple[Any, ...]) -> None:
    assert tuple(tune.parse_report(log)) == expected


def test_a_log_without_it_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="level INFO"):
        tune.parse_report("{}\nnothing")


def test_an_alias_is_not_swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["tune", DEPLOYED, "m@production", str(tmp_path)])
    with pytest.raises(SystemExit, match="by its number"):
        tune.main()
