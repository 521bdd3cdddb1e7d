"""Upload sessions with presigned URLs, and the state of each upload. The files themselves go straight to the bucket."""

from __future__ import annotations

from functools import cache, partial

from functions.upload.contract import RedriveRequest, UploadsQuery
from shared import keys
from shared.access import scopes, slots
from shared.clock import new_id
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.errors import NotImplemented_
from shared.uploads import deletion, listing, redrive, sessions, states, views

handler = Routes("upload", store=lambda: store())
LETTERS = 50  # messages of one call: each takes some requests of the store, and the gateway waits for 29 seconds


@cache
def failures() -> redrive.LetterQueue:
    """The queue of failed events. Raises NotImplemented_ where there is none."""
    if not config().ingest_failures:
        raise NotImplemented_("this deployment has no queue of failed uploads: give the ids of uploads instead")
    from shared.uploads.failures import FailureQueue  # boto3, for this one route

    return FailureQueue(config().ingest_failures, config().endpoint_url)


@handler.route(
    "POST",
    "/models/{model}/uploads",
    id="createUploadSession",
    scope="write",
    takes=sessions.UploadRequest,
    gives={201: views.UploadSession},
    examples={"package": {"files": [{"name": "model.onnx", "size": 902_573}, {"name": "amaas.json", "size": 411}]}},
    keyed=True,
)
def create(request: Request, body: sessions.UploadRequest) -> Response:
    """Announce a package; the answer says where to send its files"""
    model, identity = request.params["model"], request.creates or new_id()
    sessions.require_valid(model, body, config())
    size = sum(file.size for file in body.files)
    slots.use_bytes(store(), request.limited, identity, size, request.limits.upload_bytes)
    session = sessions.create(store(), config(), model, body, request.caller, identity, request.name)
    return Response(session, 201)


@handler.route(
    "GET", "/models/{model}/uploads", id="listUploads", scope="read", query=UploadsQuery, gives=views.UploadList
)
def list_uploads(request: Request, query: UploadsQuery) -> views.UploadList:
    """Uploads of a model, newest first, and what became of each"""
    model = keys.model_name(request.params["model"])
    uploads, following = listing.of_model(store(), model, limit=query.limit, after=query.next)
    return views.UploadList([views.upload(one) for one in uploads], following)


@handler.route(
    "GET",
    "/uploads",
    id="listRecentUploads",
    scope="read",
    models="each",
    query=UploadsQuery,
    gives=views.UploadList,
)
def list_recent_uploads(request: Request, query: UploadsQuery) -> views.UploadList:
    """Uploads of the last days, of all models, newest first, and what became of each

    Those of objects in no model's folder of the inbox, too, for tokens that may read all models: their `model` is
    empty. A page may have fewer than `limit`, and yet a `next`.
    """
    permitted = partial(scopes.allows, request.scopes, "read")
    uploads, following = listing.recent(store(), permitted, limit=query.limit, after=query.next)
    return views.UploadList([views.upload(one) for one in uploads], following)


@handler.route("GET", "/uploads/{upload_id}", id="getUpload", scope="read", models="each", gives=views.Upload)
def status(request: Request) -> views.Upload:
    """What became of an upload"""
    upload = states.read(store(), request.params["upload_id"])
    request.require("read", upload.model)
    return views.upload(upload)


@handler.route(
    "DELETE",
    "/uploads/{upload_id}",
    id="deleteUpload",
    scope="write",
    models="each",
    gives=views.Upload,
    errors=(409,),
    keyed=True,
)
def delete(request: Request) -> views.Upload:
    """Delete the files of an upload at once; a version that came of it stays"""
    upload = states.read(store(), request.params["upload_id"])
    request.require("write", upload.model)
    prepare = lambda deleted: request.prepare(views.upload(deleted))  # noqa: E731
    return views.upload(deletion.delete(store(), upload.upload_id, request.caller, prepare))


@handler.route(
    "POST",
    "/uploads/redrive",
    id="redriveUploads",
    scope="admin",
    models="each",
    takes=RedriveRequest,
    gives=views.RedrivenUploads,
    errors=(404, 501),
    examples={"queue": {}, "one": {"uploads": ["019c4f2a3b0-1f0e9d8c7b6a5948"]}},
    keyed=True,
)
def redrive_uploads(request: Request, body: RedriveRequest) -> views.RedrivenUploads:
    """Have uploads checked again that failed, after their cause is mended

    What the queue names may be of any model: without `uploads`, the scope is needed for all of them.
    """
    if body.uploads:
        for upload in body.uploads:  # all of them first: nothing is done of a call that is refused
            request.require("admin", states.read_session(store(), upload).model)
        return views.redriven([redrive.redrive_upload(store(), upload) for upload in body.uploads], more=False)
    scopes.require_everywhere(request.scopes, "admin")
    outcomes = redrive.redrive_queue(store(), failures(), LETTERS)
    return views.redriven(outcomes, more=len(outcomes) >= LETTERS)
