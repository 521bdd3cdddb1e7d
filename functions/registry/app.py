"""The control plane: catalogue, versions, aliases, approvals, history."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from functions.registry.bodies import Back, Change, Edit, Move, Rule
from shared.access import scopes
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, log
from shared.errors import BadInput, NotFound
from shared.registry import aliases, approvals, catalogue, diff, models, verify, versions, views
from shared.registry.state import PRODUCTION, Head, Policy

handler = Routes("registry")
MODEL = "/models/{model}"
VERSION = MODEL + "/versions/{version}"
ALIAS = MODEL + "/aliases/{alias}"
REQUEST = MODEL + "/requests/{number}"
MOVER = "write|promote"
DOCUMENT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _name(request: Request) -> str:
    return request.params["model"]


def _number(request: Request, param: str) -> int:
    text = request.params[param]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise BadInput(
            f"{text[:40]!r} is no number of a {'request' if param == 'number' else param}: they begin with 1"
        )
    return int(text)


def _reference(request: Request, name: str, default: str) -> str:
    found = request.query.get(name, default)
    if not found:
        raise BadInput(f"the query's {name} is empty: say a version's number or an alias, or leave it out")
    return found


# ---- questions


@cache
def described() -> dict[str, Any]:
    """The description of the API, which api makes while this function is built. Raises NotFound."""
    try:
        return DOCUMENT.decode((Path(__file__).parent / "openapi.json").read_bytes())
    except FileNotFoundError:
        raise NotFound("this function was built without the API's description: build it with make build") from None


@handler.route("GET", "/openapi.json", scope=None)
def description(request: Request) -> dict[str, Any]:
    return described() | {"servers": [{"url": _address(request)}]}


def _address(request: Request) -> str:
    """Where this caller finds the API, its stage included: the stack's output ApiUrl, or a domain of one's own."""
    context, scheme = request.context, request.headers.get("x-forwarded-proto", "https")
    if "domainName" in context:
        return f"{scheme}://{context['domainName']}{context['path'].removesuffix('/openapi.json')}"
    return f"{config().endpoint_url}/_aws/execute-api/{context['apiId']}/{context['stage']}"


@handler.route("GET", "/models", scope="read")
def search(request: Request) -> dict[str, Any]:
    query = request.query
    found, following = catalogue.page(
        log(),
        search=query.get("search", ""),
        task=query.get("task"),
        tag=query.get("tag"),
        after=query.get("next"),
        limit=request.limit(),
        permitted=lambda model: scopes.allows(request.scopes, "read", model),
    )
    return {"models": [views.summary(one) for one in found], "next": following}


@handler.route("GET", MODEL, scope="read")
def model(request: Request) -> dict[str, Any]:
    head = models.get(log(), _name(request))
    manifest = models.manifest(log(), models.shown(head))
    newest, _ = versions.page(log(), head)
    return views.detail(head, manifest, models.card(log(), head, manifest), newest)


@handler.route("GET", MODEL + "/versions", scope="read")
def every_version(request: Request) -> dict[str, Any]:
    head = models.get(log(), _name(request))
    before = request.number("next", 1, 10**9)
    found, following = versions.page(log(), head, before=before, limit=request.limit())
    return {"versions": views.versions(head, found), "next": following}


@handler.route("GET", VERSION, scope="read")
def version(request: Request) -> dict[str, Any]:
    head = models.get(log(), _name(request))
    reference = request.params["version"]
    known = reference.isascii() and reference.isdigit()
    found = versions.get(log(), head, int(reference[:12])) if known else versions.resolve(log(), head, reference)
    return views.manifest(head, found, models.manifest(log(), found))


@handler.route("GET", VERSION + "/signature", scope="read")
def signature(request: Request) -> dict[str, Any]:
    head = models.get(log(), _name(request))
    found = versions.resolve(log(), head, request.params["version"])
    return {"model": head.model, "version": found.version, **models.signature(log(), found)}


@handler.route("GET", MODEL + "/diff", scope="read")
def compare(request: Request) -> dict[str, Any]:
    head = models.get(log(), _name(request))
    old = versions.resolve(log(), head, _reference(request, "from", PRODUCTION))
    new = versions.resolve(log(), head, _reference(request, "to", str(head.latest)))
    rows = diff.diff(old, models.manifest(log(), old), new, models.manifest(log(), new))
    return {"model": head.model, **rows}


@handler.route("GET", MODEL + "/history", scope="read")
def history(request: Request) -> dict[str, Any]:
    name, before = _name(request), request.number("next", 1, 10**12)
    checked = verify.verify(log(), name) if request.flag("verify") else None
    answer: dict[str, Any] = {}
    if checked is not None:
        answer = {"verified": checked.verified, "problems": checked.problems}
        answer |= {"revision": checked.revision, "digest": checked.digest, "since": checked.since}
    newest = checked.revision if checked is not None else models.known(log(), name).revision
    records, following = models.history(log(), name, newest, before=before, limit=request.limit(50, 200))
    return {"records": records, "next": following, **answer}


# ---- aliases


def _moved(head: Head, alias: str) -> dict[str, Any]:
    return {"model": head.model, "alias": alias, "revision": head.revision, **views.alias(head.aliases[alias])}


@handler.route("PUT", ALIAS, scope=MOVER, takes=Move)
def move(request: Request, wanted: Move) -> dict[str, Any]:
    alias = request.params["alias"]
    act = request.act(wanted.reason, wanted.expect_revision)
    return _moved(aliases.move(log(), _name(request), alias, wanted.target(), act), alias)


@handler.route("POST", ALIAS + "/rollback", scope=MOVER, takes=Back)
def rollback(request: Request, wanted: Back) -> dict[str, Any]:
    alias = request.params["alias"]
    act = request.act(wanted.reason, wanted.expect_revision)
    return _moved(aliases.rollback(log(), _name(request), alias, act, wanted.version), alias)


@handler.route("DELETE", ALIAS, scope=MOVER, takes=Change)
def drop(request: Request, wanted: Change) -> dict[str, Any]:
    alias = request.params["alias"]
    head = aliases.delete(log(), _name(request), alias, request.act(wanted.reason, wanted.expect_revision))
    return {"model": head.model, "alias": alias, "deleted": True, "revision": head.revision}


@handler.route("PUT", ALIAS + "/policy", scope="admin", takes=Rule)
def protect(request: Request, wanted: Rule) -> dict[str, Any]:
    alias = request.params["alias"]
    policy = Policy(protected=wanted.protected, two_person=wanted.two_person)
    act = request.act(wanted.reason, wanted.expect_revision)
    head = aliases.set_policy(log(), _name(request), alias, policy, act)
    return {"model": head.model, "alias": alias, "revision": head.revision, **views.policy(head, alias)}


@handler.route("POST", ALIAS + "/requests", scope=MOVER, takes=Move)
def ask(request: Request, wanted: Move) -> Response:
    alias = request.params["alias"]
    act = request.act(wanted.reason, wanted.expect_revision)
    target = wanted.target()
    number = approvals.request(log(), _name(request), alias, target, act)
    shown = views.target(target)
    return Response({"model": _name(request), "alias": alias, "request": number, "revision": number, **shown}, 201)


@handler.route("POST", REQUEST + "/approve", scope="promote|write", takes=Change)
def approve(request: Request, wanted: Change) -> dict[str, Any]:
    return _decided(request, wanted, "approved")


@handler.route("POST", REQUEST + "/reject", scope=MOVER, takes=Change)
def reject(request: Request, wanted: Change) -> dict[str, Any]:
    return _decided(request, wanted, "rejected")


def _decided(request: Request, wanted: Change, how: str) -> dict[str, Any]:
    number = _number(request, "number")
    act = request.act(wanted.reason, wanted.expect_revision)
    asked = approvals.asked_for(log(), _name(request), number)
    carry_out = approvals.approve if how == "approved" else approvals.reject
    head = carry_out(log(), _name(request), number, act)
    present = views.alias(head.aliases[asked.alias]) if asked.alias in head.aliases else {}
    answer = {"model": head.model, "request": number, "alias": asked.alias, how: True, "revision": head.revision}
    return answer | present


# ---- versions and models


@handler.route("POST", VERSION + "/retire", scope="write", takes=Change)
def retire(request: Request, wanted: Change) -> dict[str, Any]:
    number = _number(request, "version")
    head = versions.retire(log(), _name(request), number, request.act(wanted.reason, wanted.expect_revision))
    return {"model": head.model, "version": number, "state": "retired", "revision": head.revision}


@handler.route("POST", VERSION + "/restore", scope="write", takes=Change)
def restore_version(request: Request, wanted: Change) -> dict[str, Any]:
    number = _number(request, "version")
    head = versions.restore(log(), _name(request), number, request.act(wanted.reason, wanted.expect_revision))
    return {"model": head.model, "version": number, "state": "active", "revision": head.revision}


@handler.route("PATCH", MODEL, scope="write", takes=Edit)
def edit(request: Request, wanted: Edit) -> dict[str, Any]:
    act = request.act(wanted.reason, wanted.expect_revision)
    head = models.edit(log(), _name(request), act, card=wanted.card, tags=wanted.tags)
    manifest = models.manifest(log(), models.shown(head))
    tags = manifest.tags if head.tags is None else head.tags
    return {"model": head.model, "revision": head.revision, "tags": tags, "card": models.card(log(), head, manifest)}


@handler.route("DELETE", MODEL, scope="admin", takes=Change)
def delete(request: Request, wanted: Change) -> dict[str, Any]:
    head = models.delete(log(), _name(request), request.act(wanted.reason, wanted.expect_revision))
    return {"model": head.model, "deleted": True, "revision": head.revision}


@handler.route("POST", MODEL + "/restore", scope="admin", takes=Change)
def restore(request: Request, wanted: Change) -> dict[str, Any]:
    head = models.restore(log(), _name(request), request.act(wanted.reason, wanted.expect_revision))
    return {"model": head.model, "restored": True, "revision": head.revision}
