"""Our client of Lambda's Runtime API, to the byte: calls, whole answers, streamed answers, errors."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.entry.runtime_api import PATIENCE, RuntimeApi, running

GATEWAY = {"httpMethod": "POST", "path": "/x", "requestContext": {"requestId": "r"}}
CONTENT = "application/vnd.awslambda.http-integration-response"

SOURCE = """
import json, logging, os, time
from pathlib import Path
from shared.entry.streamed import Streamed, streams_here

def parts(event):
    try:
        if event.get("fail") == "first":
            raise ValueError("before the first part")
        for number, part in enumerate(event["parts"]):
            if event.get("fail") == number:
                raise ValueError("half \\ud800 of it\\r\\nX: 1")
            if number:
                time.sleep(event.get("pause", 0))
            yield part.encode()
    finally:
        with open("closed", "a") as file:
            file.write("x")

def handler(event, context):
    if event.get("raise"):
        raise LookupError("nothing there")
    if "parts" in event:
        return Streamed(event.get("status", 200), {"Content-Type": "text/event-stream", "X-Id": "7"}, parts(event))
    if "answer" in event:
        return event["answer"]
    return {
        "event": event,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "identity": context.identity.cognito_identity_id,
        "custom": context.client_context and context.client_context.custom,
        "streams": streams_here(),
    }
"""

# an iterator that lives on, so that only `close` ends it
KEPT = """
from shared.entry.streamed import Streamed

class Parts:
    closed = 0
    left = [b"ab"]
    def __iter__(self):
        return self
    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()
    def close(self):
        self.closed += 1

parts = Parts()

def handler(event, context):
    return Streamed(200, {}, parts) if event else {"closed": parts.closed}
