"""A form in multipart/form-data → the body that says the same without one, which the model's task reads as any other.

A file is the body, with its part's content type; several of one name are a list. Without a file, fields are a row's
columns, or texts. All other fields are options, as in the query.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import PurePath
from typing import Any

import msgspec

from shared.errors import BadInput, Unsupported
from shared.serving.content import JSON
from shared.serving.inputs import multipart
from shared.serving.inputs.multipart import Part
from shared.values import texts

Raw = tuple[bytes, str, dict[str, str]]  # body, content type, query
CHARSET = "_charset_"  # a form's own field: of its fields (RFC 7578, 4.6)
TEXT, PAIR, LIST = "text", "pair", "[]"
# what clients say of files that they know nothing of; Excel's is what browsers on Windows say of a CSV
UNKNOWN = ("", "application/octet-stream", "application/vnd.ms-excel")
BY_SUFFIX = {".csv": "text/csv", ".json": JSON, ".txt": "text/plain"}
# kinds of inputs, as Manifest.input_kind has them
OF_FILES = {"image": "image", "audio": "audio", "speech": "audio"}
OF_TEXTS = ("text", "prompt")
LACKS = {
    "table": "send the columns as fields, or rows as a file (CSV or JSON)",
    "text": "send a field `text`, or a text as a file",
    "prompt": "send a field `text`, or a text as a file",
}


def as_raw(body: bytes, content_type: str, query: dict[str, str], kind: str | None) -> Raw:
    """Body, content type and query as they would be without a form; as they are, where they are none.

    kind: of the model's inputs; None: tensors. Raises BadInput for a form that is not whole, or not one for such a
    model; Unsupported for a file of another kind.
    """
    if not multipart.is_form(content_type):
        return body, content_type, query
    # what browsers send of a field for files in which none was chosen
    parts = [part for part in multipart.parse(body, content_type) if part.file != "" or part.content]
    files = [part for part in parts if _is_file(part)]
    fields = _fields([part for part in parts if not _is_file(part)])
    if files:
        return *_of_files(files, kind), {**query, **_once(fields)}
    if kind == "table" and fields:
        return msgspec.json.encode({"input": _once(fields)}), JSON, query
    items = [value for name, value in fields if name in (TEXT, TEXT + LIST)] if kind in OF_TEXTS else []
    if not items:
        raise BadInput(f"the form has no input: {LACKS.get(kind or '', 'send it as a file')}, as in curl -F file=@…")
    others = _once([(name, value) for name, value in fields if name not in (TEXT, TEXT + LIST)])
    pair = others.pop(PAIR, None) if kind == "text" else None
    if len(items) > 1 or any(name == TEXT + LIST for name, _ in fields):
        if pair is not None:
            raise BadInput("the form has a `pair`, and several texts: send pairs as JSON")
        return msgspec.json.encode({"inputs": items}), JSON, {**query, **others}
    item = items[0] if pair is None else {TEXT: items[0], PAIR: pair}
    return msgspec.json.encode({"input": item}), JSON, {**query, **others}


def _is_file(part: Part) -> bool:
    """A part with a name of a file; or one of a type that no text field has, as clients send bytes without a name."""
    return part.file is not None or texts.content_type(part.kind).kind not in ("", "text/plain")


def _fields(parts: list[Part]) -> list[tuple[str, str]]:
    """Names and texts. Raises BadInput, Unsupported where a text is not in the charset that it is declared in."""
    charset = next((part.content.decode("ascii", "replace") for part in parts if part.name == CHARSET), None)
    named = [(part, texts.content_type(part.kind).charset or charset) for part in parts if part.name != CHARSET]
    try:
        return [(part.name, texts.decoded(part.content, said)) for part, said in named]
    except BadInput as error:
        raise BadInput(f"a field of the form: {error}") from error


def _once(fields: list[tuple[str, str]]) -> dict[str, str]:
    once = dict(fields)
    if len(once) < len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(
            f"the field {twice[:80]!r} is there twice: send it once; labels with commas in between, several rows as "
            "a file (CSV or JSON)"
        )
    return once


def _of_files(files: list[Part], kind: str | None) -> tuple[bytes, str]:
    """The body that one file is, or JSON with a list of several: of a name that ends in [], of one, too."""
    first = files[0]
    if len(files) == 1 and not first.name.endswith(LIST):
        return first.content, _type_of(first, kind)
    names = sorted({part.name[:80] for part in files})
    if len(names) > 1:
        raise BadInput(f"the form has files in the fields {names[:10]}: a list is files in fields of one name")
    if kind in OF_FILES:
        items: list[Any] = [b64encode(_of_kind(part, kind)).decode() for part in files]
    elif kind in OF_TEXTS:
        items = [_text(part, kind) for part in files]
    else:
        raise BadInput(f"the form has {len(files):,} files: this model takes one in a call, a CSV or JSON with all")
    return msgspec.json.encode({"inputs": items}), JSON


def _type_of(part: Part, kind: str | None) -> str:
    """A file's content type: as declared; where nothing is known, as the end of its name says."""
    declared = texts.content_type(part.kind).kind
    if declared not in UNKNOWN:
        return part.kind
    known = BY_SUFFIX.get(PurePath(part.file or "").suffix.lower(), part.kind)
    return known or ("text/plain" if kind in OF_TEXTS else "")  # the default by RFC 7578, 4.4


def _of_kind(part: Part, kind: str) -> bytes:
    declared, wanted = _type_of(part, kind), OF_FILES[kind]
    if not declared or declared.startswith((f"{wanted}/", "application/octet-stream")):
        return part.content
    raise Unsupported(
        f"the file {(part.file or '')[:80]!r} is {declared[:80]!r}: a list is of files of {wanted}/… only"
    )


def _text(part: Part, kind: str) -> str:
    declared = texts.content_type(_type_of(part, kind))
    if not declared.kind.startswith(("text/", "application/octet-stream")):
        name = (part.file or "")[:80]
        raise Unsupported(f"the file {name!r} is {declared.kind[:80]!r}: several files are a list of text/… only")
    return texts.decoded(part.content, declared.charset)
