"""Upload sessions with presigned URLs, and the state of each upload. The files themselves go straight to the bucket."""

from __future__ import annotations

from functions.upload.contract import UploadsQuery
from shared import keys
from shared.access import scopes
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.uploads import sessions, states, views

handler = Routes("upload", store=lambda: store())


@handler.route(
    "POST",
    "/models/{model}/uploads",
    id="createUploadSession",
    scope="write",
    takes=sessions.UploadRequest,
    gives={201: views.UploadSession},
    examples={"package": {"files": [{"name": "model.onnx", "size": 902_573}, {"name": "amaas.json"}]}},
    keyed=True,
)
def create(request: Request, body: sessions.UploadRequest) -> Response:
    """Announce a package; the answer says where to send its files"""
    session = sessions.create(store(), config(), request.params["model"], body, request.caller, request.creates)
    return Response(session, 201)


@handler.route(
    "GET", "/models/{model}/uploads", id="listUploads", scope="read", query=UploadsQuery, gives=views.UploadList
)
def list_uploads(request: Request, query: UploadsQuery) -> views.UploadList:
    """Uploads of a model, oldest first, and what became of each"""
    model = keys.model_name(request.params["model"])
    uploads, following = states.list_by_model(store(), model, limit=query.limit, after=query.next)
    return views.UploadList([views.upload(one) for one in uploads], following)


@handler.route("GET", "/uploads/{upload_id}", id="getUpload", scope="read", gives=views.Upload)
def status(request: Request) -> views.Upload:
    """What became of an upload"""
    upload = states.read(store(), request.params["upload_id"])
    scopes.require(request.scopes, "read", upload.model)
    return views.upload(upload)