"""


def streamed(post: Any) -> tuple[dict[str, Any], list[bytes], dict[str, str]]:
    """Prelude, parts and trailers of what was posted."""
    assert post.headers["Lambda-Runtime-Function-Response-Mode"] == "streaming"
    assert post.headers["Transfer-Encoding"] == "chunked"
    assert post.headers["Content-Type"] == CONTENT
    assert post.path.endswith("/response")
    [first, *parts], trailers = post.chunks()
    prelude, _, rest = first.partition(b"\0" * 8)
    assert rest == b""
    return json.loads(prelude), parts, trailers


def test_a_direct_call_is_answered_whole_with_lambdas_context(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        post = function.api.call(
            {"a": "é"},
            Lambda_Runtime_Trace_Id="Root=1-2",
            Lambda_Runtime_Cognito_Identity='{"cognitoIdentityId": "me"}',
            Lambda_Runtime_Client_Context='{"custom": {"k": 1}}',
            Lambda_Runtime_Invocation_Id="i-1",
        )
        assert post.path == "/2018-06-01/runtime/invocation/call-1/response"
        assert post.headers["Content-Type"] == "application/json"
        assert post.headers["lambda-runtime-invocation-id"] == "i-1"
        assert "Lambda-Runtime-Function-Response-Mode" not in post.headers
        answer = post.json()
        assert 20_000 < answer.pop("left") <= 30_000
        assert answer == {
            "event": {"a": "é"},
            "trace": "Root=1-2",
            "id": "call-1",
            "arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "memory": "512",
            "identity": "me",
            "custom": {"k": 1},
            "streams": True,
        }
        assert function.api.call({}).json()["trace"] is None  # the next call has its own


def test_parts_are_sent_as_they_are_made(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        post = function.api.call(GATEWAY | {"parts": ["data: é\n\n", "", "data: 2\n\n"], "status": 201, "pause": 0.5})
        prelude, parts, trailers = streamed(post)
        assert prelude == {"statusCode": 201, "headers": {"Content-Type": "text/event-stream", "X-Id": "7"}}
        assert parts == ["data: é\n\n".encode(), b"data: 2\n\n"]
        assert trailers == {}
        assert post.marks[-1][0] - post.marks[0][0] > 0.8  # two pauses


def test_the_bytes_are_those_that_aws_describes(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        post = function.api.call(GATEWAY | {"parts": ["ab", "c"]})
    prelude = b'{"statusCode": 200, "headers": {"Content-Type": "text/event-stream", "X-Id": "7"}}' + b"\0" * 8
    assert post.body == b"%x\r\n%b\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" % (len(prelude), prelude)
    assert post.headers["Trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"


def test_an_error_in_mid_stream_is_in_the_trailers_and_the_process_goes_on(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        prelude, parts, trailers = streamed(function.api.call(GATEWAY | {"parts": ["a", "b", "c"], "fail": 1}))
        assert prelude["statusCode"] == 200 and parts == [b"a"]
        assert trailers["Lambda-Runtime-Function-Error-Type"] == "ValueError"
        body = json.loads(b64decode(trailers["Lambda-Runtime-Function-Error-Body"]))
        assert body["errorMessage"] == "half \ud800 of it\r\nX: 1" and body["requestId"] == "call-1"
        assert streamed(function.api.call(GATEWAY | {"parts": ["d"]}))[1] == [b"d"]
        [line] = function.lines()
        assert line["errorType"] == "ValueError" and line["requestId"] == "call-1" and line["level"] == "ERROR"
        assert any("raise ValueError" in row for row in line["stackTrace"])
        assert (tmp_path / "closed").read_text() == "xx"


@pytest.mark.parametrize("event", [{"parts": [], "fail": "first"}, {"raise": True}])
def test_an_error_before_the_first_byte_is_an_error_of_the_call(tmp_path: Path, event: dict[str, Any]) -> None:
    with running(tmp_path, SOURCE) as function:
        post = function.api.call(GATEWAY | event)
        assert post.path == "/2018-06-01/runtime/invocation/call-1/error"
        kind = "ValueError" if "parts" in event else "LookupError"
        assert post.headers["Lambda-Runtime-Function-Error-Type"] == kind
        answer = post.json()
        assert set(answer) == {"errorMessage", "errorType", "requestId", "stackTrace"}
        assert (answer["errorType"], answer["requestId"]) == (kind, "call-1")
        assert 'fn.py", line' in answer["stackTrace"][-1]
        assert function.api.call({})  # it goes on
        assert function.lines()[0]["stackTrace"]


@pytest.mark.parametrize("refuse", [False, True])
def test_a_client_that_leaves_ends_the_making(tmp_path: Path, refuse: bool) -> None:
    with running(tmp_path, SOURCE) as function:
        function.api.leave_after, function.api.refuse = 150, refuse  # the prelude and some parts
        function.api.call(GATEWAY | {"parts": ["x" * 20] * 1000, "pause": 0.02})
        function.api.leave_after = None
        assert streamed(function.api.call(GATEWAY | {"parts": ["d"]}))[1] == [b"d"]
        assert (tmp_path / "closed").read_text() == "xx"
        assert [line["message"] for line in function.lines()] == ["answer not sent to its end"]


def test_any_iterator_of_parts_is_closed(tmp_path: Path) -> None:
    with running(tmp_path, KEPT) as function:
        assert streamed(function.api.call(GATEWAY))[1] == [b"ab"]
        assert function.api.call({}).json() == {"closed": 1}


def test_an_ordinary_answer_to_the_gateway_has_the_same_form(tmp_path: Path) -> None:
    body = "é\ud800" + "n" * 6_000_000
    headers = {"Content-Type": "application/json"}
    whole = {"statusCode": 404, "headers": headers, "multiValueHeaders": {"X": ["1", "2"]}, "body": body}
    with running(tmp_path, SOURCE) as function:
        prelude, [sent], _ = streamed(function.api.call(GATEWAY | {"answer": whole | {"isBase64Encoded": False}}))
        assert prelude == {name: whole[name] for name in ("statusCode", "headers", "multiValueHeaders")}
        assert sent == body.encode("utf-8", "surrogatepass")
        binary = {"statusCode": 200, "body": b64encode(b"\0\xff").decode(), "isBase64Encoded": True}
        assert streamed(function.api.call(GATEWAY | {"answer": binary}))[:2] == ({"statusCode": 200}, [b"\0\xff"])
        assert streamed(function.api.call(GATEWAY | {"answer": {"statusCode": 204}}))[:2] == ({"statusCode": 204}, [])
        refused = function.api.call(GATEWAY | {"answer": [1]})
        assert refused.path.endswith("/error") and refused.json()["errorType"] == "TypeError"


def test_a_direct_call_gets_plain_json_of_whatever_size_and_a_stream_whole(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        large = {"body": "é" * 3_000_000 + "\ud800"}
        assert function.api.call({"answer": large}).json() == large
        answer = function.api.call({"parts": ["a", "b"]}).json()
        assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "ab", False)
        assert function.api.call([1]).path.endswith("/error")  # a list has no `get`: the handler's own error
        assert function.api.call(b"no JSON").json()["errorType"] == "JSONDecodeError"
        assert function.api.call({"answer": {"a": "é\n"}}).body == '{"a": "é\\n"}'.encode()


def test_without_the_variable_the_gateway_gets_whole_answers(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE, RESPONSE_TRANSFER_MODE="BUFFERED") as function:
        answer = function.api.call(GATEWAY | {"parts": ["a", "b"]}).json()
        assert (answer["statusCode"], answer["body"]) == (200, "ab")


def test_a_refused_answer_is_logged_and_the_process_goes_on(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        function.api.status = 413
        function.api.call({})
        function.api.call(GATEWAY | {"parts": ["a"]})
        function.api.status = 202
        assert function.api.call({}).json()["id"] == "call-3"
        assert [(line["message"], line["status"]) for line in function.lines()] == [("answer refused", 413)] * 2


def test_a_large_call_may_come_in_chunks(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        function.api.chunked = True
        event = {"a": "é" * 3_000_000}
        assert function.api.call(event).json()["event"] == event


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", [0, 40, 1500, -5])
def test_the_process_ends_when_a_call_is_cut_off(tmp_path: Path, chunked: bool, cut: int) -> None:
    with running(tmp_path, SOURCE) as function:
        function.api.chunked, function.api.cut = chunked, cut
        function.api.begin({"a": "x" * 5000})
        assert function.end() == 1
        assert function.api.posts.empty()


def test_the_process_ends_when_lambda_has_no_calls_for_it(tmp_path: Path) -> None:
    with running(tmp_path, SOURCE) as function:
        deadline = time.monotonic() + PATIENCE
        while not function.api.gets and time.monotonic() < deadline:
            time.sleep(0.01)
        api: RuntimeApi = function.api
        api.close()
        api.begin({})
        api.posts.get(timeout=PATIENCE)  # the connection that it has is served
        assert function.end() == 1
