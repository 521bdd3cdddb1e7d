"""The data plane: Open Inference Protocol V2, and predictions in a task's own terms. It only reads the bucket."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.config import Config
from shared.entry import extension
from shared.serving.layer import Later, Layer

if TYPE_CHECKING:
    from shared.serving.shadow import Shadows

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
    observers.work(seconds)


registering = Later(lambda: extension.begin(_after_answer))

from msgspec.structs import replace  # noqa: E402 - as said

from shared.entry.http import JSON, Request, Response, Routes  # noqa: E402 - as said
from shared.entry.wiring import config, reading  # noqa: E402 - as said
from shared.serving.loaded import Loaded  # noqa: E402 - as said
from shared.serving.models import Models  # noqa: E402 - as said


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

from shared.serving import content, protocol  # noqa: E402 - as said
from shared.serving.content import Reply  # noqa: E402 - as said
from shared.serving.observe import Call, Observers, Recorded  # noqa: E402 - as said
from shared.serving.stats import Stats  # noqa: E402 - as said

after = registering.result()
observers, stats = Observers(), Stats()


@cache
def shadows() -> Shadows:
    from shared.serving.shadow import Shadows

    made = Shadows(models(), afterwards=after is not None)
    observers.after_answer(made.work)
    return made


def _shadow(call: Call) -> None:
    if call.loaded.shadow is not None:  # few models have one: its module is imported with the first
        shadows().observe(call)


observers.subscribe(stats.observe)
observers.subscribe(_shadow)


handler = Routes("inference", after.answered if after else lambda: None)


def _load(request: Request) -> Loaded:
    return models().load(*_wanted(request))


def _wanted(request: Request) -> tuple[str, str | None, str | None]:
    return request.params["model"], request.params.get("version"), _key(request)


def _key(request: Request) -> str:
    """What a split alias sticks to: the caller's own key, else the caller."""
    return request.headers.get("x-request-key") or request.caller


@handler.route("GET", "/v2", id="getServer", scope="infer")
def server(request: Request) -> dict[str, Any]:
    """What the server is, and its extensions"""
    from shared.serving import describe

    return describe.SERVER


@handler.route("GET", "/v2/health/live", id="getServerLive", scope="infer")
@handler.route("GET", "/v2/health/ready", id="getServerReady", scope="infer")
def health(request: Request) -> dict[str, Any]:
    """Is the server live and ready?"""
    return {"live": True, "ready": True}


@handler.route("GET", "/v2/models", id="listModelNames", scope="infer")
def names(request: Request) -> dict[str, Any]:
    """Names of the models that this token may call"""
    from shared.serving import describe

    return {"models": [found.name for found in describe.every(models().log, request.scopes)]}


@handler.route("POST", "/v2/repository/index", id="getRepositoryIndex", scope="infer")
def index(request: Request) -> list[dict[str, str]]:
    """All versions that this token may call, in the form of Triton's repository index

    The body may be anything, and is not read.
    """
    from shared.serving import describe

    return describe.index(describe.every(models().log, request.scopes))


@handler.route("GET", V2, id="getModelMetadata", scope="infer")
@handler.route("GET", V2 + VERSION, id="getVersionMetadata", scope="infer")
def metadata(request: Request) -> dict[str, Any]:
    """A model's inputs and outputs"""
    from shared.serving import describe

    head, version = models().resolve(*_wanted(request))
    return describe.metadata(head, version, models().manifest(version))


@handler.route("GET", V2 + "/ready", id="getModelReady", scope="infer")
@handler.route("GET", V2 + VERSION + "/ready", id="getVersionReady", scope="infer")
def ready(request: Request) -> Response:
    """Can the model be called?"""
    is_ready = models().ready(request.params["model"], request.params.get("version"))
    return Response({"name": request.params["model"], "ready": is_ready}, 200 if is_ready else 503)


@handler.route("GET", V2 + "/config", id="getModelConfig", scope="infer")
@handler.route("GET", V2 + VERSION + "/config", id="getVersionConfig", scope="infer")
def configuration(request: Request) -> dict[str, Any]:
    """A model's configuration in the form of Triton's"""
    from shared.serving import describe

    head, version = models().resolve(*_wanted(request))
    return describe.config(head, version, models().manifest(version))


@handler.route("GET", V2 + "/stats", id="getModelStatistics", scope="infer")
@handler.route("GET", V2 + VERSION + "/stats", id="getVersionStatistics", scope="infer")
def statistics(request: Request) -> dict[str, Any]:
    """What one process has counted of a version's calls"""
    head, version = models().resolve(*_wanted(request))
    return {"model_stats": [stats.of_version(head.model, version.version)]}


