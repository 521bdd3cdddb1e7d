"""The contract of the inference function, which imports none of it: 20 ms of each cold start.

Types of requests and responses; what each of its routes takes and gives is in inference_routes.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from api.generation import Reason, Usage
from shared.package.manifest import Tensor
from shared.serving import rerank
from shared.serving.inputs import request
from shared.serving.tasks import embedding

# ---- the Open Inference Protocol


class ServerMetadata(Struct):
    name: str
    version: str
    extensions: list[str]


class ServerHealth(Struct):
    live: bool
    ready: bool


class ModelNames(Struct):
    models: list[str]


class RepositoryIndexEntry(Struct):
    name: str
    version: str
    state: str
    reason: str


class ModelMetadata(Struct, kw_only=True):
    """shape: -1 stands for a dimension that may vary."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    parameters: dict[str, Any]


class ModelReadiness(Struct):
    name: str
    ready: bool


class ModelConfigTensor(Struct):
    name: str
    data_type: str
    dims: list[int]


class ModelConfig(Struct, kw_only=True):
    """In the form of Triton's model configuration."""

    name: str
    platform: str
    backend: str
    version_policy: dict[str, Any]
    max_batch_size: int
    input: list[ModelConfigTensor]
    output: list[ModelConfigTensor]
    parameters: dict[str, Any]


class DurationStatistic(Struct):
    count: int
    ns: int


class ModelStatistics(Struct, kw_only=True):
    """What one process has counted; CloudWatch has the sums."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: dict[str, DurationStatistic]
    batch_stats: list[Any]


class ModelStatisticsList(Struct):
    model_stats: list[ModelStatistics]


class InferResponseOutput(Struct, kw_only=True):
    """data: values, flat; or parameters.binary_data_size bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class InferResponse(Struct, kw_only=True):
    model_name: str
    model_version: str
    outputs: list[InferResponseOutput]
    id: str | UnsetType = UNSET


# ---- predictions in a task's own terms


class PredictOptions(request.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller may ask for beside the response's default."""


class PredictQuery(PredictOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same in a query, which has no lists."""

    labels: Annotated[
        str | None, Meta(description="of zero-shot models: between which to choose, with commas in between")
    ] = None


class PredictParameters(PredictOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In a body. The members of its own are of models that generate text: see GenerateRequest; or hear it."""

    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    language: str | None = None
    task: Literal["transcribe", "translate"] | None = None
    prompt: str | None = None


class PredictRequest(Struct, kw_only=True):
    """One `input`, or many `inputs`: texts, rows, files in base64; of a model without a task, tensors by name."""

    input: Any = UNSET
    inputs: Any = UNSET
    parameters: PredictParameters | UnsetType = UNSET


class Prediction(Struct):
    label: str
    score: float


class AudioSegment(Struct, kw_only=True):
    """A part of a sound, in seconds. text: of speech."""

    start: float
    end: float
    predictions: list[Prediction] | UnsetType = UNSET
    text: str | UnsetType = UNSET


class DetectedObject(Struct):
    """box: left, top, right, bottom, in the image's pixels."""

    label: str
    score: float
    box: Annotated[list[float], Meta(min_length=4, max_length=4)]


class Entity(Struct):
    """start, end: characters of the text."""

    entity: str
    score: float
    start: int
    end: int
    text: str


class PredictResult(Struct, kw_only=True):
    """Which members there are depends on the model's task."""

    predictions: list[Prediction] | UnsetType = UNSET
    segments: list[AudioSegment] | UnsetType = UNSET
    objects: list[DetectedObject] | UnsetType = UNSET
    entities: list[Entity] | UnsetType = UNSET
    embedding: list[float] | UnsetType = UNSET
    value: Any = UNSET
    text: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET
    duration: float | UnsetType = UNSET
    finish_reason: Reason | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET


class PredictResponse(PredictResult, kw_only=True):
    """A result; `results`, one per input, where a list was sent; or `outputs` of a model without a task."""

    model: str
    version: int
    results: list[PredictResult] | UnsetType = UNSET
    outputs: dict[str, Any] | UnsetType = UNSET


class EmbeddingsRequest(embedding.Request, frozen=True):
    """model: a name, or name@version or name@alias."""


class Embedding(Struct, kw_only=True):
    """embedding: numbers, or with encoding_format=base64 their little-endian FP32 bytes."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(Struct, kw_only=True):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


class RerankRequest(rerank.Request, frozen=True):
    """model: a name, or name@version or name@alias. top_n: so many of the best; omitted, all of them."""


class RerankResult(Struct, kw_only=True):
    """index: of the document in the request. document: where return_documents asks for it."""

    index: int
    relevance_score: float
    document: rerank.RerankDocument | UnsetType = UNSET


class RerankUsage(Struct):
    """Tokens that the model read, special ones included; a query counts with each document that it is paired with."""

    total_tokens: int


class RerankResponse(Struct, kw_only=True):
    """results: best first."""

    model: str
    results: list[RerankResult]
    usage: RerankUsage
