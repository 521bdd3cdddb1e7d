"""What can go wrong, as a caller sees it.

AmaasError
├── ApiError       the service or its storage refused; `status` and its own message
├── Rejected       an upload did not pass the gate; `code` and the reason
└── NotConnected   no address, no token, or nobody answers there
"""

from __future__ import annotations

from typing import Any


class AmaasError(Exception):
    """The root. Raised itself for what is wrong on this side, as a package without a model."""


class ApiError(AmaasError):
    """status: the HTTP status that was answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Rejected(AmaasError):
    """upload: the state that the service answered. code: stable, for programs; None where the service gave none."""

    def __init__(self, upload: dict[str, Any]) -> None:
        super().__init__(upload.get("reason") or "no reason was given")
        self.code: str | None = upload.get("code")
        self.upload = upload


class NotConnected(AmaasError):
    """The message says what to give, set or start."""
