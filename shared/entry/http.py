"""HTTP for functions: routes, the caller's scopes, errors → answers (response.py), one log line and metrics.

Not a framework, as this is on the path of every call: the usual resolver with validation costs 250 ms of import,
this module nothing measurable.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, Literal

import msgspec
from msgspec import Struct

from shared import deadline, errors, metrics
from shared.access import context as contexts
from shared.access import scopes as scope_rules
from shared.entry import cors, proxy, streamed
from shared.entry import response as responses
from shared.entry.request import Request as Request
from shared.entry.response import Response as Response
from shared.entry.streamed import BrokenOff, Streamed
from shared.storage.base import Store

JSON = proxy.JSON

logger = logging.getLogger(__name__)


def _no_store() -> Store:
    raise RuntimeError("this function has a route that takes an Idempotency-Key, and no store for the answers")


class Route(Struct, frozen=True, kw_only=True):
    """One route and its public contract, from which the API's description and the client's paths are derived.

    id: the public operation id. segments: of the path; those in braces are parameters. takes: the type of the JSON
    body. query: its parameters, as a Struct. gives: the type of a successful response, by status if there are several.
    models: of a route without {model} in its path, the ones that it concerns: `all`, and then a scope with a pattern is
    not enough; `each` that the handler comes to, and then it checks the scope for every one of them; or `none`.
    transition: changes a model's log. keyed: takes an Idempotency-Key; all transitions do. names: takes one as the name
    of what the call creates; its answer is not kept. deletable: members of the answer that repeat what a caller may
    delete; reread: their present values, for a request and what is kept of its answer (idempotency.py). sticky:
    resolves an alias, which may be split, by the header x-request-key. errors: statuses besides the usual ones.
    """

    id: str
    method: str
    template: str
    segments: tuple[str, ...]
    scope: str | None
    models: Literal["all", "each", "none"] | None = None
    handle: Callable[..., Any]
    takes: Any = None
    query: Any = None
    gives: Any = None
    transition: bool = False
    keyed: bool = False
    names: bool = False
    deletable: tuple[str, ...] = ()
    reread: Callable[..., Any] | None = None
    sticky: bool = False
    errors: tuple[int, ...] = ()
    examples: dict[str, Any] = {}

    def call(self, request: Request, store: Callable[[], Store] = _no_store) -> Response:
        """Call the handler with the request, then the body and the query, if the route declares them.

        store: where the answers of calls with an Idempotency-Key are kept.
        """
        arguments: list[Any] = []
        if self.takes is not None:
            arguments.append(request.json(self.takes))
        if self.query is not None:
            arguments.append(request.options(self.query))
        if self.keyed and request.idempotency_key is not None:
            return self._call_once(request, arguments, store())
        return responses.as_response(self.handle(request, *arguments))

    def _call_once(self, request: Request, arguments: list[Any], store: Store) -> Response:
        from shared.entry import idempotency

        def work(creates: str, prepare: idempotency.Prepare) -> tuple[int, Any]:
            attempt = msgspec.structs.replace(request, creates=creates, prepare=prepare)
            response = responses.as_response(self.handle(attempt, *arguments))
            return response.status, response.body

        key, digest = request.idempotency_key or "", request.digest()
        deletable = idempotency.NO_DATA
        if self.reread is not None:
            deletable = idempotency.Deletable(self.deletable, partial(self.reread, request))
        answer = idempotency.once(store, request.caller, key, digest, work, atomic=self.transition, deletable=deletable)
        return responses.kept(answer.status, answer.body, answer.replayed, request.path, request.id)

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The percent-decoded parameters in a path's segments; None if the path is not this route's."""
        if len(segments) != len(self.segments):
            return None
        params = {}
        for own, segment in zip(self.segments, segments, strict=True):
            if own.startswith("{") and segment:
                params[own[1:-1]] = proxy.decode_segment(segment)
            elif own != segment:
                return None
        return params


