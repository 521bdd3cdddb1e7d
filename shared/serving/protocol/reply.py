"""The answer of an infer call: one JSON document, and after it the outputs that were asked for in binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from msgspec import Struct

from shared.errors import TooLarge
from shared.serving.protocol import binary, compression
from shared.serving.protocol.classification import classify
from shared.serving.protocol.message import Wanted
from shared.serving.protocol.values import datatype_of, to_json

# Lambda returns 6 MB (6,291,556 bytes) of JSON in one call, of which this leaves some for the headers. Bytes are in it
# as base64, text with its quotation marks escaped.
MAX_ANSWER_BYTES = 6_000_000
TEXT, BYTES = "application/json", "application/octet-stream"


class Reply(Struct, frozen=True):
    body: bytes
    headers: dict[str, str]


def answer(
    model: str,
    version: int,
    request_id: str | None,
    outputs: list[tuple[Wanted, np.ndarray]],
    *,
    labels: list[str] | None = None,
    accepted: str | None = None,
) -> Reply:
    """The outputs as they were asked for. labels: names of the classes. accepted: the caller's Accept-Encoding.

    Raises TooLarge when one call cannot return so much.
    """
    tensors: list[dict[str, Any]] = []
    buffers: list[Any] = []
    for want, array in outputs:
        given = classify(array, want.classes, labels or []) if want.classes else array
        tensor = {"name": want.name, "datatype": datatype_of(given), "shape": list(given.shape)}
        if want.binary:
            buffers.append(binary.encode(given))
            tensors.append(tensor | {"parameters": {"binary_data_size": len(buffers[-1])}})
        else:
            tensors.append(tensor | {"data": to_json(given)})
    body: dict[str, Any] = {"model_name": model, "model_version": str(version), "outputs": tensors}
    if request_id is not None:
        body["id"] = request_id
    document = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    if not buffers:
        return _packed(document, {"Content-Type": TEXT}, accepted)
    headers = {"Content-Type": BYTES, "Inference-Header-Content-Length": str(len(document))}
    return _packed(b"".join([document, *buffers]), headers, accepted)


def packed(answer: Any, accepted: str | None) -> Reply:
    """An answer that is JSON alone. Raises TooLarge as above."""
    return _packed(orjson.dumps(answer), {"Content-Type": TEXT}, accepted)


def _packed(body: bytes, headers: dict[str, str], accepted: str | None) -> Reply:
    is_text = headers["Content-Type"] == TEXT
    size = _travelling(body, is_text)
    pays = (is_text and len(body) >= compression.LEAST_UNASKED) or size > MAX_ANSWER_BYTES
    small, coding = compression.shrunk(body, accepted, unasked=pays)
    if coding:
        headers["Content-Encoding"] = coding
        size = _travelling(small, is_text=False)
    if size > MAX_ANSWER_BYTES:
        raise TooLarge(
            f"the answer takes {size:,} bytes, one call can return {MAX_ANSWER_BYTES:,}: send fewer inputs at a time, "
            f"ask for fewer outputs, {'for binary ones, ' if is_text else ''}or accept gzip (Accept-Encoding)"
        )
    return Reply(small, headers)


def _travelling(body: bytes, is_text: bool) -> int:
    """Bytes of the body within the function's answer."""
    return len(body) + body.count(b'"') + body.count(b"\\") if is_text else -(-len(body) // 3) * 4
