"""What each route of the inference function takes and gives, by its operation id: see inference.py."""

from __future__ import annotations

from typing import Any

from api import explanation
from api import inference as types
from api.contract import ACCEPTED, ANSWER_ID, ANSWERED_BY, BYTES, ENCODED, JSON_LENGTH, KEY, STALE, Contract, Error
from shared.entry.http import JSON
from shared.serving import explain
from shared.serving.inputs.multipart import KIND as FORM
from shared.serving.protocol.message import InferRequest

OCTETS = "application/octet-stream"
# four by four pixels
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAHElEQVR42mNk"
    "EBAQYHQQEBBgcRAQEGA8ICAgAAAQRAIIemiTNgAAAABJRU5ErkJggg=="
)
# of serving/inputs/form.py
FORM_INPUT: dict[str, Any] = {
    "type": "object",
    "description": (
        "One file: the input, by its part's content type. Several in fields of one name, or one in a field whose name "
        "ends in []: a list. Without a file, `text` (and `pair`, or several of `text`) of models of texts, and the "
        "columns' names of models of tables. Other fields are options, as in the query."
    ),
    "properties": {"file": BYTES, "text": {"type": "string"}, "pair": {"type": "string"}},
    "additionalProperties": {"type": "string"},
}
# no range as image/*: generators of clients take concrete types only; the operation's words say the rest
MODEL_INPUT: dict[str, Any] = {
    JSON: types.PredictRequest,
    OCTETS: BYTES,
    "text/plain": {"type": "string"},
    "text/csv": {"type": "string"},
    FORM: FORM_INPUT,
}
METADATA = Contract(gives={200: types.ModelMetadata}, headers=(KEY,), answer_headers=(STALE,))
READY = Contract(gives={200: types.ModelReadiness, 503: (types.ModelReadiness, Error)}, answer_headers=(STALE,))
CONFIG = Contract(gives={200: types.ModelConfig}, headers=(KEY,), answer_headers=(STALE,))
STATISTICS = Contract(gives={200: types.ModelStatisticsList}, headers=(KEY,), answer_headers=(STALE,))
INFER = Contract(
    gives={200: types.InferResponse},
    media={OCTETS: BYTES},
    answer_headers=ANSWERED_BY,
    headers=(JSON_LENGTH, KEY, ENCODED, ACCEPTED),
    body={JSON: InferRequest, OCTETS: BYTES},
    examples={"tensor": {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}},
    errors=(413, 415, 501),
)
PREDICT = Contract(
    gives={200: types.PredictResponse},
    answer_headers=(*ANSWERED_BY, ANSWER_ID),
    query=types.PredictQuery,
    headers=(KEY, ENCODED, ACCEPTED),
    body=MODEL_INPUT,
    examples={"image": {"input": PNG}, "images": {"inputs": [PNG, PNG], "parameters": {"top_k": 1}}},
    errors=(413, 415, 501),
)
EXPLAIN = Contract(
    gives={200: explanation.Explanation},
    media={"image/png": BYTES},
    answer_headers=ANSWERED_BY,
    query=explain.Options,
    headers=(KEY, ENCODED, ACCEPTED),
    body=MODEL_INPUT | {JSON: explanation.ExplainRequest},
    examples={"image": {"input": PNG}, "text": {"input": "Is the sky blue?", "parameters": {"target": "Yes"}}},
    errors=(413, 415, 501),
)
RERANK = Contract(
    gives={200: types.RerankResponse},
    answer_headers=ANSWERED_BY,
    headers=(KEY, ENCODED, ACCEPTED),
    body={JSON: types.RerankRequest},
    examples={"texts": {"model": "reranker", "query": "a cat", "documents": ["it purrs", "it barks"], "top_n": 1}},
    errors=(404, 413, 415),
)
CONTRACTS = {
    "getServer": Contract(gives={200: types.ServerMetadata}),
    "getServerLive": Contract(gives={200: types.ServerHealth}),
    "getServerReady": Contract(gives={200: types.ServerHealth}),
    "listModelNames": Contract(gives={200: types.ModelNames}),
    "getRepositoryIndex": Contract(
        gives={200: list[types.RepositoryIndexEntry]},
        body={JSON: {"type": "object", "additionalProperties": {}}},
        body_required=False,
    ),
    "getModelMetadata": METADATA,
    "getVersionMetadata": METADATA,
    "getModelReady": READY,
    "getVersionReady": READY,
    "getModelConfig": CONFIG,
    "getVersionConfig": CONFIG,
    "getModelStatistics": STATISTICS,
    "getVersionStatistics": STATISTICS,
    "infer": INFER,
    "inferVersion": INFER,
    "predict": PREDICT,
    "predictVersion": PREDICT,
    "explain": EXPLAIN,
    "explainVersion": EXPLAIN,
    "createEmbeddings": Contract(
        gives={200: types.EmbeddingsResponse},
        answer_headers=ANSWERED_BY,
        headers=(KEY, ENCODED, ACCEPTED),
        body={JSON: types.EmbeddingsRequest},
        examples={"texts": {"model": "minilm", "input": ["a text", "another one"]}},
        errors=(404, 413, 415),
    ),
    "rerank": RERANK,
    "rerankV2": RERANK,
}