class Routes:
    """A function's routes, in order, and the Lambda handler that serves them."""

    def __init__(
        self, service: str, answered: Callable[[], None] = lambda: None, *, store: Callable[[], Store] = _no_store
    ) -> None:
        """answered: called after each call, once its response is ready to be sent. store: as Route.call has it."""
        self.routes: list[Route] = []
        self._find_route = lru_cache(maxsize=256)(self._match)
        self._answered = answered
        self._store = store
        self._service = service
        self._cold = True

    @cached_property
    def origins(self) -> cors.Origins:
        return cors.of_environment()

    def route(
        self, method: str, path: str, *, id: str, scope: str | None, **contract: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Serve `path`, with {names} for single segments, to callers with the scope (for its {model}, if it has one).

        contract: the other members of Route. The handler gets the request, then the body, then the query. The first
        line of its docstring is the operation's summary.
        """

        def register(handle: Callable[..., Any]) -> Callable[..., Any]:
            segments = tuple(path.split("/"))
            route = Route(
                id=id, method=method, template=path, segments=segments, scope=scope, handle=handle, **contract
            )
            if (route.models is None) != (scope is None or "{model}" in segments):
                raise TypeError(f"{method} {path} has to declare by `models` what its scope is for, or {{model}}")
            self.routes.append(route)
            return handle

        return register

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any] | Streamed:
        started = time.perf_counter()
        route: Route | None = None
        request: Request | None = None
        problem: Exception | None = None
        request_id = str(event.get("requestContext", {}).get("requestId") or "")
        token = deadline.begin(context)
        try:
            route, request = self._request(event)
            response = route.call(request, self._store)
        except errors.AmaasError as error:
            response, problem = responses.refused(error, event["path"], request_id), error
        except Exception as error:
            # a bug must not end the process, and callers must not see internals
            logger.exception("unexpected", extra={"request_id": request_id or "?"})
            message = f"internal error; if it persists, report request {request_id or '?'}"
            response, problem = responses.failed(message, event["path"], request_id), error
        finally:
            deadline.end(token)
        notes = request.notes if request else {}
        if response.parts is not None:
            parts = self._parts(event, context, response.parts, partial(self._log, event, route, notes=notes), started)
            broken = responses.failed("the answer broke off: try again", event["path"], request_id)
            headers = self._readable(event, response.headers)
            return streamed.answer(Streamed(response.status, headers, parts), self._rendered(event, broken))
        reply = self._rendered(event, response)
        self._log(event, route, response, problem, (time.perf_counter() - started) * 1000, notes=notes)
        if problem is not None:
            _let_go(problem)
        self._answered()
        return reply

    def _rendered(self, event: dict[str, Any], response: Response) -> dict[str, Any]:
        return proxy.render(response.status, self._readable(event, response.headers), response.body)

    def _readable(self, event: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
        """The headers, for a page of another origin, too."""
        sent = event.get("headers") or {}
        return self.origins.add(headers, sent.get("Origin") or sent.get("origin"))

    def _parts(
        self, event: dict[str, Any], context: Any, parts: Iterator[bytes], log: Callable[..., None], started: float
    ) -> Iterator[bytes]:
        """The parts of an answer, with the call's deadline; and its line in the log when it is over.

        What is raised in mid-stream is a fault: whoever sends the parts cuts the answer off, but for BrokenOff.
        """
        token = deadline.begin(context)
        problem: Exception | None = None
        try:
            yield from parts
        except Exception as error:
            problem = streamed.note_break(error, event)
            if not isinstance(error, BrokenOff):  # else the last part has said it
                raise
        finally:
            deadline.end(token)
            status = 200 if problem is None else 500
            log(Response({"error": "the answer broke off"}, status), problem, (time.perf_counter() - started) * 1000)
            if problem is not None:
                _let_go(problem)
            self._answered()

    def _request(self, event: dict[str, Any]) -> tuple[Route, Request]:
        route, params = self._find_route(event["httpMethod"], event["path"])
        context = event.get("requestContext", {})
        authorizer = context.get("authorizer") or {}
        scopes = contexts.granted(authorizer)
        if route.scope:
            scope_rules.require(scopes, route.scope, params.get("model"))
            if route.models == "all":
                scope_rules.require_everywhere(scopes, route.scope)
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items() if value is not None}
        return route, Request(
            event["httpMethod"],
            event["path"],
            dict(params),  # a copy: the cached one is of all calls of this path
            proxy.query_of(event),
            headers,
            proxy.body_of(event),
            scopes,
            str(authorizer.get("principalId", "anonymous")),
            str(context.get("requestId", "")),
            authorizer.get("name"),
            context,
            contexts.ids(authorizer, "ancestors"),
            contexts.ids(authorizer, "replaces"),
        )

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        others = set()
        segments = path.removesuffix("/").split("/")
        for route in self.routes:
            params = route.match(segments)
            if params is not None and route.method == method:
                return route, params
            if params is not None:
                others.add(route.method)
        if others:
            raise errors.NotFound(f"{path} accepts {', '.join(sorted(others))}, not {method}")
        raise errors.NotFound(f"there is no route {method} {path}{errors.hint_on(path)}")

    def _log(
        self,
        event: dict[str, Any],
        route: Route | None,
        response: Response,
        problem: Exception | None,
        elapsed: float,
        *,
        notes: dict[str, Any],
    ) -> None:
        """Log one line with a call's figures and properties. Never bodies, tokens, or values that the caller chose.

        So of a refused call it has the kind of error and not its message, and the route instead of the path.
        """
        cold, self._cold = self._cold, False
        gateway = event.get("requestContext", {})
        figures = {
            "Duration": round(elapsed, 2),
            "Errors": int(400 <= response.status < 500),
            "Faults": int(response.status >= 500),
        }
        details = {
            "method": route.method if route else None,
            "route": route.template if route else None,
            "status": response.status,
            "cold_start": cold,
            "request_id": gateway.get("requestId"),
            "caller": (gateway.get("authorizer") or {}).get("principalId"),
        }
        details |= notes
        if problem is not None:
            details["error"] = type(problem).__name__
        if response.status >= 500:
            # of ours: what did not answer, or what is damaged. A model that is not ready answers in the protocol's own
            # form, which has no error
            details["reason"] = errors.message_in(response.body)
        metrics.event("call", figures, {"service": self._service}, details)


def _let_go(problem: BaseException | None) -> None:
    """Forget where errors were raised: until the garbage collector's next full run, what a call held would stay."""
    while problem is not None:
        problem.__traceback__, problem = None, problem.__cause__ or problem.__context__
