"""The control plane: catalog, versions, aliases, approvals, history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict

from functions.registry import contract, description, traffic
from functions.registry.contract import (
    CompareQuery,
    HistoryQuery,
    ModelsQuery,
    RollbackRequest,
    SetAliasRequest,
    SetPolicyRequest,
    TransitionRequest,
    UpdateModelRequest,
    VersionsQuery,
)
from shared.access import scopes
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import log
from shared.registry import (
    aliases,
    approvals,
    catalog,
    diff,
    models,
    package_files,
    record_views,
    transitions,
    verify,
    versions,
    views,
)

handler = Routes("registry", store=lambda: log().store)
MODEL = "/models/{model}"
VERSION = MODEL + "/versions/{version}"
ALIAS = MODEL + "/aliases/{alias}"
REQUEST = MODEL + "/requests/{number}"
POLICY = ALIAS + "/policy"
MOVER = "write|promote"
POLICY_REQUESTED, MOVE_REQUESTED = {201: transitions.PolicyRequested}, {201: transitions.MoveRequested}
RELEASE = {"release": {"version": 2, "reason": "better on dark images"}}


def transition(
    method: str, path: str, id: str, scope: str, takes: Any, gives: Any, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A route that changes a model's log."""
    return handler.route(
        method, path, id=id, scope=scope, takes=takes, gives=gives, transition=True, keyed=True, **more
    )


def _name(request: Request) -> str:
    return request.params["model"]


# ---- reading


@handler.route("GET", "/openapi.json", id="getApiDescription", scope=None, gives=dict[str, Any], errors=(404,))
def describe(request: Request) -> dict[str, Any]:
    """This description, OpenAPI 3.1"""
    return description.document() | {"servers": [{"url": description.address(request)}]}


@handler.route("GET", "/models", id="listModels", scope="read", models="each", query=ModelsQuery, gives=views.ModelList)
def list_models(request: Request, query: ModelsQuery) -> views.ModelList:
    """Models, a page at a time"""
    page, next_page = catalog.page(
        log(),
        search=query.search,
        task=query.task,
        tag=query.tag,
        after=query.next,
        limit=query.limit,
        permitted=lambda model: scopes.allows(request.scopes, "read", model),
    )
    return views.ModelList([views.summary(one) for one in page], next_page)


@handler.route("GET", MODEL, id="getModel", scope="read", gives=views.Model)
def get_model(request: Request) -> views.Model:
    """A model, its aliases and its newest versions"""
    head = models.get(log(), _name(request))
    manifest = models.manifest(log(), models.representative_version(head))
    newest, _ = versions.page(log(), head)
    policies = approvals.open_policies(log(), head)
    return views.model(head, manifest, models.card(log(), head, manifest), newest, policies)


@handler.route(
    "GET", MODEL + "/versions", id="listVersions", scope="read", query=VersionsQuery, gives=views.VersionList
)
def list_versions(request: Request, query: VersionsQuery) -> views.VersionList:
    """Versions of a model, newest first"""
    head = models.get(log(), _name(request))
    page, next_page = versions.page(log(), head, before=query.next, limit=query.limit)
    return views.VersionList([views.version(head, one) for one in page], next_page)


@handler.route("GET", VERSION, id="getVersion", scope="read", gives=views.VersionManifest)
def get_version(request: Request) -> dict[str, Any]:
    """A version's manifest"""
    head = models.get(log(), _name(request))
    reference = request.params["version"]
    if reference.isascii() and reference.isdigit():  # retired ones, too
        version = versions.get(log(), head, int(reference[:12]))
    else:
        version = versions.resolve(log(), head, reference)
    return views.manifest(head, version, models.manifest(log(), version))


@handler.route("GET", VERSION + "/signature", id="getVersionSignature", scope="read", gives=views.PackageSignature)
def get_signature(request: Request) -> dict[str, Any]:
    """The OpenSSF signature of a version's package"""
    head = models.get(log(), _name(request))
    version = versions.resolve(log(), head, request.params["version"])
    return {"model": head.model, "version": version.version, **models.signature(log(), version)}


