"""HTTP for functions: routes, the caller's scopes, errors → `{"error": …}`, one log line and metrics.

Written here rather than taken from a framework, because it is on the path of every answer:
the usual resolver with validation costs 250 ms of import, this costs nothing measurable.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from shared import errors
from shared.access import scopes as scope_rules
from shared.entry import proxy
from shared.logs import Lines
from shared.registry.state import Act

JSON = "application/json"
METRICS_NAMESPACE = "Amaas"
METRICS = msgspec.Raw(
    msgspec.json.encode(
        [
            {
                "Namespace": METRICS_NAMESPACE,
                "Dimensions": [["service"]],
                "Metrics": [
                    {"Name": "Duration", "Unit": "Milliseconds"},
                    {"Name": "Errors", "Unit": "Count"},
                    {"Name": "Faults", "Unit": "Count"},
                ],
            }
        ]
    )
)
IDEMPOTENCY_KEY = r"[A-Za-z0-9_-]{1,64}"


class Request(Struct, frozen=True):
    """One call: percent-decoded path parameters, lower-case header names, the raw body; context: the gateway's own."""

    method: str
    path: str
    params: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    scopes: tuple[str, ...]
    caller: str
    id: str
    name: str | None = None
    context: dict[str, Any] = {}

    def act(self, reason: str | None = None, expect_revision: int | None = None) -> Act:
        """Who asks for a transition of the route's model, and why. Raises BadInput for a bad Idempotency-Key."""
        key = self.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
            raise errors.BadInput("the Idempotency-Key must be 1 to 64 letters, digits, '-' and '_'")
        return Act(
            by=self.caller,
            name=self.name,
            reason=reason,
            expect_revision=expect_revision,
            # of this path only: for another one, the answer would tell of something that never happened
            request_id=f"{self.caller}/{key} {self.method} {self.path}" if key else None,
            may_promote=scope_rules.allows(self.scopes, "promote", self.params.get("model")),
        )

    def require(self, scope: str, model: str) -> None:
        """Raises Forbidden unless the caller has a scope for a model that the route does not name."""
        scope_rules.require(self.scopes, scope, model)

    def json(self, of: Any = dict[str, Any]) -> Any:
        """The body as JSON of a given type; an empty body is an empty object. Raises BadInput."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=of)
        except msgspec.ValidationError as error:
            raise errors.BadInput(f"the body does not fit: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.BadInput(f"the body is not valid JSON: {error}") from error

    def limit(self, default: int = 100, most: int = 1000) -> int:
        """The query's `limit`, a page's length."""
        return self.number("limit", 1, most) or default

    def flag(self, name: str) -> bool:
        """Whether the query says `name=true`."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise errors.BadInput(f"the query's {name} must be true or false, not {text[:40]!r}")
        return text == "true"

    def number(self, name: str, least: int, most: int) -> int | None:
        text = self.query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and least <= int(text) <= most):
            raise errors.BadInput(f"the query's {name} must be an integer from {least} to {most}, not {text[:40]!r}")
        return int(text)


class Response(Struct, frozen=True):
    """An answer. body: bytes go out as they are, anything else as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}


class Route(Struct, frozen=True):
    """segments: of the path; those in braces stand for any one segment, and are parameters. takes: the JSON body."""

    method: str
    template: str
    segments: tuple[str, ...]
    scope: str | None
    takes: Any
    handle: Callable[..., Any]

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The parameters in a path's segments, percent-decoded; None when this is not its route."""
        if len(segments) != len(self.segments):
            return None
        params = {}
        for wanted, found in zip(self.segments, segments, strict=True):
            if wanted.startswith("{") and found:
                params[wanted[1:-1]] = proxy.decoded(found)
            elif wanted != found:
                return None
        return params


class Routes:
    """A function's routes, in order, and the Lambda handler that serves them."""

    def __init__(self, service: str, answered: Callable[[], None] = lambda: None) -> None:
        """answered: called after each call, when its answer is made."""
        self.routes: list[Route] = []
        self._found = lru_cache(maxsize=256)(self._match)
        self._answered = answered
        self._lines = Lines(service)
        self._cold = True

    def route(
        self, method: str, path: str, *, scope: str | None, takes: Any = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Serve `path`, with {names} for single segments, for callers whose scopes cover it (and its {model}).

        takes: what the body is to be; it is passed beside the request. Routes are described in api.
        """

        def register(handle: Callable[..., Any]) -> Callable[..., Any]:
            self.routes.append(Route(method, path, tuple(path.split("/")), scope, takes, handle))
            return handle

        return register

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        started = time.perf_counter()
        route = None
        try:
            route, request = self._request(event)
            answer = route.handle(request, request.json(route.takes)) if route.takes else route.handle(request)
            response = answer if isinstance(answer, Response) else Response(answer)
        except errors.AmaasError as error:
            response = Response(error.body(), error.status)
        except Exception:
            # one bad request must not end the process, and its caller must not see our internals
            self._lines.exception("unexpected", request_id=event.get("requestContext", {}).get("requestId"))
            request_id = event.get("requestContext", {}).get("requestId", "?")
            response = Response({"error": f"internal error; if it persists, report request {request_id}"}, 500)
        reply = render(response)
        self._log(event, route, response, (time.perf_counter() - started) * 1000)
        self._answered()
        return reply

    def _request(self, event: dict[str, Any]) -> tuple[Route, Request]:
        route, params = self._found(event["httpMethod"], event["path"])
        context = event.get("requestContext", {})
        authorizer = context.get("authorizer") or {}
        scopes = tuple(str(authorizer.get("scopes", "")).split())
        if route.scope:
            scope_rules.require(scopes, route.scope, params.get("model"))
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items() if value is not None}
        return route, Request(
            event["httpMethod"],
            event["path"],
            dict(params),  # those found are kept for the next call
            event.get("queryStringParameters") or {},
            headers,
            proxy.body_of(event),
            scopes,
            str(authorizer.get("principalId", "anonymous")),
            str(context.get("requestId", "")),
            authorizer.get("name"),
            context,
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
            raise errors.NotFound(f"{path} takes {', '.join(sorted(others))}, not {method}")
        raise errors.NotFound(f"there is no route {method} {path}")

    def _log(self, event: dict[str, Any], route: Route | None, response: Response, elapsed: float) -> None:
        """One structured line, which is also the metrics in CloudWatch's embedded format. Never bodies or tokens."""
        cold, self._cold = self._cold, False
        context = event.get("requestContext", {})
        self._lines.info(
            "call",
            _aws={"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": METRICS},
            Duration=round(elapsed, 2),
            Errors=int(400 <= response.status < 500),
            Faults=int(response.status >= 500),
            method=event.get("httpMethod"),
            route=route.template if route else None,
            path=event.get("path"),
            status=response.status,
            cold_start=cold,
            request_id=context.get("requestId"),
            caller=(context.get("authorizer") or {}).get("principalId"),
            **({"reason": response.body["error"]} if response.status >= 400 else {}),
        )


def render(response: Response) -> dict[str, Any]:
    """API Gateway's proxy answer. Bytes travel as base64, which the gateway undoes."""
    out = {"Content-Type": JSON, **response.headers}
    if isinstance(response.body, bytes):
        if out["Content-Type"] == JSON and "Content-Encoding" not in out:
            return _reply(response.status, out, response.body.decode(), False)
        return _reply(response.status, out, proxy.to_base64(response.body), True)
    return _reply(response.status, out, msgspec.json.encode(response.body).decode(), False)


def _reply(status: int, headers: dict[str, str], body: str, encoded: bool) -> dict[str, Any]:
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": encoded}
