"""Calls of a function, from the event to the end of the answer: whole, or streamed as API Gateway wants it.

What is sent is described by AWS under "Building a custom runtime" and "Lambda proxy integration with payload response
streaming".
"""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from shared.entry.runtime_loop.api import Api, Reply, Upload
from shared.entry.streamed import Streamed, buffered

SEPARATOR = b"\0" * 8  # between the answer's status and headers, in JSON, and its body
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
STREAMING = {
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    "Trailer": f"{ERROR_TYPE}, {ERROR_BODY}",
}
JSON = {"Content-Type": "application/json"}
INVOCATION = "lambda-runtime-invocation-id"  # is given back with the answer, where Lambda has sent it

logger = logging.getLogger(__name__)
current_id: str | None = None  # of the call that is being answered, for the log


class Context:
    """What Lambda's context object has, of one call."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        identity = json.loads(headers.get("lambda-runtime-cognito-identity") or "{}")
        self.identity = SimpleNamespace(
            cognito_identity_id=identity.get("cognitoIdentityId"),
            cognito_identity_pool_id=identity.get("cognitoIdentityPoolId"),
        )
        client = json.loads(headers.get("lambda-runtime-client-context") or "null")
        self.client_context = client and SimpleNamespace(
            custom=client.get("custom"), env=client.get("env"), client=client.get("client")
        )
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Loop:
    """Calls of the handler, one after the other. streams: answers to the gateway have the form that it streams."""

    def __init__(self, api: Api, handler: Callable[[Any, Context], Any], streams: bool) -> None:
        self._api, self._handler, self._streams = api, handler, streams

    def run(self) -> None:
        """For as long as Lambda has calls. Raises OSError when its API cannot be reached."""
        global current_id
        while True:
            call = self._api.ask("GET", "/invocation/next")
            if call.status != 200:
                raise OSError(f"the Runtime API gives no call: {call.status} {call.body[:300]!r}")
            current_id = call.headers["lambda-runtime-aws-request-id"]
            _set_trace(call.headers.get("lambda-runtime-trace-id"))
            self._answer(call)

    def _answer(self, call: Reply) -> None:
        try:
            event = json.loads(call.body)
            answer = self._handler(event, Context(call.headers))
            if self._streams and isinstance(event, dict) and "httpMethod" in event and "requestContext" in event:
                prelude, streamed = _for_gateway(answer)
                body = None
            else:
                body = _encoded(buffered(answer) if isinstance(answer, Streamed) else answer)
        except Exception as error:
            self._fail(call, error)
            return
        if body is None:
            self._stream(call, prelude, streamed)
        else:
            _check(self._api.ask("POST", _path(call, "response"), JSON | _kept(call), body))

    def _stream(self, call: Reply, prelude: bytes, streamed: Streamed) -> None:
        """Send parts as they are made. The status goes out with the first one: until then the call can fail."""
        upload: Upload | None = None
        trailers: dict[str, str] = {}
        try:
            while True:
                try:
                    part = next(streamed.parts, None)
                except Exception as error:
                    if upload is None:
                        self._fail(call, error)
                        return
                    trailers = _trailers(error)
                    break
                if upload is None:
                    upload = self._api.upload(_path(call, "response"), STREAMING | _kept(call))
                    upload.send(prelude + SEPARATOR)
                if part is None:
                    break
                if part:  # an empty chunk would be the end
                    upload.send(part)
            if upload is not None:
                _check(upload.end(trailers))
        except OSError as error:
            logger.warning("answer not sent to its end", extra={"why": str(error)})
        finally:
            _close(streamed)
            if upload is not None:
                upload.close()

    def _fail(self, call: Reply, error: Exception) -> None:
        report(self._api, _path(call, "error"), error, more=_kept(call))


def report(
    api: Api, path: str, error: Exception, kind: str | None = None, more: Mapping[str, str] | None = None
) -> None:
    """Log an error, and post it. kind: its name for Lambda, if not that of its class. more: headers."""
    described = _described(error, kind)
    headers = {**JSON, **(more or {}), ERROR_TYPE: described["errorType"]}
    _check(api.ask("POST", path, headers, _encoded(described)))


def _check(reply: Reply) -> None:
    if reply.status != 202:  # the answer was too large, or too late
        logger.error("answer refused", extra={"status": reply.status, "why": reply.body[:300].decode("latin-1")})


def _path(call: Reply, what: str) -> str:
    return f"/invocation/{call.headers['lambda-runtime-aws-request-id']}/{what}"


def _kept(call: Reply) -> dict[str, str]:
    return {INVOCATION: call.headers[INVOCATION]} if INVOCATION in call.headers else {}


def _for_gateway(answer: Any) -> tuple[bytes, Streamed]:
    """The prelude of an answer, in JSON, and its parts. Raises TypeError for what is not in the proxy format."""
    if isinstance(answer, Streamed):
        return _encoded({"statusCode": answer.status, "headers": answer.headers}), answer
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise TypeError(f"a handler of routes answers a response with its statusCode, not {type(answer).__name__}")
    body: str = answer.get("body") or ""
    raw = a2b_base64(body) if answer.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    prelude = {name: value for name, value in answer.items() if name not in ("body", "isBase64Encoded")}
    return _encoded(prelude), Streamed(answer["statusCode"], {}, iter([raw]))


def _encoded(value: Any) -> bytes:
    """JSON. Half a surrogate pair, which UTF-8 does not have, stays the escape that it came as."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _described(error: BaseException, kind: str | None = None) -> dict[str, Any]:
    """An error in the form of Lambda's API, and in the log. kind: its name there, if not the class."""
    logger.error("unhandled", exc_info=error)
    return {
        "errorMessage": str(error),
        "errorType": kind or type(error).__name__,
        "requestId": current_id or "",
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _trailers(error: Exception) -> dict[str, str]:
    described = _described(error) | {"stackTrace": []}  # it is in the log: trailers have a limit
    described["errorMessage"] = described["errorMessage"][:1000]
    return {ERROR_TYPE: described["errorType"], ERROR_BODY: b2a_base64(_encoded(described), newline=False).decode()}


def _close(streamed: Streamed) -> None:
    try:
        streamed.close()
    except Exception:
        logger.exception("not closed")


def _set_trace(trace: str | None) -> None:
    if trace is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace
