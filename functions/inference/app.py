"""The data plane: Open Inference Protocol V2, and predictions in a task's own terms. It only reads the bucket."""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Any

from shared.config import Config
from shared.entry import extension
from shared.errors import AmaasError
from shared.serving.layer import Later, Layer

V2 = "/v2/models/{model}"
VERSION = "/versions/{version}"


@cache
def layer() -> Layer:
    return Layer(Config.from_env(os.environ).models_dir)


def usual() -> tuple[str, ...]:
    return layer().usual(Config.from_env(os.environ).prefetch)


# On Lambda, work starts with the import, and in this order: models of the layer are opened, models of the store are
# downloaded, while the rest is imported. What an infer call does without is imported where it is used.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    layer().begin(usual())


def _after_answer(seconds: float) -> None:
    shadows().work(seconds)


registering = Later(lambda: extension.begin(_after_answer))

from shared.entry.http import JSON, Request, Response, Routes  # noqa: E402 - as said
from shared.entry.wiring import config, reading  # noqa: E402 - as said
from shared.serving.cache import Loaded, Models  # noqa: E402 - as said


@cache
def models() -> Models:
    settings = config()
    return Models(reading(), layer=layer(), ttl=settings.alias_ttl, capacity=settings.cache_bytes)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    prefetching = threading.Thread(target=models().prefetch, args=(usual(),), daemon=True)
    prefetching.start()

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(prefetching.join)
    register_after_restore(models().forget)  # aliases move while a snapshot sleeps

from shared.serving import protocol  # noqa: E402 - as said
from shared.serving.shadow import Shadows  # noqa: E402 - as said
from shared.serving.stats import Stats  # noqa: E402 - as said

after = registering.result()
stats = Stats()


@cache
def shadows() -> Shadows:
    return Shadows(models(), afterwards=after is not None)


handler = Routes("inference", after.answered if after else lambda: None)


def _load(request: Request) -> Loaded:
    return models().load(*_wanted(request))


def _wanted(request: Request) -> tuple[str, str | None, str | None]:
    return request.params["model"], request.params.get("version"), _key(request)


def _key(request: Request) -> str:
    """What a split alias sticks to: the caller's own key, else the caller."""
    return request.headers.get("x-request-key") or request.caller


@handler.route("GET", "/v2", scope="infer")
def server(request: Request) -> dict[str, Any]:
    from shared.serving import describe

    return describe.SERVER


@handler.route("GET", "/v2/health/live", scope="infer")
@handler.route("GET", "/v2/health/ready", scope="infer")
def health(request: Request) -> dict[str, Any]:
    return {"live": True, "ready": True}


@handler.route("GET", "/v2/models", scope="infer")
def names(request: Request) -> dict[str, Any]:
    from shared.serving import describe

    return {"models": [found.name for found in describe.every(models().log, request.scopes)]}


@handler.route("POST", "/v2/repository/index", scope="infer")
def index(request: Request) -> list[dict[str, str]]:
    from shared.serving import describe

    return describe.index(describe.every(models().log, request.scopes))


@handler.route("GET", V2, scope="infer")
@handler.route("GET", V2 + VERSION, scope="infer")
def metadata(request: Request) -> dict[str, Any]:
    from shared.serving import describe

    head, version = models().resolve(*_wanted(request))
    return describe.metadata(head, version, models().manifest(version))


@handler.route("GET", V2 + "/ready", scope="infer")
@handler.route("GET", V2 + VERSION + "/ready", scope="infer")
def ready(request: Request) -> Response:
    is_ready = models().ready(request.params["model"], request.params.get("version"))
    return Response({"name": request.params["model"], "ready": is_ready}, 200 if is_ready else 503)


@handler.route("GET", V2 + "/config", scope="infer")
@handler.route("GET", V2 + VERSION + "/config", scope="infer")
def configuration(request: Request) -> dict[str, Any]:
    from shared.serving import describe

    head, version = models().resolve(*_wanted(request))
    return describe.config(head, version, models().manifest(version))


