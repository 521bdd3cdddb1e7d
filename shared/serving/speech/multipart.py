"""Bodies in multipart/form-data (RFC 7578): the form that clients of OpenAI's API send a sound in.

A split at the boundary, and nothing more: parts are flat, and no transfer encoding is known, which RFC 7578 forbids.
"""

from __future__ import annotations

from email.message import Message

from msgspec import Struct

from shared.errors import BadInput, Unsupported

KIND = "multipart/form-data"
MOST_PARTS = 64
MOST_HEADER = 4096  # bytes of a part's headers


class Part(Struct, frozen=True):
    """One field. file: the name that the client gave a file; None of plain text."""

    name: str
    content: bytes
    file: str | None


def parse(body: bytes, content_type: str) -> list[Part]:
    """The fields in their order. Raises Unsupported for another type of body, BadInput for one that is not whole."""
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() != KIND:
        raise Unsupported(f"this route takes {KIND}, as in curl -F file=@speech.wav, not {content_type[:80]!r}")
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadInput("the content type has no boundary of 1 to 70 characters: have an HTTP library make the body")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MOST_PARTS + 1)
    if not parts or not parts[-1].startswith(b"--"):
        raise BadInput(f"the body has no end, or more than {MOST_PARTS} fields: send all of it, and only those known")
    return [_part(part) for part in parts[:-1]]


def _part(raw: bytes) -> Part:
    """Of what stands between two boundaries: the rest of the line, headers, an empty line, content."""
    line, _, rest = raw.partition(b"\r\n")
    head, separator, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if line.strip() or not separator or len(head) > MOST_HEADER:
        raise BadInput("a field of the body has no headers, or too long ones: have an HTTP library make the body")
    header = Message()
    for entry in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = entry.partition(":")
        if name.strip().lower() == "content-disposition":
            header["content-disposition"] = value.strip()
    field, file = (header.get_param(key, header="content-disposition") for key in ("name", "filename"))
    if not isinstance(field, str):
        raise BadInput("a field of the body has no name: have an HTTP library make the body")
    return Part(field, content, file if isinstance(file, str) else None if file is None else file[2])
