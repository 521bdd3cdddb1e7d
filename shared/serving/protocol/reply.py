"""The answer of an infer call: one JSON document, and after it the outputs that were asked for in binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from shared import budget
from shared.runtime.arrays import TEXT, datatype_of
from shared.serving import content
from shared.serving.content import JSON, Reply
from shared.serving.protocol import binary
from shared.serving.protocol.message import RequestedOutput
from shared.serving.protocol.values import to_json

OCTETS = "application/octet-stream"
NUMBER_ROOM, TEXT_ROOM = 12, 64  # bytes of one in JSON, or in a list, beside its characters


def answer(
    model: str,
    version: int,
    request_id: str | None,
    outputs: list[tuple[RequestedOutput, np.ndarray]],
    *,
    labels: list[str] | None = None,
    accepted: str | None = None,
) -> Reply:
    """The outputs as they were asked for. labels: names of the classes. accepted: the caller's Accept-Encoding.

    Raises TooLarge when one call cannot return so much.
    """
    content.check_size(sum(_least(requested, array) for requested, array in outputs), accepted)
    budget.take(sum(_room(requested, array) for requested, array in outputs), "the answer")
    tensors: list[dict[str, Any]] = []
    buffers: list[Any] = []
    for requested, array in outputs:
        values = _classify(array, requested.classes, labels or []) if requested.classes else array
        tensor = {"name": requested.name, "datatype": datatype_of(values), "shape": list(values.shape)}
        if requested.binary:
            buffers.append(binary.encode(values))
            tensors.append(tensor | {"parameters": {"binary_data_size": len(buffers[-1])}})
        else:
            tensors.append(tensor | {"data": to_json(values)})
    body: dict[str, Any] = {"model_name": model, "model_version": str(version), "outputs": tensors}
    if request_id is not None:
        body["id"] = request_id
    document = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    if not buffers:
        return content.reply(document, {"Content-Type": JSON}, accepted)
    headers = {"Content-Type": OCTETS, "Inference-Header-Content-Length": str(len(document))}
    return content.reply(b"".join([document, *buffers]), headers, accepted)


def _least(requested: RequestedOutput, array: np.ndarray) -> int:
    """The fewest bytes that an output takes in the answer: a number and a comma, a text and its marks, or base64."""
    if requested.classes:
        from shared.serving.protocol import classification  # as below

        return classification.least(array, requested.classes)
    texts = sum(len(text) for text in array.reshape(-1)) if array.dtype.kind in TEXT else 0
    if requested.binary:
        return (texts + 4 * array.size if texts else array.nbytes) * 4 // 3
    return texts + array.size * (3 if texts else 2)


def _room(requested: RequestedOutput, array: np.ndarray) -> int:
    """Bytes that an output takes while the answer is built: its JSON or binary data, and what it is part of."""
    if requested.classes:
        return 0  # which is asked for there
    if array.dtype.kind in TEXT:
        return array.size * TEXT_ROOM
    return 2 * array.nbytes if requested.binary else array.size * NUMBER_ROOM


def _classify(array: np.ndarray, count: int, labels: list[str]) -> np.ndarray:
    from shared.serving.protocol import classification  # few calls ask for it: no module of every cold start

    return classification.classify(array, count, labels)