@handler.route("GET", V2 + "/stats", scope="infer")
@handler.route("GET", V2 + VERSION + "/stats", scope="infer")
def statistics(request: Request) -> dict[str, Any]:
    head, version = models().resolve(*_wanted(request))
    return {"model_stats": [stats.shown(head.model, version.version)]}


@handler.route("POST", V2 + "/infer", scope="infer")
@handler.route("POST", V2 + VERSION + "/infer", scope="infer")
def infer(request: Request) -> Response:
    began = time.perf_counter_ns()
    asked = protocol.parse(request.body, request.headers)
    loaded = _load(request)
    try:
        feeds = protocol.feeds(asked, loaded.manifest.inputs, loaded.manifest.optional)
        wanted = protocol.wanted(asked, loaded.manifest.outputs)
        names = [output.name for output in wanted]
        fed = time.perf_counter_ns()
        outputs = loaded.session.run(names, feeds)
        ran = time.perf_counter_ns()
        reply = protocol.answer(
            loaded.name,
            loaded.version.version,
            asked.request.id,
            list(zip(wanted, outputs, strict=True)),
            labels=loaded.manifest.labels,
            accepted=request.headers.get("accept-encoding"),
        )
    except AmaasError:
        stats.failed(loaded.name, loaded.version.version, began)
        raise
    stats.succeeded(loaded.name, loaded.version.version, began, fed, ran)
    shadows().offer(loaded, outputs, lambda other: other.session.run(names, feeds))
    return Response(reply.body, headers=_named(loaded) | reply.headers)


@handler.route("POST", "/models/{model}/predict", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/predict", scope="infer")
def predict(request: Request) -> Response:
    from shared.serving import tasks

    loaded = _load(request)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = protocol.plain(request.body, request.headers.get("content-encoding"))
    answer = tasks.predict(loaded, body, content_type, request.query)
    shadows().offer(loaded, answer, lambda other: tasks.predict(other, body, content_type, request.query))
    reply = protocol.packed(answer, request.headers.get("accept-encoding"))
    return Response(reply.body, headers=_named(loaded) | reply.headers)


@handler.route("POST", "/models/{model}/explain", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/explain", scope="infer")
def explain(request: Request) -> Response:
    from shared.serving import explain as explaining

    loaded = _load(request)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = protocol.plain(request.body, request.headers.get("content-encoding"))
    asks_for_png = "image/png" in request.headers.get("accept", "")
    query = ({"format": "png"} if asks_for_png else {}) | request.query
    answer = explaining.explain(loaded, body, content_type, query)
    if isinstance(answer, bytes):
        return Response(answer, headers=_named(loaded) | {"Content-Type": "image/png"})
    reply = protocol.packed(answer, request.headers.get("accept-encoding"))
    return Response(reply.body, headers=_named(loaded) | reply.headers)


@handler.route("POST", "/v1/embeddings", scope="infer")
def embeddings(request: Request) -> Response:
    """OpenAI's form, in which the body names the model."""
    from shared.serving.tasks import embedding  # with Pillow, which the cold start of other calls does without

    asked = embedding.asked(protocol.plain(request.body, request.headers.get("content-encoding")))
    name, _, reference = asked.model.partition("@")
    request.require("infer", name)
    loaded = models().load(name, reference or None, _key(request))
    answer = embedding.openai(loaded, asked)
    numbers = embedding.numbers
    shadows().offer(loaded, numbers(answer), lambda other: numbers(embedding.openai(other, asked)))
    reply = protocol.packed(answer, request.headers.get("accept-encoding"))
    return Response(reply.body, headers=_named(loaded) | reply.headers)


def _named(loaded: Loaded) -> dict[str, str]:
    """Which version answered, where the body's form has no place for the revision."""
    return {
        "Content-Type": JSON,
        "x-amaas-version": str(loaded.version.version),
        "x-amaas-revision": str(loaded.revision),
    }
