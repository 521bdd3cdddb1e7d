"""Labels that callers give to answers later: they say how often a version is right. It writes nothing else."""

from __future__ import annotations

import logging
import time
from functools import lru_cache

from msgspec.structs import asdict

from shared.clock import new_id
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.entry.wiring import reading as log
from shared.feedback import given, stored, views
from shared.package import manifest as manifests
from shared.registry import blobs, models, versions

logger = logging.getLogger(__name__)
handler = Routes("feedback", store=lambda: store())
PATH = "/models/{model}/feedback"


@handler.route(
    "POST",
    PATH,
    id="giveLabels",
    scope="label",
    takes=given.FeedbackRequest,
    gives={202: given.FeedbackAnswer},
    examples={"one": {"labels": [{"answer_id": "lwOqcHJvZHVjdGlvbgzOAbqBQMQG-9qV20ZBkQWREw", "label": "Coat"}]}},
    keyed=True,
)
def give(request: Request, body: given.FeedbackRequest) -> Response:
    """Say which labels answers should have had; of each item, the last one counts"""
    head = models.get(log(), request.params["model"])
    at = int(time.time() * 1000)

    def labels_of(version: int) -> list[str]:
        return _labels(versions.get(log(), head, version).manifest)

    taken, refused = given.check(body, labels_of, at=at, post=new_id(), days=config().label_days)
    stored.keep(store(), head.model, taken)
    return Response(given.FeedbackAnswer(accepted=len(taken), refused=refused), 202)


@handler.route("DELETE", PATH, id="deleteLabels", scope="admin", gives=views.LabelsDeleted)
def delete(request: Request) -> views.LabelsDeleted:
    """Delete all labels that were given to a model's answers, with all their versions; the answer is the receipt"""
    head = models.get(log(), request.params["model"])
    purged = stored.purge(store(), head.model)
    logger.info("deleted", extra={"what": "labels", "model": head.model, "by": request.caller} | asdict(purged))
    return views.deleted(head.model, request.caller, purged)


@lru_cache(maxsize=64)
def _labels(manifest: str) -> list[str]:
    """Of the manifest with this digest."""
    return manifests.decode_stored(blobs.read(store(), manifest), "the version's manifest").labels
