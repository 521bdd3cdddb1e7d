"""What each handler function of the API does, by function and name. How it is told in OpenAPI is in document.py.

A route without an entry, an entry without a route, and a query's member that only one of both knows fail the tests.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from api import answers, predictions, transitions
from api.described import (
    ACCEPTED,
    ANSWERED_BY,
    BYTES,
    ENCODED,
    IDEMPOTENCY,
    JSON_LENGTH,
    KEY,
    VERSION_NUMBER,
    Answer,
    Operation,
    Param,
    following,
    limit,
    ok,
)
from api.jobs import BATCH, TRAINING
from shared.entry.http import JSON
from shared.serving import explain
from shared.serving.protocol.message import InferRequest
from shared.serving.tasks import embedding
from shared.serving.tasks import request as predicting
from shared.uploads.states import Upload

TAGS = {
    "inference": "The data plane: the Open Inference Protocol V2, and predictions in a task's own terms",
    "registry": "The control plane: models, versions, aliases, approvals, history",
    "upload": "The way in for packages",
    "batch": "Many inputs, or large ones",
    "training": "Jobs that train a model and push it",
    "tokens": "Who may call",
}
# four by four pixels
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAHElEQVR42mNk"
    "EBAQYHQQEBBgcRAQEGA8ICAgAAAQRAIIemiTNgAAAABJRU5ErkJggg=="
)
REFERENCES = Annotated[str, Meta(pattern="^[0-9a-z][0-9a-z-]{0,31}$")]


def transition(summary: str, of: Any, **more: Any) -> Operation:
    return Operation(summary=summary, answers=ok(of), headers=(IDEMPOTENCY,), errors=(409, 503), **more)


REGISTRY = {
    "description": Operation(
        summary="This description",
        answers=ok(dict[str, Any], "OpenAPI 3.1."),
        errors=(404,),
    ),
    "search": Operation(
        summary="Models, a page at a time",
        answers=ok(answers.Models),
        query=(
            Param("search", str, "words that the name, the task or a tag has to have"),
            Param("task", str, "only models of this task"),
            Param("tag", str, "only models with this tag"),
            following(),
            limit(),
        ),
    ),
    "model": Operation(summary="A model, its aliases and its newest versions", answers=ok(answers.Model)),
    "every_version": Operation(
        summary="Versions of a model, newest first",
        answers=ok(answers.Versions),
        query=(following(Annotated[int, Meta(ge=1, le=10**9)]), limit()),
    ),
    "version": Operation(summary="A version's manifest", answers=ok(answers.VersionManifest)),
    "signature": Operation(summary="The OpenSSF signature of a version's package", answers=ok(answers.Signature)),
    "compare": Operation(
        summary="What differs between two versions",
        answers=ok(answers.Difference),
        query=(
            Param("from", REFERENCES, "a number or an alias", "production"),
            Param("to", REFERENCES, "a number or an alias; the newest version when it is left out"),
        ),
    ),
    "history": Operation(
        summary="What happened to a model, newest first",
        answers=ok(answers.History),
        query=(
            Param("verify", bool, "check the whole log: is every record there, unchanged and signed?", False),
            following(Annotated[int, Meta(ge=1, le=10**12)]),
            limit(200, 50),
        ),
    ),
    "move": transition(
        "Point an alias at a version, or split it",
        transitions.Moved,
        examples={
            "release": {"version": 2, "reason": "better on dark images"},
            "split": {"split": {"1": 90, "2": 10}, "reason": "a tenth for the new one"},
        },
    ),
    "rollback": transition(
        "Point an alias back at what it was before, or at a version that it was at", transitions.Moved
    ),
    "drop": transition("Remove an alias", transitions.Dropped),
    "protect": transition("Say who may move an alias", transitions.Protected),
    "ask": Operation(
        summary="Ask for a move that somebody else approves",
        answers={201: Answer(transitions.Requested, "The request waits.")},
        headers=(IDEMPOTENCY,),
        errors=(409, 503),
    ),
    "approve": transition("Carry out a move that somebody else asked for", transitions.Decided),
    "reject": transition("Close a request without carrying it out", transitions.Decided),
    "retire": transition("Take a version out of use", transitions.Retired, path=(VERSION_NUMBER,)),
    "restore_version": transition("Take a retired version into use again", transitions.Retired, path=(VERSION_NUMBER,)),
    "edit": transition("Replace a model's card or its tags", transitions.Edited),
    "delete": transition("Take a model out of service", transitions.Deleted),
    "restore": transition("Undo a deletion, as long as the model's blobs are kept", transitions.Restored),
}

UPLOAD = {
    "create": Operation(
        summary="Announce a package; the answer says where to send its files",
        examples={"package": {"files": [{"name": "model.onnx", "size": 902_573}, {"name": "amaas.json"}]}},
        answers={201: Answer(answers.UploadTicket, "Send the files, then follow `status_url`.")},
    ),
    "of_model": Operation(
        summary="Uploads of a model, oldest first, and what became of each",
        answers=ok(answers.Uploads),
        query=(following(), limit()),
    ),
    "status": Operation(summary="What became of an upload", answers=ok(Upload)),
}

TOKENS = {
    "every": Operation(summary="All tokens, revoked ones too, without their secrets", answers=ok(answers.Tokens)),
    "create": Operation(
        summary="Make a token",
        examples={"caller": {"name": "shop-frontend", "scopes": ["infer:fashion-*"], "expires_in_days": 90}},
        answers={201: Answer(answers.CreatedToken, "The only time that its text is shown.")},
    ),
    "revoke": Operation(summary="Revoke a token; it stays listed", answers=ok(answers.TokenState)),
}

MODEL_INPUT: dict[str, Any] = {
    "image/*": BYTES,
    "audio/*": BYTES,
    "text/plain": {"type": "string"},
    "text/csv": {"type": "string"},
    "application/octet-stream": BYTES,
    JSON: predictions.PredictRequest,
}

INFERENCE = {
    "server": Operation(summary="What the server is, and its extensions", answers=ok(predictions.Server)),
    "health": Operation(summary="Is the server live and ready?", answers=ok(predictions.Health)),
    "names": Operation(summary="Names of the models that this token may call", answers=ok(predictions.Names)),
    "index": Operation(
        summary="All versions that this token may call, in the form of Triton's repository index",
        answers=ok(list[predictions.Indexed]),
        about="The body may be anything, and is not read.",
        body={JSON: {}},
        body_required=False,
    ),
    "metadata": Operation(summary="A model's inputs and outputs", answers=ok(predictions.Metadata), headers=(KEY,)),
    "ready": Operation(
        summary="Can the model be called?",
        answers={
            200: Answer(predictions.Ready, "It can."),
            503: Answer((predictions.Ready, answers.Error), "It cannot, or the bucket is out of reach."),
        },
    ),
    "configuration": Operation(
        summary="A model's configuration in the form of Triton's", answers=ok(predictions.ModelConfig), headers=(KEY,)
    ),
    "statistics": Operation(
        summary="What one process has counted of a version's calls",
        answers=ok(predictions.Statistics),
        headers=(KEY,),
    ),
    "infer": Operation(
        summary="Tensors in, tensors out",
        answers=ok(
            predictions.InferResponse,
            "The outputs; with application/octet-stream, the JSON is followed by binary ones.",
            media={"application/octet-stream": BYTES},
            headers=ANSWERED_BY,
        ),
        about="In application/octet-stream, the JSON is followed by the inputs that have a binary_data_size.",
        headers=(JSON_LENGTH, KEY, ENCODED, ACCEPTED),
        body={JSON: InferRequest, "application/octet-stream": BYTES},
        examples={"tensor": {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}},
        errors=(413, 415, 501),
    ),
    "predict": Operation(
        summary="A prediction in the terms of the model's task",
        answers=ok(predictions.Predicted, "What the model says of the input or inputs.", headers=ANSWERED_BY),
        about="Which content types a model takes depends on its task; the error for another says which.",
        options=predicting.Options,
        headers=(KEY, ENCODED, ACCEPTED),
        body=MODEL_INPUT,
        examples={"image": {"input": PNG}, "images": {"inputs": [PNG, PNG], "parameters": {"top_k": 1}}},
        errors=(413, 415, 501),
    ),
    "explain": Operation(
        summary="How much each part of the input adds to the score",
        answers=ok(
            predictions.Explained,
            "The attributions; of an image as a picture, with `Accept: image/png` or `format=png`.",
            media={"image/png": BYTES},
            headers=ANSWERED_BY,
        ),
        about="Takes what /predict takes: one input.",
        options=explain.Options,
        headers=(KEY, ENCODED, ACCEPTED),
        body=MODEL_INPUT,
        examples={"image": {"input": PNG}},
        errors=(413, 415, 501),
    ),
    "embeddings": Operation(
        summary="Embeddings of texts, in the form of OpenAI's API",
        answers=ok(predictions.Embeddings, "One vector per text.", headers=ANSWERED_BY),
        headers=(KEY, ENCODED, ACCEPTED),
        body={JSON: embedding.Asked},
        examples={"texts": {"model": "minilm", "input": ["a text", "another one"]}},
        errors=(404, 413, 415),
    ),
}

OPERATIONS = {
    "inference": INFERENCE,
    "registry": REGISTRY,
    "upload": UPLOAD,
    "batch": BATCH,
    "training": TRAINING,
    "tokens": TOKENS,
}

WEIGHTS = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[1-9][0-9]{0,9}$"}}
# what request bodies say beyond their types, by component
NARROWER: dict[str, dict[str, Any]] = {
    "Move": {
        "oneOf": [
            {"required": ["version"], "properties": {"version": {"type": "integer"}, "split": {"type": "null"}}},
            {"required": ["split"], "properties": {"split": WEIGHTS, "version": {"type": "null"}}},
        ]
    },
    "Edit": {
        "anyOf": [
            {"required": ["card"], "properties": {"card": {"type": "string"}}},
            {"required": ["tags"], "properties": {"tags": {"type": "array"}}},
        ]
    },
    "PredictRequest": {"anyOf": [{"required": ["input"]}, {"required": ["inputs"]}]},
}