@handler.route("GET", VERSION + "/files", id="getVersionFiles", scope="write", gives=package_files.VersionFiles)
def get_files(request: Request) -> package_files.VersionFiles:
    """Where the files of a version's package can be read"""
    head = models.get(log(), _name(request))
    version = versions.resolve(log(), head, request.params["version"])
    return package_files.files(log(), head.model, version)


@handler.route(
    "GET", MODEL + "/diff", id="compareVersions", scope="read", query=CompareQuery, gives=views.VersionDifference
)
def compare_versions(request: Request, query: CompareQuery) -> dict[str, Any]:
    """What differs between two versions"""
    head = models.get(log(), _name(request))
    old = versions.resolve(log(), head, query.old)
    new = versions.resolve(log(), head, query.new or str(head.latest))
    rows = diff.diff(old, models.manifest(log(), old), new, models.manifest(log(), new))
    return {"model": head.model, **rows}


@handler.route("GET", MODEL + "/history", id="getHistory", scope="read", query=HistoryQuery, gives=record_views.History)
def get_history(request: Request, query: HistoryQuery) -> record_views.History:
    """What happened to a model, newest first"""
    name = _name(request)
    until = verify.Position.parse(query.verify_next) if query.verify_next else None
    report = verify.verify(log(), name, until=until) if query.verify or until else None
    newest = report.revision if report is not None and until is None else models.get_with_deleted(log(), name).revision
    records, next_page = models.history(log(), name, newest, before=query.next, limit=query.limit)
    history = record_views.History(records=[record_views.record(one) for one in records], next=next_page)
    if report is not None:
        history.verified, history.problems = report.verified, report.problems
        history.revision, history.digest, history.since = report.revision, report.digest, report.since
        history.verify_next = str(report.before) if report.before else None
    return history


traffic.add_routes(handler, lambda: log())


# ---- aliases


@transition(
    "PUT",
    ALIAS,
    "setAlias",
    MOVER,
    SetAliasRequest,
    transitions.AliasMoved,
    examples=RELEASE | {"split": {"split": {"1": 90, "2": 10}, "reason": "a tenth for the new one"}},
)
def set_alias(request: Request, body: SetAliasRequest) -> transitions.AliasMoved:
    """Point an alias to a version, or split it"""
    alias = request.params["alias"]
    change = request.change(body.reason, body.expect_revision)
    return transitions.moved(aliases.move(log(), _name(request), alias, body.target(), change), alias)


@transition("POST", ALIAS + "/rollback", "rollbackAlias", MOVER, RollbackRequest, transitions.AliasMoved)
def roll_back(request: Request, body: RollbackRequest) -> transitions.AliasMoved:
    """Point an alias back to its previous target, or to a version that it pointed to before"""
    alias = request.params["alias"]
    change = request.change(body.reason, body.expect_revision)
    return transitions.moved(aliases.rollback(log(), _name(request), alias, change, body.version), alias)


@transition("DELETE", ALIAS, "deleteAlias", MOVER, TransitionRequest, transitions.AliasDeleted)
def delete_alias(request: Request, body: TransitionRequest) -> transitions.AliasDeleted:
    """Delete an alias"""
    alias = request.params["alias"]
    head = aliases.delete(log(), _name(request), alias, request.change(body.reason, body.expect_revision))
    return transitions.AliasDeleted(model=head.model, alias=alias, deleted=True, revision=head.revision)


@transition("PUT", POLICY, "setAliasPolicy", "admin", SetPolicyRequest, transitions.AliasPolicy)
def set_policy(request: Request, body: SetPolicyRequest) -> transitions.AliasPolicy:
    """Say who may move an alias, and how its canaries are watched"""
    alias = request.params["alias"]
    change = request.change(body.reason, body.expect_revision)
    head = aliases.set_policy(log(), _name(request), alias, body.policy(alias), change, body.rules())
    present = asdict(views.policy(head.policy(alias)))
    return transitions.AliasPolicy(model=head.model, alias=alias, revision=head.revision, **present)


@transition("POST", POLICY + "/requests", "createPolicyRequest", "admin", SetPolicyRequest, POLICY_REQUESTED)
def create_policy_request(request: Request, body: SetPolicyRequest) -> Response:
    """Request a policy that takes two persons to set, which another person approves"""
    alias = request.params["alias"]
    change = request.change(body.reason, body.expect_revision)
    number = approvals.request_policy(log(), _name(request), alias, body.policy(alias), change, body.rules())
    wanted = approvals.wanted_policy(log(), _name(request), number)
    return Response(transitions.policy_requested(_name(request), alias, number, wanted), 201)


