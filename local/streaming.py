"""Response streaming, which MiniStack does not have; embedded.py installs it.

- A route with `responseTransferMode: STREAM` gets the function's answer part by part. A client that leaves is told to
  the function by the end of its connection; what fails in mid-stream is a body that is cut off.
- A Python function with AWS_LAMBDA_EXEC_WRAPPER is started by it, with the layers' packages, at MiniStack's own Runtime
  API, which it has for custom runtimes only.
- `timeoutInMillis` of a route holds, 29 s where there is none, as on AWS. MiniStack leaves it out of what it imports.
"""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from typing import Any, BinaryIO

import ministack.core.lambda_runtime as runtime  # type: ignore[import-not-found]
import ministack.services.apigateway_v1 as gateway  # type: ignore[import-not-found]
import ministack.services.lambda_svc as functions  # type: ignore[import-not-found]
from ministack.core.responses import StreamingResponse  # type: ignore[import-not-found]

SUFFIX = "/response-streaming-invocations"
SEPARATOR = b"\0" * 8
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
ERROR_TYPE = "lambda-runtime-function-error-type"
PATIENCE = 29_000  # ms for a route that names none

call_proxy = gateway._invoke_lambda_proxy_v1
import_operation = gateway._import_operation
choose_worker = runtime._worker_class_for
environment_of = functions._provided_worker_env
asked: ContextVar[Stream | None] = ContextVar("where the answer of this call is streamed to", default=None)


