"""The data plane: Open Inference Protocol V2, and predictions in a task's own terms. It only reads the bucket,
but for what it counted of calls, which it writes and cannot read.

What a cold start waits for is started first, so the imports stand between the lines that start it (E402).
"""

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
from shared.serving.wall import Wall

begun_ns = time.perf_counter_ns()

if TYPE_CHECKING:
    from shared.serving.loaded import Resolved
    from shared.serving.shadow import Shadows

V2 = "/v2/models/{model}"
VERSION = "/versions/{version}"


@cache
def wall() -> Wall:
    return Wall.of(Config.from_env(os.environ))


@cache
def layer() -> Layer:
    return Layer(Config.from_env(os.environ).models_dir, wall=wall())


def preload_names() -> tuple[str, ...]:
    return layer().preload_names(Config.from_env(os.environ).prefetch)


# On Lambda, work starts with the import, and in this order: models of the layer are opened, models of the store are
# downloaded, while the rest is imported. What an infer call does without is imported where it is used.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    if wall().is_expected(layer().models, preload_names()):
        wall().prepare()
    layer().begin(preload_names())


def _work_after_answer(seconds: float) -> None:
    calls.observers.work(seconds)


# an HTTP request of its own, to Lambda: it is answered while the rest is imported
registration = Later(lambda: extension.begin(_work_after_answer))

from shared import budget  # noqa: E402
from shared.entry.http import Request, Response, Routes  # noqa: E402
from shared.entry.wiring import config, reading  # noqa: E402
from shared.serving.decoded import GeneratesText  # noqa: E402
from shared.serving.models import Models  # noqa: E402


@cache
def models() -> Models:
    settings = config()
    budget.allow(settings.call_memory)
    return Models(
        reading(),
        layer=layer(),
        ttl=settings.alias_ttl,
        capacity=settings.cache_bytes,
        max_stale=settings.max_stale,
        wall=wall(),
    )


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    prefetching = threading.Thread(target=models().prefetch, args=(preload_names(),), daemon=True)
    prefetching.start()

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(prefetching.join)
    register_after_restore(models().forget)  # aliases move while a snapshot sleeps

from functions.inference import calls  # noqa: E402
from functions.inference.calls import Pending  # noqa: E402
from shared.entry import requests  # noqa: E402
from shared.serving import protocol  # noqa: E402
from shared.serving.counter import Counter  # noqa: E402
from shared.serving.observe import Call  # noqa: E402

after = registration.result()  # None outside Lambda, and where Lambda takes no extension
ready_ns = time.perf_counter_ns() - begun_ns
counter = Counter(
    lambda: models().log.store, ready_ns=ready_ns, afterwards=after is not None, memory_mb=lambda: config().memory_mb
)
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    calls.observe_for_counts(counter)
    if after:
        after.at_end(counter.finish)


@cache
def shadows() -> Shadows:
    from shared.serving.shadow import Shadows

    shadows = Shadows(models(), afterwards=after is not None, counted=counter.shadowed)
    calls.observers.after_answer(shadows.work)
    return shadows


def _observe_for_shadow(call: Call) -> None:
    if call.loaded.shadow is not None:  # few models have one: its module is imported with the first
        shadows().observe(call)


calls.observers.subscribe(_observe_for_shadow)
handler = Routes("inference", after.answered if after else lambda: None)


@handler.route("GET", "/v2", id="getServer", scope="infer", models="none")
def server(request: Request) -> dict[str, Any]:
    """What the server is, and its extensions"""
    from shared.serving import describe

    return describe.SERVER


@handler.route("GET", "/v2/health/live", id="getServerLive", scope="infer", models="none")
@handler.route("GET", "/v2/health/ready", id="getServerReady", scope="infer", models="none")
def health(request: Request) -> dict[str, Any]:
    """Is the server live and ready?"""
    return {"live": True, "ready": True}


@handler.route("GET", "/v2/models", id="listModelNames", scope="infer", models="each")
def names(request: Request) -> dict[str, Any]:
    """Names of the models that this token may call"""
    from shared.serving import describe

    return {"models": [summary.name for summary in describe.list_callable(models().log, request.scopes)]}


@handler.route("POST", "/v2/repository/index", id="getRepositoryIndex", scope="infer", models="each")
def index(request: Request) -> list[dict[str, str]]:
    """All versions that this token may call, in the form of Triton's repository index

    The body is an object, or empty; its members change nothing.
    """
    from shared.serving import describe

    request.json()
    return describe.index(describe.list_callable(models().log, request.scopes))


@handler.route("GET", V2, id="getModelMetadata", scope="infer")
@handler.route("GET", V2 + VERSION, id="getVersionMetadata", scope="infer")
def metadata(request: Request) -> Response:
    """A model's inputs and outputs"""
    from shared.serving import describe

    head, version, stale, *_ = _resolve(request)
    return Response(describe.metadata(head, version, models().manifest(version)), headers=calls.staleness(stale))


@handler.route("GET", V2 + "/ready", id="getModelReady", scope="infer")
@handler.route("GET", V2 + VERSION + "/ready", id="getVersionReady", scope="infer")
def ready(request: Request) -> Response:
    """Can the model be called?"""
    name, reference = requests.model_in_path(request)
    is_ready, stale = models().is_ready(name, reference)
    return Response({"name": name, "ready": is_ready}, 200 if is_ready else 503, calls.staleness(stale))


@handler.route("GET", V2 + "/config", id="getModelConfig", scope="infer")
@handler.route("GET", V2 + VERSION + "/config", id="getVersionConfig", scope="infer")
def configuration(request: Request) -> Response:
    """A model's configuration in the form of Triton's"""
    from shared.serving import describe

    head, version, stale, *_ = _resolve(request)
    return Response(describe.configuration(head, version, models().manifest(version)), headers=calls.staleness(stale))


@handler.route("GET", V2 + "/stats", id="getModelStatistics", scope="infer")
@handler.route("GET", V2 + VERSION + "/stats", id="getVersionStatistics", scope="infer")
def statistics(request: Request) -> Response:
    """What one process has counted of a version's calls"""
    head, version, stale, *_ = _resolve(request)
    counted = {"model_stats": [calls.stats.of_version(head.model, version.version)]}
    return Response(counted, headers=calls.staleness(stale))


@handler.route("POST", V2 + "/infer", id="infer", scope="infer")
@handler.route("POST", V2 + VERSION + "/infer", id="inferVersion", scope="infer")
def infer(request: Request) -> Response:
    """Tensors in, tensors out

    In application/octet-stream, the JSON is followed by the inputs that have a binary_data_size.
    """
    started_ns = time.perf_counter_ns()
    parsed = protocol.parse(*requests.tensors(request))
    return calls.infer(_pending(request, "infer", started_ns), parsed)


@handler.route("POST", "/models/{model}/predict", id="predict", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/predict", id="predictVersion", scope="infer")
def predict(request: Request) -> Response:
    """A prediction in the terms of the model's task

    Which content types a model takes depends on its task, images (image/png, image/jpeg, …) and sounds (audio/wav, …)
    as the body's own, or as application/octet-stream; the error for another says which. A form (multipart/form-data)
    has the same as a file, or texts and a row's columns as fields, and options beside them.
    """
    from shared.serving import tasks

    return _answer_in_task(request, "predict", tasks.predict, request.query)


@handler.route("POST", "/models/{model}/explain", id="explain", scope="infer")
@handler.route("POST", "/models/{model}/versions/{version}/explain", id="explainVersion", scope="infer")
def explain(request: Request) -> Response:
    """How much each part of the input adds to the score

    Takes what /predict takes: one input.
    """
    from shared.serving import tasks

    asks_for_png = "image/png" in request.headers.get("accept", "")
    query = ({"format": "png"} if asks_for_png else {}) | request.query
    # not repeated by a shadow version: an explanation is hundreds of runs
    return _answer_in_task(request, "explain", tasks.explain, query, repeatable=False)


@handler.route("POST", "/v1/embeddings", id="createEmbeddings", scope="infer", models="each")
def embeddings(request: Request) -> Response:
    """Embeddings of texts, in the form of OpenAI's API: the body names the model"""
    from shared.serving.tasks import embedding  # with Pillow, which the cold start of other calls does without

    started_ns = time.perf_counter_ns()
    body = embedding.read_request(requests.body(request))
    call = _pending(request, "embeddings", started_ns, requests.model_in_body(request, body.model))
    return calls.answer(call, lambda loaded: embedding.openai(loaded, body), embedding.encoder(body))


@handler.route("POST", "/v1/rerank", id="rerank", scope="infer", models="each")
@handler.route("POST", "/v2/rerank", id="rerankV2", scope="infer", models="each")  # where Cohere's newer clients call
def rerank(request: Request) -> Response:
    """Which of the documents answer the query best, in the form of Cohere's and Jina's APIs: the body names the model

    For cross-encoders, which are models of text-classification that give a pair of texts one score, or two classes of
    which the second is relevant; and for embedding models of texts, by the cosine.
    """
    from shared.serving import rerank as ranking

    started_ns = time.perf_counter_ns()
    body = ranking.read_request(requests.body(request))
    call = _pending(request, "rerank", started_ns, requests.model_in_body(request, body.model))
    return calls.answer(call, lambda loaded: ranking.answer(loaded, body))


def _answer_in_task(
    request: Request, route: str, compute: Callable[..., Any], query: dict[str, str], repeatable: bool = True
) -> Response:
    """What /predict and /explain share: a body of any content type, answered by the model's task, perhaps elsewhere."""
    started_ns = time.perf_counter_ns()
    body, content_type = requests.sent(request)
    try:
        call = _pending(request, route, started_ns, repeatable=repeatable)
    except GeneratesText as error:
        from shared.entry.forward import forward  # boto3

        return forward(request, config().generate_function, config().endpoint_url, error)
    return calls.answer(call, lambda loaded: compute(loaded, body, content_type, query))


def _pending(
    request: Request,
    route: str,
    started_ns: int,
    model: tuple[str, str | None] | None = None,
    repeatable: bool = True,
) -> Pending:
    """A call of a model that is loaded for it. model: name and reference, where they are not in the path."""
    name, reference = model or requests.model_in_path(request)
    loaded = models().load(name, reference, requests.split_key(request), calls.failed_load(request, route, started_ns))
    calls.note(request, name, loaded.version.version, loaded.alias)
    return Pending(
        loaded, route, started_ns, request.headers.get("accept-encoding"), len(request.body), repeatable=repeatable
    )


def _resolve(request: Request) -> Resolved:
    return models().resolve(*requests.model_in_path(request), requests.split_key(request))
