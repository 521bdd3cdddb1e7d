"""Routes and their contracts → an OpenAPI 3.1 document."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from api import generation_routes, inference_routes
from api.contract import (
    IDEMPOTENCY,
    KEY,
    NAME,
    PATH,
    REPLAYED,
    VERSION_NUMBER,
    Contract,
    Error,
    OpenaiErrorAnswer,
    Param,
)
from api.routes import FUNCTIONS, routes
from api.schemas import NARROWER, Schemas
from shared import errors
from shared.entry.http import JSON, Route
from shared.serving.describe import RELEASE

ABOUT = """Models in a bucket, served. Every answer that is no success is
`{"error": "what happened, and what to do", "code": "bad_input", "request_id": "…"}`: words for people, one word for
programs, and the call's number, which is in the header `x-request-id`, too. Below `/v1`, where OpenAI's clients call,
`error` is an object with these words as its `message`, and with the other two; unless the gateway itself answers (an
unknown token, a limit of rate): its words are `error` on all paths. The words of `code`: {codes}.

Scopes: `infer`, `label` (what answers should have been), `read`, `write`, `promote` and `train` (all three imply
`read`), `admin` (implies all), each for all models or for a pattern, as in `infer:fashion-*`; `data`, for data sets
that an operator stored, as in `data:receipts`.
`x-amaas-scope` of an operation says which one of them a token needs, for the path's model where it has one, and for the
body's where that names one. A deployment may take JWTs of an issuer in the place of tokens.

Each token has limits, which `GET /tokens/self` shows; beyond one, the answer is 429 and names it."""
# of routes whose decorators do not say it, as their functions import none of these types
CONTRACTS = inference_routes.CONTRACTS | generation_routes.CONTRACTS
ERRORS = {
    400: ("BadInput", "The request is wrong; the message says what."),
    401: ("Unauthenticated", "No token, or one that is unknown, expired or revoked."),
    403: ("Forbidden", "The token lacks the scope."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "The state has moved, or does not allow it."),
    413: ("TooLarge", "More than one call carries, or than a file may have."),
    415: ("Unsupported", "A content type or encoding that is not taken here."),
    422: ("KeyReused", "The Idempotency-Key was used for another call before."),
    429: ("TooMany", "A limit of the token is reached, or of all callers; the message says which."),
    500: ("Internal", "A fault of the service; the message has the number to report."),
    501: ("NotImplemented", "A part of a protocol, or a task, that is deliberately absent."),
    502: ("NoAnswer", "The function ended before it could answer: try again."),
    503: ("Unavailable", "A dependency is out of reach, or what is stored is damaged: try again."),
    504: ("TimedOut", "No answer within the time that the gateway waits: send less at a time."),
}
# of errors, by how their names begin; among OpenAI's there are those of the gateway, which has one form
FORMS: dict[str, Any] = {"": Error, "Openai": (OpenaiErrorAnswer, Error)}
ALWAYS = (400, 401, 403, 413, 429, 500, 502, 503, 504)
OF_THE_GATEWAY = ("no_answer", "refused")  # beside those of functions
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "string"}}},
    503: {"Retry-After": {"schema": {"type": "string"}}},
}


def _codes() -> str:
    """Of all errors that functions and the gateway answer with, as a sentence."""
    by_name = {one.code for one in _subclasses(errors.AmaasError)}
    return ", ".join(f"`{code}`" for code in sorted({*by_name, *OF_THE_GATEWAY}))


def _subclasses(of: type[errors.AmaasError]) -> list[type[errors.AmaasError]]:
    return [of, *(one for sub in of.__subclasses__() for one in _subclasses(sub))]


def document() -> dict[str, Any]:
    """The whole API, as GET /openapi.json answers it."""
    operations = [(function, route, contract(route)) for function, route in routes()]
    schemas = Schemas([of for _, route, described in operations for of in _types(route, described)])
    paths: dict[str, Any] = {}
    for function, route, described in operations:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(function, route, described, schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Amaas",
            "version": RELEASE,
            "summary": "AI Model as a Service",
            "description": ABOUT.replace("{codes}", _codes()),
        },
        # relative to the document; the function that answers it puts the whole address there
        "servers": [{"url": "."}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": about} for name, about in FUNCTIONS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "amaas_<id>_<secret>"}},
            "responses": {
                form + name: _error(status, about, of, schemas)
                for form, of in FORMS.items()
                for status, (name, about) in ERRORS.items()
            },
            "schemas": schemas.components,
        },
    }


def contract(route: Route) -> Contract:
    """What a route's decorator says, or CONTRACTS. Raises KeyError."""
    if route.gives is None:
        if route.id not in CONTRACTS:
            raise KeyError(f"{route.method} {route.template}: say in its decorator what it `gives`")
        return CONTRACTS[route.id]
    headers = (IDEMPOTENCY,) * route.keyed + (NAME,) * route.names + (KEY,) * route.sticky
    return Contract(
        gives=route.gives if isinstance(route.gives, dict) else {200: route.gives},
        query=route.query,
        headers=headers,
        answer_headers=(REPLAYED,) * route.keyed,
        body={} if route.takes is None else {JSON: route.takes},
        body_required=route.takes is not None and _must_say_something(route.takes),
        examples=route.examples,
        errors=(*route.errors, 409, 422) if route.keyed else route.errors,
    )