class Stream:
    """One answer, from the thread that reads it from the function to the loop that sends it to the client."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.prelude: asyncio.Future[dict[str, Any]] = self.loop.create_future()
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue(8)  # None is the end
        self.whole = False
        self.left = threading.Event()

    def take(self, chunks: Iterator[bytes]) -> bool:
        """Take over what the function sends, in the function's thread; False when the client has left.

        Raises OSError and ValueError when it is cut off.
        """
        head: bytes | None = b""  # what has come of the prelude
        for part in chunks:
            if self.left.is_set():
                return False
            if head is not None:
                head += part
                if SEPARATOR not in head:
                    continue
                prelude, part = head.split(SEPARATOR, 1)
                self.loop.call_soon_threadsafe(self.prelude.set_result, json.loads(prelude))
                head = None
            if part:
                self.put(part)
        return True

    def put(self, part: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(self.parts.put(part), self.loop).result()

    def leave(self) -> None:
        """Nobody takes parts any more: in the loop's thread."""
        self.left.set()
        while not self.parts.empty():  # so that `put` does not wait for ever
            self.parts.get_nowait()

    async def send(self, send: Any, receive: Any, until: float) -> None:
        """Send parts to the client, to the end or to a moment of the loop's clock. A cut body has no last frame."""
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            while True:
                coming = asyncio.ensure_future(self.parts.get())
                patience = max(0, until - self.loop.time())
                await asyncio.wait({coming, leaving}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done() or not coming.done():
                    coming.cancel()
                    return
                part = coming.result()
                if part is not None or self.whole:
                    await send({"type": "http.response.body", "body": part or b"", "more_body": part is not None})
                if part is None:
                    return
        finally:
            leaving.cancel()
            self.leave()


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class LoopWorker(runtime.ProvidedWorker):  # type: ignore[misc]  # MiniStack has no types
    """A Python function that its wrapper starts. Its package gets the `bootstrap` that such a worker executes."""

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        package = io.BytesIO(code_zip)
        with zipfile.ZipFile(package, "a") as archive:
            archive.writestr("bootstrap", f'#!/bin/sh\nexec "${WRAPPER}" {shlex.quote(sys.executable)} bootstrap\n')
        super().__init__(func_name, config, package.getvalue())
        self._stream: Stream | None = None
        self._abandoned: tuple[int, str] | None = None  # the call whose client has left

    def invoke(self, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        self._stream = asked.get()
        for name in ("depth", "durable"):  # of MiniStack's other workers
            options.pop(name, None)
        answer: dict[str, Any] = super().invoke(event, request_id, **options)
        return answer

    def _mark_first_poll(self, generation: int) -> Any:
        """The function asks for a call: an abandoned one is over now, and not before, so no other waits behind it."""
        abandoned, self._abandoned = self._abandoned, None
        if abandoned:
            self._record_result(*abandoned, "response", None)
        return super()._mark_first_poll(generation)

    def _build_handler_class(self, generation: int, pending: Any) -> Any:
        worker, plain = self, super()._build_handler_class(generation, pending)

        class Handler(plain):  # type: ignore[misc, valid-type]
            def do_POST(self) -> None:
                streams = self.headers.get("Lambda-Runtime-Function-Response-Mode") == "streaming"
                found = runtime._INVOCATION_RESULT_RE.search(self.path)
                if streams and found and worker._stream:
                    worker.relay(self, worker._stream, generation, found[1])
                else:
                    super().do_POST()

        return Handler

    def relay(self, request: Any, stream: Stream, generation: int, call: str) -> None:
        kind, payload = "response", None
        try:
            if not stream.take(_chunks(request.rfile)):
                self._abandoned = generation, call
                request.close_connection = True  # without a reply: so the function notices
                return
            trailers = _trailers(request.rfile)
        except (OSError, ValueError):
            trailers = {ERROR_TYPE: "Runtime.TruncatedResponse"}
        if ERROR_TYPE in trailers:
            kind, payload = "error", {"errorType": trailers[ERROR_TYPE], "errorMessage": "failed in mid-stream"}
        stream.whole = kind == "response"
        stream.put(None)
        request._respond(202 if self._record_result(generation, call, kind, payload) else 400)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while size := int(file.readline(), 16):
        part = file.read(size)
        file.readline()
        yield part


def _trailers(file: BinaryIO) -> dict[str, str]:
    lines = iter(lambda: file.readline().decode("latin-1").strip(), "")
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def worker_class(config: dict[str, Any]) -> Any:
    return LoopWorker if _is_wrapped(config) else choose_worker(config)


def _is_wrapped(config: dict[str, Any]) -> bool:
    variables = (config.get("Environment") or {}).get("Variables") or {}
    return str(config.get("Runtime", "")).startswith("python") and WRAPPER in variables


def environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
    """A custom runtime's environment; of a wrapped function with its wrapper's path here, and its layers' packages."""
    variables: dict[str, str] = environment_of(config, code_dir, port)
    if _is_wrapped(config):
        archives = [functions._resolve_layer_zip(layer) for layer in config.get("Layers") or ()]
        layers = [functions._docker_extracted_dir(archive, "layer") for archive in archives if archive]
        variables[WRAPPER] = variables[WRAPPER].replace("/var/task", code_dir, 1)
        variables["PYTHONPATH"] = ":".join(f"{layer}/python" for layer in layers)
    return variables


def import_whole_operation(api: str, resource: str, method: str, operation: Any, *rest: Any, **more: Any) -> None:
    import_operation(api, resource, method, operation, *rest, **more)
    described = (operation or {}).get("x-amazon-apigateway-integration") or {}
    integration = gateway._resources[api][resource]["resourceMethods"][method]["methodIntegration"]
    for name in {"timeoutInMillis", "responseTransferMode"} & described.keys():
        integration[name] = described[name]


async def call_or_stream(integration: dict[str, Any], *arguments: Any, **options: Any) -> Any:
    """The gateway's call of a function: for a route that streams, with the answer's status as soon as it comes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (integration.get("timeoutInMillis") or PATIENCE) / 1000
    uri, context = integration["uri"], copy_context()
    stream = Stream() if uri.endswith(SUFFIX) else None
    context.run(asked.set, stream)
    whole = integration | {"uri": uri.removesuffix(SUFFIX) + "/invocations"} if stream else integration
    call = loop.create_task(call_proxy(whole, *arguments, **options), context=context)
    waited_for = {call, stream.prelude} if stream else {call}
    await asyncio.wait(waited_for, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
    if stream and stream.prelude.done():
        return _begun(stream, until)
    if not call.done():
        if stream:
            stream.leave()
        return gateway._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    answer = call.result()
    if stream and isinstance(answer, tuple) and answer[0] < 500 and answer[0] != 429:
        return gateway._gw_error("DEFAULT_5XX", "Internal server error")  # AWS wants a prelude there
    return answer


def _begun(stream: Stream, until: float) -> Any:
    prelude = stream.prelude.result()
    headers = (prelude.get("headers") or {}) | (prelude.get("multiValueHeaders") or {})
    if "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    body = StreamingResponse(lambda send, receive: stream.send(send, receive, until))
    return prelude.get("statusCode", 200), headers, body


def install() -> None:
    gateway._invoke_lambda_proxy_v1 = call_or_stream
    gateway._import_operation = import_whole_operation
    runtime._worker_class_for = worker_class
    functions._provided_worker_env = environment
