"""Clients of AWS for which a reply that broke off in its headers is an error, and not a short reply.

Python's HTTP client takes the end of the stream for the end of the headers. Of a reply that is cut off there, the SDK
makes one without a body: an empty list of objects, an empty object, a signature without its bytes. Here it sees a
connection that was closed.
"""

from __future__ import annotations

from http.client import HTTPResponse, RemoteDisconnected
from typing import Any

import boto3
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPSConnection


class _Lines:
    """A file that remembers the last line that was read from it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.file.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class WholeHeaders(HTTPResponse):
    """Raises RemoteDisconnected for headers without their end, which is an empty line."""

    def begin(self) -> None:
        if self.headers is not None:  # it has begun
            return
        lines = _Lines(self.fp)
        self.fp = lines  # for as long as the headers are read
        try:
            super().begin()
        finally:
            self.fp = lines.file
        if lines.last not in (b"\r\n", b"\n"):
            raise RemoteDisconnected("the reply broke off in its headers")


for connection in (AWSHTTPConnection, AWSHTTPSConnection):
    connection.response_class = WholeHeaders


def client(service: str, **options: Any) -> Any:
    """As boto3.client."""
    return boto3.client(service, **options)
