"""The body of /predict → the inputs in it, and the caller's options: one file as it is, or JSON with one or many.

JSON is `{"input": …}` or `{"inputs": […], "parameters": {…}}`; files are in it as base64 text or data URLs.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from shared import json_faults
from shared.errors import BadInput, Unsupported
from shared.package.fields import Positive
from shared.values import texts

MOST = 1024
MOST_LABELS = 100  # that a call brings: each is a run of the model for each input
Label = Annotated[str, Meta(min_length=1, max_length=200)]
FORM = "application/x-www-form-urlencoded"
CURL = ", which curl -d says of anything: add -H 'Content-Type: …', or send a form by -F"
TABS = ": call it text/csv; delimiter=tab, or of a batch job, name it .csv and say delimiter=tab"
FILES = {"image": "image/png or image/jpeg", "audio": "audio/wav or audio/flac"}


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller may ask for beside the answer's default; in the query, or as the body's `parameters`."""

    top_k: Annotated[Positive | None, Meta(description="labels in the answer, at most")] = None
    threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, Meta(description="the least score of what is in the answer")
    ] = None
    dimensions: Annotated[Positive | None, Meta(description="how many numbers of an embedding")] = None
    labels: Annotated[
        str | Annotated[list[Label], Meta(min_length=1, max_length=MOST_LABELS)] | None,
        Meta(description="of zero-shot models: between which to choose; a text has them with commas in between"),
    ] = None
    template: Annotated[
        Annotated[str, Meta(pattern=r"\{\}", max_length=1000)] | None,
        Meta(description="of zero-shot models: the sentence that a label makes, with {} for the label"),
    ] = None
    multi_label: Annotated[
        bool | None, Meta(description="of zero-shot models: several labels may be right, each is scored by itself")
    ] = None
    delimiter: Annotated[
        Annotated[str, Meta(max_length=9)] | None,
        Meta(description="of a CSV, between fields: comma, semicolon, tab or pipe"),
    ] = None
    decimal: Annotated[
        Annotated[str, Meta(max_length=1)] | None, Meta(description="of a CSV, before fractions: a point or a comma")
    ] = None


OCTETS = "application/octet-stream"  # what programs say of a file that they know nothing of: it is what the model takes


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """id: the caller's own, which nothing here reads."""

    input: Any = UNSET
    inputs: Any = UNSET
    parameters: dict[str, Any] = {}
    id: Any = None


class Inputs(Struct, frozen=True):
    """The inputs of a call. many: the caller sent a list and gets one, even of a single answer."""

    items: list[Any]
    many: bool
    options: Options


def read(body: bytes, content_type: str, kind: str, query: dict[str, str]) -> Inputs:
    """What a body holds. kind: of the inputs, "image", "audio", "text" or "table". Raises BadInput, Unsupported."""
    if kind in FILES and (not content_type or content_type.startswith((f"{kind}/", OCTETS))):
        return Inputs([body], False, options(query))
    if kind == "text" and content_type.startswith(("text/", OCTETS)):
        return Inputs([texts.decoded(body)], False, options(query))
    if content_type and "json" not in content_type:
        also = FILES.get(kind, "text/plain" if kind == "text" else "text/csv")
        hint = CURL if FORM in content_type else TABS if "tab-separated" in content_type else ""
        raise Unsupported(f"this model takes {also}, or application/json, not {content_type[:80]!r}{hint}")
    request = _decode(body)
    if all(given is not UNSET and given is not None for given in (request.input, request.inputs)):
        raise BadInput('the body has "input" and "inputs", of which one would be left out: send all in "inputs"')
    many = isinstance(request.inputs, list)
    items = request.inputs if many else [request.inputs if request.input is UNSET else request.input]
    if items == [UNSET]:
        raise BadInput('the body has neither "input" nor "inputs": send {"input": …}, or {"inputs": […]} for many')
    if not 1 <= len(items) <= MOST:
        raise BadInput(f"the body has {len(items):,} inputs: send 1 to {MOST:,} in a call, or a batch job for more")
    items = [_decode_file(item, number) for number, item in enumerate(items)] if kind in FILES else items
    return Inputs(items, many, options({**query, **request.parameters}))


def _decode(body: bytes) -> Body:
    try:
        return msgspec.json.decode(body, type=Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = json_faults.reason(body, error)
        raise BadInput(
            f'the body must be JSON like {{"input": …}} or {{"inputs": […]}}, with options in "parameters": {why}'
        ) from error


def options(values: dict[str, Any]) -> Options:
    no_nulls(values)
    try:
        return msgspec.convert(values, Options, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"the options do not fit: {error}; there are {', '.join(Options.__struct_fields__)}") from error


def no_nulls(query: Mapping[str, Any]) -> None:
    """msgspec takes the text `null` for None where no text is expected; a query has no null. Raises BadInput."""
    for name, value in query.items():
        if value == "null":
            raise BadInput(f"the query's {name[:40]} does not fit: omit it, or give a value that is not null")


def _decode_file(item: Any, number: int) -> bytes:
    text = item.get("b64") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise BadInput(f'input {number} must be a file in base64, as text or {{"b64": …}}, not {type(text).__name__}')
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise BadInput(f"input {number} is a data URL that is not base64: write it as data:…;base64,…")
    if "://" in text[:12]:
        raise BadInput(f"input {number} is an address, from which nothing is fetched: send the file itself, in base64")
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return _decode_spelled(text, number)


def _decode_spelled(text: str, number: int) -> bytes:
    """Base64 in lines, as mail and `base64` of a shell have it, or in the alphabet for URLs."""
    try:
        return b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"input {number} is not base64 ({error}): encode all bytes of the file, padding included") from (
            error
        )
