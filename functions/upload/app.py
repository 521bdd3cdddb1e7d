"""Uploads: tickets with presigned URLs, and what became of each upload. The bytes themselves never pass here."""

from __future__ import annotations

from typing import Any

from shared import keys
from shared.access import scopes
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.uploads import states, tickets

handler = Routes("upload")


@handler.route("POST", "/models/{model}/uploads", scope="write", takes=tickets.UploadRequest)
def create(request: Request, wanted: tickets.UploadRequest) -> Response:
    return Response(tickets.issue(store(), config(), request.params["model"], wanted, request.caller), 201)


@handler.route("GET", "/models/{model}/uploads", scope="read")
def of_model(request: Request) -> dict[str, Any]:
    model = keys.model_name(request.params["model"])
    found, following = states.of_model(store(), model, limit=request.limit(), after=request.query.get("next"))
    return {"uploads": found, "next": following}


@handler.route("GET", "/uploads/{upload_id}", scope="read")
def status(request: Request) -> states.Upload:
    upload = states.read(store(), request.params["upload_id"])
    scopes.require(request.scopes, "read", upload.model)
    return upload
