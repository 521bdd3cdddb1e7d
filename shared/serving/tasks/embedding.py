"""Texts or images in, vectors out; for /v1/embeddings in the form that OpenAI's clients know, too."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from shared import budget, json_faults
from shared.errors import BadInput
from shared.package import fields
from shared.package.processing import Vector
from shared.runtime.arrays import computable
from shared.serving import whole_numbers
from shared.serving.inputs import images, sounds, texts, token_ids
from shared.serving.inputs.request import MOST, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching
from shared.serving.tasks.base import Task
from shared.values import numbers

POOLED = 16  # bytes of a number while vectors are made of tokens
ELEMENT = 64  # bytes of a number of an answer: in the vector, in a list, in JSON


class Request(Struct, frozen=True):
    """The body of POST /v1/embeddings. model: a name, or name@version or name@alias."""

    model: str
    input: str | Annotated[list[Any], Meta(min_length=1, max_length=token_ids.MOST)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: fields.Positive | None = None
    user: str | None = None


class Embedding(Task):
    def per_run(self, loaded: Loaded) -> int:
        kind = loaded.manifest.input_kind
        return 1 if kind == "audio" or (kind == "image" and images.any_size(loaded)) else batching.per_run(loaded)

    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """`{"embedding": [number, …]}` for each input."""
        return [{"embedding": vector.tolist()} for vector in vectors(loaded, items, options)[0]]


def vectors(loaded: Loaded, items: list[Any], options: Options) -> tuple[np.ndarray, int]:
    """Embeddings [N, width] in FP32, and how many tokens the texts had."""
    mask, tokens = None, 0
    kind = loaded.manifest.input_kind
    if kind == "image":
        feeds, _ = images.feeds(loaded, items)
    elif kind == "audio":
        feeds = _first_windows(loaded, items)
    elif token_ids.is_ids(items[0]):
        feeds, kept = token_ids.feeds(loaded, items)
        mask, tokens = kept.astype(np.float32), int(kept.sum())
    else:
        feeds, encoded = texts.feeds(loaded, texts.items(items), ["mask"])
        if encoded is not None:
            mask = encoded["mask"].astype(np.float32)
            tokens = int(mask.sum())
    declared = loaded.manifest.postprocess
    after = declared if isinstance(declared, Vector) else Vector()
    name = after.output or loaded.manifest.outputs[0].name
    raw = batching.run(loaded, feeds, [name])[name]
    with budget.part():
        budget.take(raw.size * POOLED, f"the output {name!r} of {raw.size:,} numbers")
        rows = _normalize(_pooled(raw, mask, after.pooling), after, options)
    budget.keep(rows.size * ELEMENT, f"embeddings of {rows.size:,} numbers")
    return rows, tokens


def _pooled(raw: np.ndarray, mask: np.ndarray | None, pooling: str) -> np.ndarray:
    """[N, width] in FP32. Raises NoNumber."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = pool(np.asarray(computable(raw), np.float32), mask, pooling)
    numbers.require_finite(rows, "vector")
    return rows


def _first_windows(loaded: Loaded, items: list[bytes]) -> dict[str, np.ndarray]:
    """The beginning of each sound, as much as the model hears at once."""
    tensor, plan = sounds.signature(loaded)
    parts = [sounds.windows(sounds.decode(item, plan.sample_rate), plan)[0][1] for item in items]
    return sounds.feeds(tensor, plan, parts)


def pool(values: np.ndarray, mask: np.ndarray | None, pooling: str) -> np.ndarray:
    """[N, tokens, width] → [N, width] over the tokens that the mask [N, tokens] keeps; other shapes as they are."""
    if values.ndim != 3:
        return values.reshape(len(values), -1)
    weights = np.ones(values.shape[:2], np.float32) if mask is None else mask
    if pooling == "first":
        return np.asarray(values[np.arange(len(values)), weights.argmax(axis=1)])  # behind padding on the left
    if pooling == "last":
        last = weights.shape[1] - 1 - weights[:, ::-1].argmax(axis=1)
        return np.asarray(values[np.arange(len(values)), last])
    if pooling == "max":
        return np.asarray(np.where(weights[..., None] > 0, values, -np.inf).max(axis=1))
    kept = np.where(weights[..., None] > 0, values, np.float32(0))  # what fills up may be no number
    return np.asarray(kept.sum(axis=1) / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9))


def _normalize(values: np.ndarray, after: Vector, options: Options) -> np.ndarray:
    dimensions = options.dimensions or after.dimensions
    if dimensions and dimensions > values.shape[1]:
        raise BadInput(f"the embeddings have {values.shape[1]} dimensions, {dimensions} cannot be had: ask for fewer")
    values = values[:, :dimensions]
    if not after.normalize:
        return values
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
    numbers.require_finite(lengths, "vector")
    return np.asarray(values / np.maximum(lengths, 1e-12))


def read_request(body: bytes) -> Request:
    """The body of /v1/embeddings. Raises BadInput."""
    try:
        request: Request = whole_numbers.decoded(body, Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is no embeddings request: {json_faults.reason(body, error)}") from error
    _inputs(request.input)
    return request


def openai(loaded: Loaded, request: Request) -> dict[str, Any]:
    """The answer of /v1/embeddings, with arrays that `encoder` writes. Raises BadInput for a model of another task."""
    if loaded.manifest.task != "embedding" or loaded.manifest.input_kind != "text":
        raise BadInput(f"model {loaded.name!r} gives no embeddings of texts: its task is {loaded.manifest.task!r}")
    inputs = _inputs(request.input)
    options, size = Options(dimensions=request.dimensions), TASK.per_run(loaded)
    parts: list[tuple[np.ndarray, int]] = []
    with budget.part():
        for start in range(0, len(inputs), size):
            with budget.part():
                parts.append(vectors(loaded, inputs[start : start + size], options))
    rows = [row for values, _ in parts for row in values]
    tokens = sum(count for _, count in parts)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)],
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _inputs(value: str | list[Any]) -> list[Any]:
    """One text or several, or the token ids of one text or of several. Raises BadInput."""
    if isinstance(value, str) or token_ids.is_ids(value):
        return [value]
    if len(value) > MOST:
        raise BadInput(f"the body is no embeddings request: {len(value):,} inputs, and a call takes {MOST:,}")
    if not (all(isinstance(one, str) for one in value) or all(map(token_ids.is_ids, value))):
        raise BadInput("input is a text, a list of texts, a list of token ids, or a list of such lists: nothing else")
    return value


def encoder(request: Request) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Writes the vectors of an answer in the form that the request asks for."""
    encode = _base64 if request.encoding_format == "base64" else _list

    def encoded(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"data": [entry | {"embedding": encode(entry["embedding"])} for entry in answer["data"]]}

    return encoded


def _list(row: np.ndarray) -> Any:
    return row.tolist()


def _base64(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


TASK = Embedding()
