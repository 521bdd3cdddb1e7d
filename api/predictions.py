"""What models are asked and answer, for the description only: tensors, predictions, explanations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.package.manifest import Tensor
from shared.serving.tasks.request import Options

# ---- the Open Inference Protocol


class Server(Struct):
    name: str
    version: str
    extensions: list[str]


class Health(Struct):
    live: bool
    ready: bool


class Names(Struct):
    models: list[str]


class Indexed(Struct):
    name: str
    version: str
    state: str
    reason: str


class Metadata(Struct, kw_only=True):
    """shape: -1 stands for a dimension that may vary."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    parameters: dict[str, Any]


class Ready(Struct):
    name: str
    ready: bool


class ConfigTensor(Struct):
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
    input: list[ConfigTensor]
    output: list[ConfigTensor]
    parameters: dict[str, Any]


class Duration(Struct):
    count: int
    ns: int


class ModelStatistics(Struct, kw_only=True):
    """What one process has counted; CloudWatch has the sums."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: dict[str, Duration]
    batch_stats: list[Any]


class Statistics(Struct):
    model_stats: list[ModelStatistics]


class InferOutputTensor(Struct, kw_only=True):
    """data: values, flat; or parameters.binary_data_size bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class InferResponse(Struct, kw_only=True):
    model_name: str
    model_version: str
    outputs: list[InferOutputTensor]
    id: str | UnsetType = UNSET


# ---- predictions in a task's own terms


class PredictRequest(Struct, kw_only=True):
    """One `input`, or many `inputs`: texts, rows, files in base64; of a model without a task, tensors by name."""

    input: Any = UNSET
    inputs: Any = UNSET
    parameters: Options | UnsetType = UNSET


class Prediction(Struct):
    label: str
    score: float


class Stretch(Struct):
    """A part of a sound, in seconds."""

    start: float
    end: float
    predictions: list[Prediction]


class Detected(Struct):
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


class Result(Struct, kw_only=True):
    """Which members there are depends on the model's task."""

    predictions: list[Prediction] | UnsetType = UNSET
    segments: list[Stretch] | UnsetType = UNSET
    objects: list[Detected] | UnsetType = UNSET
    entities: list[Entity] | UnsetType = UNSET
    embedding: list[float] | UnsetType = UNSET
    value: Any = UNSET


class Predicted(Result, kw_only=True):
    """A result; `results`, one per input, where a list was sent; or `outputs` of a model without a task."""

    model: str
    version: int
    results: list[Result] | UnsetType = UNSET
    outputs: dict[str, Any] | UnsetType = UNSET


class Part(Struct, kw_only=True):
    """What a part of the input adds to the score: words and stretches have start and end, columns a name."""

    attribution: float
    text: str | UnsetType = UNSET
    start: float | UnsetType = UNSET
    end: float | UnsetType = UNSET
    column: str | UnsetType = UNSET
    value: Any = UNSET


class Explained(Struct, kw_only=True):
    """attributions: rows of numbers for an image's patches, else one object per part.

    image: height and width. seen: left, top, right, bottom of what the model saw of it. base: the score of the average.
    """

    model: str
    version: int
    label: str
    score: float
    method: str
    attributions: list[list[float] | Part]
    image: list[int] | UnsetType = UNSET
    seen: list[float] | UnsetType = UNSET
    base: float | UnsetType = UNSET


class Embedding(Struct, kw_only=True):
    """embedding: numbers, or with encoding_format=base64 their little-endian FP32 bytes."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(Struct):
    prompt_tokens: int
    total_tokens: int


class Embeddings(Struct, kw_only=True):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage
