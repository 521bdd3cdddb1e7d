"""What can go wrong, as a caller sees it.

AmaasError
├── ApiError       the service or its storage refused; `status` and its own message
├── Rejected       an upload did not pass the checks; `code` and the reason
└── NotConnected   no address, no token, or no answer from there
"""

from __future__ import annotations

from typing import Any


class AmaasError(Exception):
    """The root. Raised itself for errors on the caller's side, such as a package without a model."""


class ApiError(AmaasError):
    """status: the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Rejected(AmaasError):
    """upload: the upload's state, as the service answered it. code: stable, for programs; None if there is none."""

    def __init__(self, upload: dict[str, Any]) -> None:
        super().__init__(upload.get("reason") or "the service gave no reason")
        self.code: str | None = upload.get("code")
        self.upload = upload


class NotConnected(AmaasError):
    """The message says which option to give, which variable to set, or what to start."""
