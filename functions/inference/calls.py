"""One call of a model: run it, encode its answer, and notify the observers, also of a call that failed.

The handlers in app.py say what is called; everything that infer, predict, explain and embeddings share is here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from shared.entry.http import JSON, Response
from shared.serving import content, protocol
from shared.serving.content import Reply
from shared.serving.loaded import Loaded
from shared.serving.observe import Call, Observers, TimedSession
from shared.serving.protocol import ParsedRequest
from shared.serving.stats import Stats

observers, stats = Observers(), Stats()
observers.subscribe(stats.observe)


class Pending(NamedTuple):
    """A call without an answer yet.

    alias: as the caller named it, None for the default. started_ns: when it came, by time.perf_counter_ns. accepted:
    the caller's Accept-Encoding. repeatable: a shadow version may repeat it.
    """

    loaded: Loaded
    route: str
    alias: str | None
    started_ns: int
    accepted: str | None
    repeatable: bool = True


def infer(call: Pending, parsed: ParsedRequest) -> Response:
    """Tensors in, tensors out, as the Open Inference Protocol has them. Raises BadInput, TooLarge, Unavailable."""
    loaded = call.loaded
    manifest = loaded.manifest
    try:
        feeds = protocol.feeds(parsed, manifest.inputs, manifest.optional)
        requested = protocol.requested_outputs(parsed, manifest.outputs)
        names = [output.name for output in requested]
        inputs_ns = time.perf_counter_ns()
        arrays = loaded.session.run(names, feeds)
        run_ns = time.perf_counter_ns()
        outputs = list(zip(requested, arrays, strict=True))
        version, request_id = loaded.version.version, parsed.request.id
        reply = protocol.answer(
            loaded.name, version, request_id, outputs, labels=manifest.labels, accepted=call.accepted
        )
    except Exception as error:
        _notify_failure(call, error)
        raise
    observers.notify(
        Call(
            loaded=loaded,
            route=call.route,
            alias=call.alias,
            input_ns=inputs_ns - call.started_ns,
            infer_ns=run_ns - inputs_ns,
            output_ns=time.perf_counter_ns() - run_ns,
            inputs=feeds,
            answer=arrays,
            repeat=lambda other: other.session.run(names, feeds),
        )
    )
    return _response(loaded, reply)


def answer(
    call: Pending, compute: Callable[[Loaded], Any], encode: Callable[[Any], Any] = lambda computed: computed
) -> Response:
    """An answer in a task's own terms: bytes (a picture, PNG), or what `encode` makes JSON of. Raises what these do."""
    loaded = call.loaded
    session = TimedSession(loaded.session)
    try:
        computed = compute(replace(loaded, session=session))
        computed_ns = time.perf_counter_ns()
        if isinstance(computed, bytes):
            reply = Reply(computed, {"Content-Type": "image/png"})
        else:
            reply = content.json_reply(encode(computed), call.accepted)
    except Exception as error:
        _notify_failure(call, error)
        raise
    observers.notify(
        Call(
            loaded=loaded,
            route=call.route,
            alias=call.alias,
            # a task runs the model in between: what is not the model's time counts as the input's
            input_ns=computed_ns - call.started_ns - session.ns,
            infer_ns=session.ns,
            output_ns=time.perf_counter_ns() - computed_ns,
            runs=session.runs,
            inputs=session.inputs,
            answer=computed,
            repeat=compute if call.repeatable else None,
        )
    )
    return _response(loaded, reply)


def _notify_failure(call: Pending, error: Exception) -> None:
    elapsed = time.perf_counter_ns() - call.started_ns
    observers.notify(Call(loaded=call.loaded, route=call.route, alias=call.alias, error=error, input_ns=elapsed))


def _response(loaded: Loaded, reply: Reply) -> Response:
    """The revision and version that answered are in headers: not every body has a member for them."""
    versions = {
        "Content-Type": JSON,
        "x-amaas-version": str(loaded.version.version),
        "x-amaas-revision": str(loaded.revision),
    }
    return Response(reply.body, headers=versions | staleness(loaded.stale) | reply.headers)


def staleness(seconds: int | None) -> dict[str, str]:
    """The header of what was answered by an earlier state; none for None, which is the present one."""
    return {} if seconds is None else {"x-amaas-stale": str(seconds)}