def _must_say_something(of: Any) -> bool:
    """An empty body is an empty object, which is enough where every member may be omitted."""
    return of.__name__ in NARROWER or any(member.required for member in msgspec.structs.fields(of))


def _types(route: Route, described: Contract) -> list[Any]:
    """All types that an operation mentions."""
    given = [of for of in described.gives.values() if of is not None]
    responses = [one for of in given for one in (of if isinstance(of, tuple) else (of,))]
    bodies = [of for of in described.body.values() if not isinstance(of, dict)]
    params = [*_in_path(route), *_in_query(described), *described.headers, *described.answer_headers]
    return [Error, OpenaiErrorAnswer, *responses, *bodies, *(param.type for param in params)]


def _in_path(route: Route) -> list[Param]:
    names = re.findall(r"\{(\w+)\}", route.template)
    return [VERSION_NUMBER if route.transition and name == "version" else PATH[name] for name in names]


def _in_query(described: Contract) -> list[Param]:
    if described.query is None:
        return []
    return [
        Param(member.encode_name, *_without_null(member.type), member.default)
        for member in msgspec.structs.fields(described.query)
    ]


def _without_null(of: Any) -> tuple[Any, str]:
    """A query parameter's type when it is there, since a query has no null; and what its type says of it."""
    schema = msgspec.json.schema(of)
    inner = getattr(of, "__origin__", of)
    parts = [part for part in getattr(inner, "__args__", ()) if part is not type(None)]
    nullable = type(None) in getattr(inner, "__args__", ())
    return (parts[0] if nullable and len(parts) == 1 else of), schema["description"]


def _operation(function: str, route: Route, described: Contract, schemas: Schemas) -> dict[str, Any]:
    summary, _, about = inspect.cleandoc(route.handle.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.id,
        "summary": summary,
        "description": " ".join(filter(None, [" ".join(about.split()), _needs(route)])),
        "tags": [function],
        "x-amaas-scope": route.scope,
        "parameters": _parameters(route, described, schemas),
        "responses": _responses(route, described, schemas),
    }
    if described.body:
        content = {m: {"schema": of if isinstance(of, dict) else schemas[of]} for m, of in described.body.items()}
        if described.examples:
            content[JSON]["examples"] = {name: {"value": value} for name, value in described.examples.items()}
        operation["requestBody"] = {"required": described.body_required, "content": content}
    return operation


def _needs(route: Route) -> str:
    if route.scope is None:
        return "Needs a token; any one will do."
    names = " or ".join(f"`{name}`" for name in route.scope.split("|"))
    reach = " for the model" if "{model}" in route.template else " for all models" if route.models == "all" else ""
    return f"Needs a token with the scope {names}{reach}."


def _parameters(route: Route, described: Contract, schemas: Schemas) -> list[dict[str, Any]]:
    places = (("path", _in_path(route)), ("query", _in_query(described)), ("header", list(described.headers)))
    return [
        {"name": param.name, "in": place, "required": place == "path", **_about(param, schemas)}
        for place, params in places
        for param in params
    ]


def _about(param: Param, schemas: Schemas) -> dict[str, Any]:
    default = {} if param.default in (None, msgspec.NODEFAULT, "") else {"default": param.default}
    return {"description": param.about, "schema": schemas[param.type] | default}


def _responses(route: Route, described: Contract, schemas: Schemas) -> dict[str, Any]:
    responses = {str(status): _success(of, described, schemas) for status, of in described.gives.items()}
    implied = {404} if "{" in route.template else set()  # where the path names something
    form = "Openai" if route.template.startswith(errors.OPENAI) else ""
    for status in sorted({*ALWAYS, *described.errors, *implied}):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{form}{ERRORS[status][0]}"})
    return dict(sorted(responses.items()))


def _success(of: Any, described: Contract, schemas: Schemas) -> dict[str, Any]:
    first = of[0] if isinstance(of, tuple) else of
    about = inspect.cleandoc(first.__doc__ or "") if hasattr(first, "__struct_fields__") else ""
    content = {} if of is None else {JSON: {"schema": schemas[of]}}
    content |= {media: {"schema": schema} for media, schema in described.media.items()}
    headers = {header.name: _about(header, schemas) for header in described.answer_headers}
    return {"description": about or "As asked.", "content": content} | ({"headers": headers} if headers else {})


def _error(status: int, about: str, of: Any, schemas: Schemas) -> dict[str, Any]:
    identified = {errors.REQUEST_ID: {"description": "as `request_id` in the body", "schema": {"type": "string"}}}
    headers = identified | HEADERS.get(status, {})
    return {"description": about, "headers": headers, "content": {JSON: {"schema": schemas[of]}}}
