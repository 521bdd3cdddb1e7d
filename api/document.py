"""Routes and their operations → an OpenAPI 3.1 document."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import msgspec

from api.answers import Error
from api.described import PATH, Answer, Operation, Param
from api.operations import NARROWER, OPERATIONS, TAGS
from shared.entry.http import JSON, Route, Routes
from shared.serving.describe import RELEASE

REF = "#/components/schemas/{name}"
ABOUT = """Models in a bucket, served. Every answer that is no success is `{"error": "what happened, and what to do"}`.

Scopes: `infer`, `read`, `write`, `promote` and `train` (all three imply `read`), `admin` (implies all), each for all
models or for a pattern, as in `infer:fashion-*`. `x-amaas-scope` of an operation says which one of them a token needs,
for the path's model where it has one, and for the body's where that names one."""
ERRORS = {
    400: ("BadInput", "The request is wrong; the message says what."),
    401: ("Unauthenticated", "No token, or one that is unknown, expired or revoked."),
    403: ("Forbidden", "The token lacks the scope."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "The state has moved, or does not allow it."),
    413: ("TooLarge", "More than one call carries, or than a file may have."),
    415: ("Unsupported", "A content type or encoding that is not taken here."),
    429: ("TooMany", "Too many calls at once, or this month's quota is used up."),
    500: ("Internal", "A fault of the service; the message has the number to report."),
    501: ("NotImplemented", "A part of a protocol, or a task, that is deliberately absent."),
    502: ("NoAnswer", "The function ended before it could answer: try again."),
    503: ("Unavailable", "A dependency is out of reach, or what is stored is damaged: try again."),
    504: ("TimedOut", "No answer within the time that the gateway waits: send less at a time."),
}
ALWAYS = (400, 401, 403, 429, 500, 502, 503, 504)
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "string"}}},
}


def routes() -> list[tuple[str, Route]]:
    """Every route of every function that has some, with the function's name."""
    return [(service, route) for service in OPERATIONS for route in handler(service).routes]


def handler(service: str) -> Routes:
    found: Routes = importlib.import_module(f"functions.{service}.app").handler
    return found


def operation(service: str, route: Route) -> Operation:
    """Raises KeyError that names the route which nobody has described."""
    found = OPERATIONS[service].get(route.handle.__name__)
    if found is None:
        raise KeyError(f"{route.method} {route.template}: describe {service}.{route.handle.__name__} in operations.py")
    return found


def document() -> dict[str, Any]:
    """The whole API, as GET /openapi.json answers it."""
    known = routes()
    schemas = Schemas(_types(known))
    paths: dict[str, Any] = {}
    for service, route in known:
        told = _operation(service, route, operation(service, route), schemas)
        paths.setdefault(route.template, {})[route.method.lower()] = told
    return {
        "openapi": "3.1.1",
        "info": {"title": "Amaas", "version": RELEASE, "summary": "AI Model as a Service", "description": ABOUT},
        # relative to the document; the function that answers it puts the whole address there
        "servers": [{"url": "."}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "amaas_<id>_<secret>"}},
            "responses": {name: _error(status, about, schemas) for status, (name, about) in ERRORS.items()},
            "schemas": schemas.components,
        },
    }


class Schemas:
    """JSON Schemas of types: one component for each Struct, and what refers to it."""

    def __init__(self, types: list[Any]) -> None:
        self._types = types
        found, components = msgspec.json.schema_components(types, ref_template=REF)
        self._found = found
        self.components = {name: _tidy(schema) | NARROWER.get(name, {}) for name, schema in components.items()}

    def __getitem__(self, of: Any) -> dict[str, Any]:
        """Of a type, or of several of which a value has one."""
        if isinstance(of, tuple):
            return {"anyOf": [self[one] for one in of]}
        found: dict[str, Any] = _tidy(self._found[self._types.index(of)])
        return found


