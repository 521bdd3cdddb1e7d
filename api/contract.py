"""The parts that a route's contract is described with: parameters, media, headers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared import batch_keys, keys
from shared.entry import idempotency

MODEL_NAME = rf"^(?!.*\.\.){keys.MODEL}$"
REFERENCE = rf"^([0-9]{{1,9}}|{keys.ALIAS})$"
BYTES = {"type": "string", "format": "binary"}


class Param(Struct, frozen=True):
    """A parameter of the path, the query or the headers. type: as of a Struct's member; default: what absence means."""

    name: str
    type: Any
    about: str
    default: Any = None


class Contract(Struct, frozen=True, kw_only=True):
    """What a route says beside its decorator, where types of the contract must not be imported to answer it.

    gives: by status; None where a success is no JSON. media: content types of a success beside JSON, with their
    schemas. body: content types with their types or schemas. query: a Struct, whose members may be in the query.
    answer_headers: of a success.
    """

    gives: dict[int, Any]
    media: dict[str, dict[str, Any]] = {}
    answer_headers: tuple[Param, ...] = ()
    query: Any = None
    headers: tuple[Param, ...] = ()
    body: dict[str, Any] = {}
    body_required: bool = True
    examples: dict[str, Any] = {}
    errors: tuple[int, ...] = ()


Code = Annotated[str, Meta(pattern="^[a-z_]+$", description="the kind of error in one word, for programs")]
RequestId = Annotated[
    str, Meta(min_length=1, description="the call's number, which to report and to search the log for")
]


class Error(Struct):
    """Every answer that is no success: what happened, and what to do."""

    error: Annotated[str, Meta(min_length=1)]
    code: Code | UnsetType = UNSET
    request_id: RequestId | UnsetType = UNSET


class OpenaiError(Struct):
    """An error as OpenAI's clients read it."""

    message: Annotated[str, Meta(min_length=1)]
    type: str
    param: str | None
    code: Code | None
    request_id: RequestId | UnsetType = UNSET


class OpenaiErrorAnswer(Struct):
    """Every answer below /v1 that is no success: what happened, and what to do. The gateway's own are an Error."""

    error: OpenaiError


PATH = {
    param.name: param
    for param in (
        Param("model", Annotated[str, Meta(pattern=MODEL_NAME)], "the model's name"),
        Param("version", Annotated[str, Meta(pattern=REFERENCE)], "a version's number, or an alias"),
        Param("alias", Annotated[str, Meta(pattern=f"^{keys.ALIAS}$")], "the alias' name"),
        Param("number", Annotated[int, Meta(ge=1, le=999_999_999)], "the move request's number"),
        Param("upload_id", Annotated[str, Meta(pattern=f"^{keys.UPLOAD}$")], "from the upload session"),
        Param("token_id", Annotated[str, Meta(pattern=f"^{keys.TOKEN}$")], "from GET /tokens"),
        Param("job", Annotated[str, Meta(pattern=f"^{batch_keys.BATCH}$")], "from POST /models/{model}/batch"),
        Param("job_id", Annotated[str, Meta(pattern=f"^{keys.TRAINING}$")], "from POST /training-jobs"),
    )
}
# where a transition changes a version, an alias would be ambiguous
VERSION_NUMBER = Param("version", Annotated[str, Meta(pattern="^[1-9][0-9]{0,8}$")], "the version's number")

KEY = Param(
    "x-request-key", str, "requests with the same key get the same version of a split alias; one without a key draws it"
)
IDEMPOTENCY = Param(
    "Idempotency-Key",
    Annotated[str, Meta(pattern=f"^{idempotency.KEY}$")],
    "the same call with the same key is carried out once, and answered alike for at least 48 hours; per token",
)
NAME = Param(
    "Idempotency-Key",
    Annotated[str, Meta(pattern=f"^{idempotency.KEY}$")],
    "calls with the same key create one at most: a repetition is a 409 that says which; per token",
)
REPLAYED = Param(
    "Idempotent-Replayed", Literal["true"], "this is the answer of an earlier call with the same Idempotency-Key"
)
ENCODED = Param("Content-Encoding", Literal["identity", "gzip", "deflate"], "how the body is compressed", "identity")
ACCEPTED = Param("Accept-Encoding", str, "gzip and deflate are supported")
JSON_LENGTH = Param(
    "Inference-Header-Content-Length",
    Annotated[int, Meta(ge=0)],
    "where the JSON ends and binary tensors begin, in bytes; 0: the body is the model's only input, without JSON",
)
STALE = Param(
    "x-amaas-stale",
    Annotated[int, Meta(ge=0)],
    "only while the store is away: seconds since the model's state was known to be the present one",
)
ANSWERED_BY = (
    Param("x-amaas-version", Annotated[int, Meta(ge=1)], "the version that answered"),
    Param("x-amaas-revision", Annotated[int, Meta(ge=1)], "the revision of the model's log at which it was resolved"),
    Param(
        "Server-Timing", str, "ms that the call took by phase: resolve, load, pre, run and post, as browsers show them"
    ),
    STALE,
)
ANSWER_ID = Param("x-amaas-answer-id", str, "of an answer with classes: names it in POST /models/{model}/feedback")
