"""The control plane: catalogue, versions, aliases, history."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access import scopes
from shared.handler import Request, Routes, store
from shared.registry import registry, views

handler = Routes("registry")
ALIAS = "/models/{model}/aliases/{alias}"


class Move(Struct, forbid_unknown_fields=True):
    """The body of PUT …/aliases/{alias}."""

    version: Annotated[int, Meta(ge=1)]
    reason: Annotated[str, Meta(max_length=2000)] | None = None
    expect_revision: Annotated[int, Meta(ge=0)] | None = None


@handler.route("GET", "/models", scope="read")
def catalogue(request: Request) -> dict[str, Any]:
    heads, following = registry.catalogue(
        store(),
        search=request.query.get("search", ""),
        after=request.query.get("next"),
        limit=request.limit(),
        permitted=lambda model: scopes.allows(request.scopes, "read", model),
    )
    return {"models": [views.summary(head) for head in heads], "next": following}


@handler.route("GET", "/models/{model}", scope="read")
def model(request: Request) -> dict[str, Any]:
    head = registry.get(store(), request.params["model"])
    return views.detail(head, registry.manifest(store(), views.shown(head)))


@handler.route("GET", "/models/{model}/versions", scope="read")
def versions(request: Request) -> dict[str, Any]:
    return {"versions": views.versions(registry.get(store(), request.params["model"])), "next": None}


@handler.route("GET", "/models/{model}/versions/{version}", scope="read")
def version(request: Request) -> dict[str, Any]:
    found = registry.get(store(), request.params["model"]).resolve(request.params["version"])
    return views.manifest(found, registry.manifest(store(), found))


@handler.route("GET", "/models/{model}/history", scope="read")
def history(request: Request) -> dict[str, Any]:
    before = request.number("next", 1, 10**12)
    records, following = registry.history(store(), request.params["model"], before=before, limit=request.limit(50, 200))
    return {"records": records, "next": following}


@handler.route("PUT", ALIAS, scope="write")
def set_alias(request: Request) -> dict[str, Any]:
    move = request.json(Move)
    name, alias = request.params["model"], request.params["alias"]
    head = registry.set_alias(
        store(), name, alias, move.version, by=request.caller, reason=move.reason, expect_revision=move.expect_revision
    )
    return {"model": name, "alias": alias, "version": head.aliases[alias].version, "revision": head.revision}


@handler.route("DELETE", ALIAS, scope="write")
def delete_alias(request: Request) -> dict[str, Any]:
    head = registry.delete_alias(store(), request.params["model"], request.params["alias"], by=request.caller)
    return {"model": head.model, "alias": request.params["alias"], "deleted": True, "revision": head.revision}
