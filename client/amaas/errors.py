"""What can go wrong, as a caller sees it.

AmaasError
├── ApiError       the service or its storage refused; `status` and its own message
├── Rejected       an upload did not pass the checks; `code` and the reason
└── NotConnected   no address, no token, or no answer from there
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any


class AmaasError(Exception):
    """The root. Raised itself for errors on the caller's side, such as a package without a model.

    code: a word for programs; request_id: of the call that was refused, for the service's log. None if there is none.
    """

    code: str | None = "failed"
    request_id: str | None = None


class ApiError(AmaasError):
    """status: the HTTP status of the response. code: the service's own word, else the status' name."""

    def __init__(self, status: int, message: str, *, code: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or _name(status)
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        """Processes of a pool send errors to each other."""
        return partial(ApiError, code=self.code, request_id=self.request_id), (self.status, str(self))


class Rejected(AmaasError):
    """upload: the upload's state, as the service answered it. code: stable, for programs; None if there is none."""

    def __init__(self, upload: dict[str, Any]) -> None:
        super().__init__(upload.get("reason") or "the service gave no reason")
        self.code = upload.get("code")
        self.upload = upload

    def __reduce__(self) -> tuple[Any, ...]:
        return Rejected, (self.upload,)


class NotConnected(AmaasError):
    """The message says which option to give, which variable to set, or what to start."""

    code = "not_connected"


def _name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "failed"
