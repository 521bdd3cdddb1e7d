"""Bodies in multipart/form-data (RFC 7578): what curl -F, HTML forms and HTTP libraries send files in.

A split at the boundary, and nothing more: parts are flat, and no transfer encoding is known, which RFC 7578 forbids.
"""

from __future__ import annotations

from urllib.parse import unquote

from msgspec import Struct

from shared.errors import BadInput, Unsupported
from shared.values import texts
from shared.values.texts import ContentType

KIND = "multipart/form-data"
MOST_PARTS = 2048
MOST_HEADER = 4096  # bytes of a part's headers
HOW = "have an HTTP library make the body"
PLAIN = ("binary", "8bit", "7bit")  # transfer encodings that are none
# what browsers and curl write in the place of a quotation mark and of the ends of lines in names; they quote no %
QUOTED = {"%22": '"', "%0D": "\r", "%0A": "\n"}


class Part(Struct, frozen=True):
    """One field. file: the name that the client gave a file; None of plain text. kind: its Content-Type, "" of none."""

    name: str
    content: bytes
    file: str | None
    kind: str = ""


def is_form(content_type: str) -> bool:
    return texts.content_type(content_type).kind == KIND


def parse(body: bytes, content_type: str) -> list[Part]:
    """The fields in their order. Raises Unsupported for another type of body, BadInput for one that is not whole."""
    declared = texts.content_type(content_type)
    if declared.kind != KIND:
        raise Unsupported(f"this route takes {KIND}, as in curl -F file=@speech.wav, not {content_type[:80]!r}")
    boundary = declared.parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadInput(f"the content type has no boundary of 1 to 70 characters: {HOW}, and its Content-Type")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MOST_PARTS + 1)
    if not parts:
        raise BadInput(f"the body has no line with the boundary that its content type declares: {HOW}")
    if not parts[-1].startswith(b"--"):
        raise BadInput(f"the body has no end, or more than {MOST_PARTS:,} fields: send all of it, or fewer in a call")
    return [_part(part) for part in parts[:-1]]


def _part(raw: bytes) -> Part:
    """Of what stands between two boundaries: the rest of the line, headers, an empty line, content."""
    line, _, rest = raw.partition(b"\r\n")
    head, separator, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if line.strip() or not separator or len(head) > MOST_HEADER:
        raise BadInput(f"a field of the body has no headers, or too long ones: {HOW}")
    entries = [entry.partition(":") for entry in head.decode("utf-8", "replace").split("\r\n")]
    headers = {name.strip().lower(): value.strip() for name, _, value in entries}
    disposition = texts.content_type(headers.get("content-disposition", ""))
    name = disposition.parameters.get("name")
    if name is None:
        raise BadInput(f"a field of the body has no name: {HOW}")
    encoding = headers.get("content-transfer-encoding", "binary")
    if encoding.lower() not in PLAIN:
        raise BadInput(f"the field {name[:80]!r} is in the transfer encoding {encoding[:40]!r}: send its bytes as such")
    return Part(_unquoted(name), content, _file(disposition), headers.get("content-type", ""))


def _file(disposition: ContentType) -> str | None:
    """The file's name. filename* (RFC 5987) is in no form by RFC 7578, and some clients send it, alone or beside."""
    extended = disposition.parameters.get("filename*")
    if extended is not None:
        return unquote(extended.rpartition("'")[2])
    plain = disposition.parameters.get("filename")
    return None if plain is None else _unquoted(plain)


def _unquoted(name: str) -> str:
    for code, character in QUOTED.items():
        name = name.replace(code, character)
    return name