@transition("POST", ALIAS + "/requests", "createMoveRequest", MOVER, SetAliasRequest, MOVE_REQUESTED, examples=RELEASE)
def create_move_request(request: Request, body: SetAliasRequest) -> Response:
    """Request a move that another person approves"""
    alias, target = request.params["alias"], body.target()
    change = request.change(body.reason, body.expect_revision)
    number = approvals.request(log(), _name(request), alias, target, change)
    answer = transitions.MoveRequested(
        model=_name(request), alias=alias, request=number, revision=number, **asdict(views.target(target))
    )
    return Response(answer, 201)


@transition(
    "POST", REQUEST + "/approve", "approveMoveRequest", "promote|write", TransitionRequest, transitions.MoveDecided
)
def approve(request: Request, body: TransitionRequest) -> transitions.MoveDecided:
    """Carry out a move that another person requested"""
    return _decided(request, body, approved=True)


@transition("POST", REQUEST + "/reject", "rejectMoveRequest", MOVER, TransitionRequest, transitions.MoveDecided)
def reject(request: Request, body: TransitionRequest) -> transitions.MoveDecided:
    """Close a move request without carrying it out"""
    return _decided(request, body, approved=False)


def _decided(request: Request, body: TransitionRequest, *, approved: bool) -> transitions.MoveDecided:
    number = contract.number(request.params, "number")
    change = request.change(body.reason, body.expect_revision)
    move_request = approvals.get_request(log(), _name(request), number)
    decide = approvals.approve if approved else approvals.reject
    head = decide(log(), _name(request), number, change)
    return transitions.decided(head, number, move_request.alias, approved=approved)


# ---- versions and models


@transition("POST", VERSION + "/retire", "retireVersion", "write", TransitionRequest, transitions.VersionState)
def retire(request: Request, body: TransitionRequest) -> transitions.VersionState:
    """Take a version out of use"""
    number = contract.number(request.params, "version")
    head = versions.retire(log(), _name(request), number, request.change(body.reason, body.expect_revision))
    return transitions.VersionState(model=head.model, version=number, state="retired", revision=head.revision)


@transition("POST", VERSION + "/restore", "restoreVersion", "write", TransitionRequest, transitions.VersionState)
def restore_version(request: Request, body: TransitionRequest) -> transitions.VersionState:
    """Take a retired version into use again"""
    number = contract.number(request.params, "version")
    head = versions.restore(log(), _name(request), number, request.change(body.reason, body.expect_revision))
    return transitions.VersionState(model=head.model, version=number, state="active", revision=head.revision)


@transition("PATCH", MODEL, "updateModel", "write", UpdateModelRequest, transitions.ModelUpdated)
def update_model(request: Request, body: UpdateModelRequest) -> transitions.ModelUpdated:
    """Replace a model's card or its tags"""
    change = request.change(body.reason, body.expect_revision)
    head = models.edit(log(), _name(request), change, card=body.card, tags=body.tags)
    manifest = models.manifest(log(), models.representative_version(head))
    tags = manifest.tags if head.tags is None else head.tags
    card = models.card(log(), head, manifest)
    return transitions.ModelUpdated(model=head.model, revision=head.revision, tags=tags, card=card)


@transition("DELETE", MODEL, "deleteModel", "admin", TransitionRequest, transitions.ModelDeleted)
def delete_model(request: Request, body: TransitionRequest) -> transitions.ModelDeleted:
    """Take a model out of service"""
    head = models.delete(log(), _name(request), request.change(body.reason, body.expect_revision))
    return transitions.ModelDeleted(model=head.model, deleted=True, revision=head.revision)


@transition("POST", MODEL + "/restore", "restoreModel", "admin", TransitionRequest, transitions.ModelRestored)
def restore_model(request: Request, body: TransitionRequest) -> transitions.ModelRestored:
    """Undo a deletion, as long as the model's blobs are kept"""
    head = models.restore(log(), _name(request), request.change(body.reason, body.expect_revision))
    return transitions.ModelRestored(model=head.model, restored=True, revision=head.revision)
