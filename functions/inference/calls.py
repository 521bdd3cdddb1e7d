"""One call of a model: run it, encode its answer, and notify the observers, also of a call that failed.

The handlers in app.py say what is called; everything that infer, predict, explain, embeddings and rerank share is here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from shared.entry.http import JSON, Request, Response
from shared.serving import content, protocol
from shared.serving.content import Reply
from shared.serving.counter import Counter
from shared.serving.loaded import Loaded, Resolved
from shared.serving.observe import Call, FailedLoad, Observers, TimedSession
from shared.serving.protocol import ParsedRequest
from shared.serving.stats import Stats

ANSWER_ID = "x-amaas-answer-id"
observers, stats = Observers(), Stats()
observers.subscribe(stats.observe)


def observe_for_counts(counter: Counter) -> None:
    observers.subscribe(counter.observe)
    observers.subscribe_to_failed_loads(counter.observe)
    observers.after_answer(counter.work)


class Pending(NamedTuple):
    """A call without an answer yet.

    started_ns: when it came, by time.perf_counter_ns. accepted: the caller's Accept-Encoding. bytes_in: of the body, as
    it came. repeatable: a shadow version may repeat it.
    """

    loaded: Loaded
    route: str
    started_ns: int
    accepted: str | None
    bytes_in: int = 0
    repeatable: bool = True


def failed_load(request: Request, route: str, started_ns: int) -> Callable[[Resolved, Exception], None]:
    """What to do when the version that was found for a call cannot be loaded: count it as that version's failure."""

    def report(resolved: Resolved, error: Exception) -> None:
        note(request, resolved.head.model, resolved.version.version, resolved.alias)
        ns, size = time.perf_counter_ns() - started_ns, len(request.body)
        observers.notify_failed_load(FailedLoad(resolved=resolved, route=route, error=error, ns=ns, bytes_in=size))

    return report


def note(request: Request, model: str, version: int, alias: str) -> None:
    """For the call's line in the log: names that the registry has, and no caller's."""
    request.notes.update(model=model, version=version, alias=alias or None)


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
    done = Call(
        loaded=loaded,
        route=call.route,
        input_ns=inputs_ns - call.started_ns,
        infer_ns=run_ns - inputs_ns,
        output_ns=time.perf_counter_ns() - run_ns,
        bytes_in=call.bytes_in,
        bytes_out=len(reply.body),
        inputs=feeds,
        answer=arrays,
        repeat=lambda other: other.session.run(names, feeds),
    )
    observers.notify(done)
    return _response(done, reply)


def answer(
    call: Pending, compute: Callable[[Loaded], Any], encode: Callable[[Any], Any] = lambda computed: computed
) -> Response:
    """An answer in a task's own terms: bytes (a picture, PNG), or what `encode` makes JSON of. Raises what these do."""
    loaded = call.loaded
    session = TimedSession(loaded.session)
    seen = replace(loaded, session=session, items=[])
    try:
        computed = compute(seen)
        computed_ns = time.perf_counter_ns()
        if isinstance(computed, bytes):
            reply = Reply(computed, {"Content-Type": "image/png"})
        else:
            reply = content.json_reply(encode(computed), call.accepted)
    except Exception as error:
        _notify_failure(call, error)
        raise
    done = Call(
        loaded=replace(loaded, items=seen.items),
        route=call.route,
        # a task runs the model in between: what is not the model's time counts as the input's
        input_ns=computed_ns - call.started_ns - session.ns,
        infer_ns=session.ns,
        output_ns=time.perf_counter_ns() - computed_ns,
        bytes_in=call.bytes_in,
        bytes_out=len(reply.body),
        runs=session.runs,
        inputs=session.inputs,
        answer=computed,
        repeat=compute if call.repeatable else None,
    )
    observers.notify(done)
    response = _response(done, reply)
    if call.route == "predict":
        from shared.serving import answer_ids  # which other routes do without

        if (answer_id := answer_ids.of_answer(loaded, computed)) is not None:
            response.headers[ANSWER_ID] = answer_id
    return response


def _notify_failure(call: Pending, error: Exception) -> None:
    elapsed = time.perf_counter_ns() - call.started_ns
    failed = Call(loaded=call.loaded, route=call.route, error=error, input_ns=elapsed, bytes_in=call.bytes_in, runs=0)
    observers.notify(failed)


def _response(call: Call, reply: Reply) -> Response:
    """The revision and version that answered are in headers: not every body has a member for them."""
    loaded = call.loaded
    versions = {
        "Content-Type": JSON,
        "x-amaas-version": str(loaded.version.version),
        "x-amaas-revision": str(loaded.revision),
        "Server-Timing": _timing(call),
    }
    return Response(reply.body, headers=versions | staleness(loaded.stale) | reply.headers)


def _timing(call: Call) -> str:
    """Milliseconds of the call's phases, as browsers show them (W3C Server Timing)."""
    loaded = call.loaded
    return (
        f"resolve;dur={loaded.resolve_ns / 1e6:.3f}, load;dur={loaded.load_ns / 1e6:.3f}, "
        f"pre;dur={(call.input_ns - loaded.resolve_ns - loaded.load_ns) / 1e6:.3f}, "
        f"run;dur={call.infer_ns / 1e6:.3f}, post;dur={call.output_ns / 1e6:.3f}"
    )


def staleness(seconds: int | None) -> dict[str, str]:
    """The header of what was answered by an earlier state; none for None, which is the present one."""
    return {} if seconds is None else {"x-amaas-stale": str(seconds)}
