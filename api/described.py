"""The words in which a route is described: parameters, bodies, answers. What is said with them is in operations.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from shared import keys
from shared.entry.http import IDEMPOTENCY_KEY

MODEL_NAME = rf"^(?!.*\.\.){keys.MODEL}$"
REFERENCE = rf"^([0-9]{{1,9}}|{keys.ALIAS})$"
BYTES = {"type": "string", "format": "binary"}


class Param(Struct, frozen=True):
    """A parameter of the path, the query or the headers. type: as of a Struct's member; default: what absence means."""

    name: str
    type: Any
    about: str
    default: Any = None


class Answer(Struct, frozen=True):
    """A success. of: the type of its JSON, or several of which it has one. media: other content types, with schemas."""

    of: Any
    about: str
    media: dict[str, dict[str, Any]] = {}
    headers: tuple[Param, ...] = ()


class Operation(Struct, frozen=True, kw_only=True):
    """What a handler function does. body: content types with their types or schemas, where `takes` does not say it.

    options: a Struct whose members may be in the query, each of them. errors: statuses beside those of every route.
    path: parameters of the path that are narrower here than elsewhere. examples: JSON bodies, by what they ask for.
    """

    summary: str
    answers: dict[int, Answer]
    about: str = ""
    query: tuple[Param, ...] = ()
    options: Any = None
    headers: tuple[Param, ...] = ()
    path: tuple[Param, ...] = ()
    body: dict[str, Any] = {}
    body_required: bool = True
    examples: dict[str, Any] = {}
    errors: tuple[int, ...] = ()


def ok(of: Any, about: str = "As asked.", **more: Any) -> dict[int, Answer]:
    return {200: Answer(of, about, **more)}


# ---- paths

PATH = {
    found.name: found
    for found in (
        Param("model", Annotated[str, Meta(pattern=MODEL_NAME)], "the model's name"),
        Param("version", Annotated[str, Meta(pattern=REFERENCE)], "a version's number, or an alias"),
        Param("alias", Annotated[str, Meta(pattern=f"^{keys.ALIAS}$")], "the alias' name"),
        Param("number", Annotated[int, Meta(ge=1, le=999_999_999)], "the request's number"),
        Param("upload_id", Annotated[str, Meta(pattern=f"^{keys.UPLOAD}$")], "from the upload ticket"),
        Param("token_id", Annotated[str, Meta(pattern=f"^{keys.TOKEN}$")], "from GET /tokens"),
        Param("job", Annotated[str, Meta(pattern=f"^{keys.BATCH}$")], "from POST /models/{model}/batch"),
        Param("job_id", Annotated[str, Meta(pattern=f"^{keys.TRAINING}$")], "from POST /training-jobs"),
    )
}
VERSION_NUMBER = Param("version", Annotated[str, Meta(pattern="^[1-9][0-9]{0,8}$")], "the version's number")

# ---- queries


def limit(most: int = 1000, default: int = 100) -> Param:
    return Param("limit", Annotated[int, Meta(ge=1, le=most)], "the page's length, at most", default)


def following(of: Any = str) -> Param:
    return Param("next", of, "the `next` of the page before")


# ---- headers

KEY = Param("x-request-key", str, "what a split alias sticks to; without it, the token")
IDEMPOTENCY = Param(
    "Idempotency-Key",
    Annotated[str, Meta(pattern=f"^{IDEMPOTENCY_KEY}$")],
    "a transition with the key of an earlier one by the same token is not carried out again",
)
ENCODED = Param("Content-Encoding", Literal["identity", "gzip", "deflate"], "how the body is compressed", "identity")
ACCEPTED = Param("Accept-Encoding", str, "gzip and deflate are given")
JSON_LENGTH = Param(
    "Inference-Header-Content-Length",
    Annotated[int, Meta(ge=0)],
    "where the JSON ends and binary tensors begin, in bytes; 0: the body is the model's only input, without JSON",
)
ANSWERED_BY = (
    Param("x-amaas-version", Annotated[int, Meta(ge=1)], "the version that answered"),
    Param("x-amaas-revision", Annotated[int, Meta(ge=1)], "the revision of the model's log at which it was resolved"),
)