@handler.route("POST", V2 + "/infer", id="infer", scope="infer")
@handler.route("POST", V2 + VERSION + "/infer", id="inferVersion", scope="infer")
def infer(request: Request) -> Response:
    """Tensors in, tensors out

    In application/octet-stream, the JSON is followed by the inputs that have a binary_data_size.
    """
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
    except Exception as error:
        _failed(loaded, "infer", began, error)
        raise
    observers.notify(
        Call(
            loaded=loaded,
            route="infer",
            input_ns=fed - began,
            infer_ns=ran - fed,
            output_ns=time.perf_counter_ns() - ran,
            inputs=feeds,
            answer=outputs,
            repeat=lambda other: other.session.run(names, feeds),
        )
    )
    return Response(reply.body, headers=_named(loaded) | reply.headers)


@handler.route("POST", "/models/{model}/predict", id="predict", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/predict", id="predictVersion", scope="infer")
def predict(request: Request) -> Response:
    """A prediction in the terms of the model's task

    Which content types a model takes depends on its task; the error for another says which.
    """
    from shared.serving import tasks

    return _in_own_terms(request, "predict", tasks.predict, request.query)


@handler.route("POST", "/models/{model}/explain", id="explain", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/explain", id="explainVersion", scope="infer")
def explain(request: Request) -> Response:
    """How much each part of the input adds to the score

    Takes what /predict takes: one input.
    """
    from shared.serving import tasks

    asks_for_png = "image/png" in request.headers.get("accept", "")
    query = ({"format": "png"} if asks_for_png else {}) | request.query
    return _in_own_terms(request, "explain", tasks.explain, query)


@handler.route("POST", "/v1/embeddings", id="createEmbeddings", scope="infer")
def embeddings(request: Request) -> Response:
    """Embeddings of texts, in the form of OpenAI's API: the body names the model"""
    from shared.serving.tasks import embedding  # with Pillow, which the cold start of other calls does without

    began = time.perf_counter_ns()
    asked = embedding.read_request(_body(request))
    name, _, reference = asked.model.partition("@")
    request.require("infer", name)
    loaded = models().load(name, reference or None, _key(request))
    return _answered(
        request, loaded, "embeddings", began, lambda version: embedding.openai(version, asked), embedding.encoder(asked)
    )


def _in_own_terms(request: Request, route: str, answer: Callable[..., Any], query: dict[str, str]) -> Response:
    """What /predict and /explain share: a body of any content type, answered by the model's task."""
    began = time.perf_counter_ns()
    body = _body(request)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return _answered(request, _load(request), route, began, lambda version: answer(version, body, content_type, query))


def _answered(
    request: Request,
    loaded: Loaded,
    route: str,
    began: int,
    answer: Callable[[Loaded], Any],
    encode: Callable[[Any], Any] | None = None,
) -> Response:
    """Compute an answer, write it as bytes (a picture) or JSON, and tell the observers.

    began: when the call came. encode: from the answer to what JSON can carry.
    """
    session = Recorded(loaded.session)
    try:
        computed = answer(replace(loaded, session=session))
        ran = time.perf_counter_ns()
        if isinstance(computed, bytes):
            reply = Reply(computed, {"Content-Type": "image/png"})
        else:
            reply = content.json_reply(encode(computed) if encode else computed, request.headers.get("accept-encoding"))
    except Exception as error:
        _failed(loaded, route, began, error)
        raise
    observers.notify(
        Call(
            loaded=loaded,
            route=route,
            input_ns=ran - began - session.ns,
            infer_ns=session.ns,
            output_ns=time.perf_counter_ns() - ran,
            runs=session.runs,
            inputs=session.inputs,
            answer=computed,
            # a shadow explains nothing: an explanation is hundreds of runs
            repeat=None if route == "explain" else answer,
        )
    )
    return Response(reply.body, headers=_named(loaded) | reply.headers)


def _failed(loaded: Loaded, route: str, began: int, error: Exception) -> None:
    elapsed = time.perf_counter_ns() - began
    observers.notify(Call(loaded=loaded, route=route, error=error, input_ns=elapsed))


def _body(request: Request) -> bytes:
    return content.decompress(request.body, request.headers.get("content-encoding"))


def _named(loaded: Loaded) -> dict[str, str]:
    """Which version answered, where the body's form has no place for the revision."""
    return {
        "Content-Type": JSON,
        "x-amaas-version": str(loaded.version.version),
        "x-amaas-revision": str(loaded.revision),
    }
