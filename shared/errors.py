"""Every error a user can meet. Each class carries its HTTP status; its message says what happened and what to do.

AmaasError
├── BadInput      400  the request, the package or a tensor is wrong
├── Unauthenticated 401  no token, or one that is unknown, expired or revoked
├── Forbidden     403  the token lacks the scope
├── NotFound      404  no such model, version, alias, upload or object
├── Conflict      409  the state moved, or the name is taken
├── TooLarge      413  a body or a file over its limit
├── Unsupported   415  a content type that the task does not take
├── KeyReused     422  an Idempotency-Key of another call
├── TooMany       429  a limit of the token is reached
├── NotImplemented_ 501  a part of a protocol that is deliberately absent
├── Unavailable   503  a dependency is out of reach or corrupt; try again
│   └── TooNew    503  what is stored was written by a later release (formats.py)
└── OutOfTime     504  the call's deadline has passed (deadline.py)
"""

from __future__ import annotations

from typing import Any

REQUEST_ID = "x-request-id"  # the header of every error that the body's request_id is in as well
INTERNAL = "internal"
OPENAI = "/v1/"  # where paths begin whose clients are those of OpenAI's API and its relatives: they read another form
# what follows it there: a client whose base_url ends without /v1 calls these paths
STRAYS = ("/chat/", "/audio/", "/completions", "/embeddings", "/responses")
# of an error, by its status; of others it is the request's, or the server's
OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def hint_on(path: str) -> str:
    """The end of a sentence on a path that is not there, where a client of OpenAI's begins its paths elsewhere."""
    if path.startswith(STRAYS):
        return ": what OpenAI's clients call is below /v1, so their base_url is the API's address with /v1 behind it"
    return ": the client's base_url has /v1 once too often" if path.startswith(OPENAI + OPENAI[1:]) else ""


def body_for(path: str, status: int, message: str, code: str = "", request_id: str = "") -> dict[str, Any]:
    """The body of an error's answer, in the form that clients of the path read.

    code: of the error's class, of its status if empty. request_id: the gateway's number of the call, if there is one.
    """
    code = code or CODES.get(status, INTERNAL)
    identified = {"request_id": request_id} if request_id else {}
    if not path.startswith((OPENAI, *STRAYS)):
        return {"error": message, "code": code, **identified}
    kind = OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **identified}}


def message_in(body: Any) -> Any:
    """What `body_for` was told, of either form; anything else as it is."""
    error = body.get("error", body) if isinstance(body, dict) else body
    return error.get("message", error) if isinstance(error, dict) else error


class AmaasError(Exception):
    """Base of all expected errors; anything else that reaches the handler is a bug and answered with 500."""

    status = 500
    # the class in one word, for programs: the message is for people, and may change
    code = INTERNAL
    # seconds after which the same call may succeed; None where it will not, as it is
    retry_after: int | None = None

    def body(self, path: str = "", request_id: str = "") -> dict[str, Any]:
        """As an answer to who called the path."""
        return body_for(path, self.status, str(self), self.code, request_id)


class BadInput(AmaasError):
    status = 400
    code = "bad_input"


class Unauthenticated(AmaasError):
    status = 401
    code = "unauthenticated"


class Forbidden(AmaasError):
    status = 403
    code = "forbidden"


class NotFound(AmaasError):
    status = 404
    code = "not_found"


class Conflict(AmaasError):
    status = 409
    code = "conflict"


class TooLarge(AmaasError):
    status = 413
    code = "too_large"


class Unsupported(AmaasError):
    status = 415
    code = "unsupported"


class KeyReused(AmaasError):
    status = 422
    code = "key_reused"


class TooMany(AmaasError):
    status = 429
    code = "too_many"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotImplemented_(AmaasError):  # the underscore: the bare name would shadow the builtin constant
    status = 501
    code = "not_implemented"


class Unavailable(AmaasError):
    status = 503
    code = "unavailable"
    retry_after = 1


class OutOfTime(AmaasError):
    status = 504
    code = "out_of_time"


# by status, where only that is known: in answers that an earlier release kept
CODES = {one.status: one.code for one in AmaasError.__subclasses__()}
