"""Documents in the order in which they answer a query, in the form that Cohere's and Jina's clients know.

A cross-encoder reads the query with each document, and scores the pair; an embedding model reads each text by itself,
and the cosine of two vectors is the score. The first costs more with each document, and knows more of it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace

from shared import budget, json_faults
from shared.errors import BadInput, TooLarge
from shared.groups import in_groups
from shared.package.fields import Positive
from shared.serving import whole_numbers
from shared.serving.inputs import texts
from shared.serving.inputs.request import MOST, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

CROSS_ENCODER, BI_ENCODER = "text-classification", "embedding"
ENTRY = 200  # bytes of a result in the answer, but for its text
MOST_CHARACTERS = 8_000_000  # that a call has read: of each document, and the query as often as it is paired with one
CLASSES = 2  # of a cross-encoder without a single score: irrelevant, relevant


class RerankDocument(Struct, frozen=True):
    text: str


class Request(Struct, frozen=True):
    """The body of POST /v1/rerank. Members that other services have beside these are ignored."""

    model: str
    query: Annotated[str, Meta(min_length=1)]
    # more of them are 413, by read_request, and not a body that does not fit
    documents: Annotated[list[str | RerankDocument], Meta(min_length=1, extra_json_schema={"maxItems": MOST})]
    top_n: Positive | None = None
    return_documents: bool = False


class Scored(Struct, frozen=True):
    """A score for each document, in their order, and how many tokens the model read for them."""

    scores: np.ndarray
    tokens: int


def read_request(body: bytes) -> Request:
    """The body of /v1/rerank. Raises BadInput, TooLarge."""
    try:
        request: Request = whole_numbers.decoded(body, Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            f'the body is no rerank request, as {{"model": "…", "query": "…", "documents": ["…"]}} is, with 1 to '
            f"{MOST:,} documents: {json_faults.reason(body, error)}"
        ) from error
    if not request.query.strip():
        raise BadInput("the query is empty: send what the documents shall answer")
    if len(request.documents) > MOST:
        raise TooLarge(
            f"there are {len(request.documents):,} documents, and a call ranks {MOST:,}: rank them in several "
            "calls, whose scores can be compared"
        )
    return request


def _require_length(characters: int, query: int, documents: int) -> None:
    """characters: that are read of `documents` with a query of so many. Raises TooLarge."""
    if characters > MOST_CHARACTERS:
        raise TooLarge(
            f"{documents:,} documents with a query of {query:,} characters are {characters:,} characters to read, and "
            f"a call has {MOST_CHARACTERS:,}: shorten the query, which is read with each document, or the documents, "
            "or rank them in several calls"
        )


def answer(loaded: Loaded, request: Request) -> dict[str, Any]:
    """The answer of /v1/rerank: best first, documents of the same score in their order.

    Raises BadInput for a model that scores no pairs, TooLarge.
    """
    documents = [one if isinstance(one, str) else one.text for one in request.documents]
    with budget.part():
        scored = _method(loaded)(loaded, request.query, documents)
        best = np.argsort(-scored.scores, kind="stable")[: request.top_n]
        told = sum(len(documents[index]) for index in best) if request.return_documents else 0
        budget.keep(ENTRY * len(best) + texts.CHARACTER * told, f"an answer of {len(best):,} documents")
    results = [
        {"index": int(index), "relevance_score": round(float(scored.scores[index]), 6)}
        | ({"document": {"text": documents[index]}} if request.return_documents else {})
        for index in best
    ]
    return {"model": request.model, "results": results, "usage": {"total_tokens": scored.tokens}}


def _method(loaded: Loaded) -> Any:
    """By what documents are scored. Raises BadInput."""
    task = loaded.manifest.served_task
    if task == CROSS_ENCODER:
        return _by_pairs
    if task == BI_ENCODER and loaded.manifest.input_kind == "text":
        return _by_vectors
    raise BadInput(
        f"model {loaded.name!r} cannot rank documents: its task is {loaded.manifest.task!r}. Name a model of the task "
        f"{CROSS_ENCODER!r} that scores pairs of texts (a cross-encoder), or one of {BI_ENCODER!r} that takes texts"
    )


def _by_pairs(loaded: Loaded, query: str, documents: list[str]) -> Scored:
    """By a cross-encoder: the pair's single score, or that of the second class of two."""
    _require_length(len(query) * len(documents) + sum(map(len, documents)), len(query), len(documents))
    longest = len(query) + max(map(len, documents))
    size, what = batching.per_run(loaded, texts.CHARACTER * longest), f"{len(documents):,} documents with the query"
    tokens = 0

    def compute(group: list[int]) -> np.ndarray:
        nonlocal tokens
        budget.take(texts.CHARACTER * sum(len(query) + len(documents[index]) for index in group), what)
        feeds, encoded = texts.feeds(loaded, [(query, documents[index]) for index in group], ["mask"])
        tokens += 0 if encoded is None else int(encoded["mask"].sum())
        return _relevance(loaded, classification.scores(loaded, feeds))

    order = _by_length(documents)
    scores = np.empty(len(documents))
    scores[order] = batching.gathered(in_groups(order, size), compute, what)
    return Scored(scores, tokens)


def _by_length(documents: list[str]) -> list[int]:
    """Texts that go into one run are filled up to the longest of them: with those of its length, by little."""
    return sorted(range(len(documents)), key=lambda index: len(documents[index]))


def _relevance(loaded: Loaded, scores: np.ndarray) -> np.ndarray:
    """[pairs, classes] → [pairs]. Raises BadInput."""
    if scores.shape[1] > CLASSES:
        raise BadInput(
            f"model {loaded.name!r} cannot rank documents: it tells {scores.shape[1]} classes apart. Name a model that "
            "gives a pair of texts one score, or two classes of which the second is relevant"
        )
    return scores[:, -1]


def _by_vectors(loaded: Loaded, query: str, documents: list[str]) -> Scored:
    """By an embedding model: the cosine of the query's vector and each document's."""
    from shared.serving.tasks import embedding

    _require_length(len(query) + sum(map(len, documents)), len(query), len(documents))
    size = batching.per_run(loaded, texts.CHARACTER * max(len(query), *map(len, documents)))
    what = f"the vectors of {len(documents):,} documents"
    wanted, tokens = embedding.vectors(_for_queries(loaded), [query], Options())
    unit = _unit(wanted)[0]

    def compute(group: list[int]) -> np.ndarray:
        nonlocal tokens
        budget.take(texts.CHARACTER * sum(len(documents[index]) for index in group), what)
        rows, count = embedding.vectors(loaded, [documents[index] for index in group], Options())
        tokens += count
        return np.asarray(_unit(rows) @ unit)

    order = _by_length(documents)
    scores = np.empty(len(documents))
    scores[order] = batching.gathered(in_groups(order, size), compute, what)
    return Scored(scores, tokens)


def _for_queries(loaded: Loaded) -> Loaded:
    """The model with the prefix of queries, where its package has another for them than for documents."""
    plan = texts.plan_of(loaded)
    if plan.query_prefix is UNSET:
        return loaded
    return replace(loaded, manifest=replace(loaded.manifest, preprocess=replace(plan, prefix=plan.query_prefix)))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Of length 1, in FP64: a package may leave its vectors as long as they are."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