def _tidy(schema: Any) -> Any:
    """Docstrings without their indentation, and no titles that repeat a component's name."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _tidy(value) for name, value in schema.items() if not (name == "title" and isinstance(value, str))}
    if isinstance(made.get("description"), str):
        made["description"] = inspect.cleandoc(made["description"])
    return made


def _types(known: list[tuple[str, Route]]) -> list[Any]:
    """All types that the document mentions."""
    found: list[Any] = [Error]
    for service, route in known:
        told = operation(service, route)
        for answer in told.answers.values():
            found += answer.of if isinstance(answer.of, tuple) else [answer.of]
        found += [of for of in (route.takes, *told.body.values()) if of is not None and not isinstance(of, dict)]
        found += [param.type for param in _params(route, told)]
        found += [header.type for answer in told.answers.values() for header in answer.headers]
    return found


def _params(route: Route, told: Operation) -> list[Param]:
    return [*_in_path(route, told), *_in_query(told), *told.headers]


def _in_path(route: Route, told: Operation) -> list[Param]:
    narrower = {param.name: param for param in told.path}
    return [narrower.get(name) or PATH[name] for name in re.findall(r"\{(\w+)\}", route.template)]


def _in_query(told: Operation) -> list[Param]:
    if told.options is None:
        return list(told.query)
    fields = msgspec.structs.fields(told.options)
    about = inspect.cleandoc(told.options.__doc__ or "")
    options = [
        Param(field.encode_name, _given(field.type), _said(about, field.name), field.default) for field in fields
    ]
    return [*told.query, *options]


def _given(of: Any) -> Any:
    """An option's type when it is given: a query has no null."""
    parts = [part for part in getattr(of, "__args__", ()) if part is not type(None)]
    return parts[0] if type(None) in getattr(of, "__args__", ()) and len(parts) == 1 else of


def _said(about: str, name: str) -> str:
    """What a docstring says of a member: the sentence behind its name and a colon. Raises KeyError without one."""
    found = re.search(rf"\b{name}: (.+?)(?=\.(?:\s|$))", about, re.DOTALL)
    if found is None:
        raise KeyError(f"the docstring says nothing of {name}: {about}")
    return " ".join(found[1].split())


def _operation(service: str, route: Route, told: Operation, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _id(service, route),
        "summary": told.summary,
        "description": " ".join(filter(None, [told.about, _needs(route)])),
        "tags": [service],
        "x-amaas-scope": route.scope,
        "parameters": _parameters(route, told, schemas),
        "responses": _responses(route, told, schemas),
    }
    body = {JSON: route.takes} if route.takes else told.body
    if body:
        content = {media: {"schema": of if isinstance(of, dict) else schemas[of]} for media, of in body.items()}
        if told.examples:
            content[JSON]["examples"] = {name: {"value": value} for name, value in told.examples.items()}
        made["requestBody"] = {"required": _required(route, told), "content": content}
    return made


def _id(service: str, route: Route) -> str:
    """Unique: functions that serve several routes are told apart by what their path ends in, or has in it."""
    name = f"{service}_{route.handle.__name__}"
    if "/health/" in route.template:
        return f"{name}_{route.segments[-1]}"
    twice = "{version}" in route.segments and service == "inference"
    return f"{name}_of_version" if twice else name


def _needs(route: Route) -> str:
    if route.scope is None:
        return "Needs a token; any one will do."
    names = " or ".join(f"`{name}`" for name in route.scope.split("|"))
    return f"Needs a token with the scope {names}{' for the model' if '{model}' in route.template else ''}."


def _required(route: Route, told: Operation) -> bool:
    """An empty body is an empty object, which is enough where every member may be left out."""
    if route.takes is None:
        return told.body_required
    return route.takes.__name__ in NARROWER or any(field.required for field in msgspec.structs.fields(route.takes))


def _parameters(route: Route, told: Operation, schemas: Schemas) -> list[dict[str, Any]]:
    path, query = _in_path(route, told), _in_query(told)
    return [
        {"name": param.name, "in": place, "required": place == "path", **_about(param, schemas)}
        for place, params in (("path", path), ("query", query), ("header", list(told.headers)))
        for param in params
    ]


def _about(param: Param, schemas: Schemas) -> dict[str, Any]:
    default = {} if param.default is None or param.default is msgspec.NODEFAULT else {"default": param.default}
    return {"description": param.about, "schema": schemas[param.type] | default}


def _responses(route: Route, told: Operation, schemas: Schemas) -> dict[str, Any]:
    made = {str(status): _answer(answer, schemas) for status, answer in told.answers.items()}
    for status in sorted({*ALWAYS, *told.errors, *_implied(route, told)}):
        made.setdefault(str(status), {"$ref": f"#/components/responses/{ERRORS[status][0]}"})
    return dict(sorted(made.items()))


def _implied(route: Route, told: Operation) -> set[int]:
    """Not found, where the path names something; too large, where there is a body."""
    return ({404} if "{" in route.template else set()) | ({413} if route.takes or told.body else set())


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    content = {JSON: {"schema": schemas[answer.of]}} | {m: {"schema": of} for m, of in answer.media.items()}
    headers = {header.name: _about(header, schemas) for header in answer.headers}
    return {"description": answer.about, "content": content} | ({"headers": headers} if headers else {})


def _error(status: int, about: str, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {"description": about, "content": {JSON: {"schema": schemas[Error]}}}
    return made | ({"headers": HEADERS[status]} if status in HEADERS else {})
