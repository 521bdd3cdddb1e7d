"""Open Inference Protocol V2: from a request's bytes to numpy arrays, and from arrays to the bytes of an answer.

parse → feeds, requested_outputs → (the model runs) → answer. Every departure from the protocol or from the model's
signature is a BadInput that names the tensor and what is wrong with it. Why the protocol is read this way:
docs/decisions/0009-protocol.md.

message         the request: JSON, binary tensors after it, or a bare tensor
values          JSON values ↔ arrays
binary          raw little-endian bytes ↔ arrays
classification  scores → "value:index:label"
reply           the answer: JSON and binary tensors
"""

from shared.serving.protocol.message import (
    InferInput,
    InferOutput,
    ParsedRequest,
    RequestedOutput,
    check_shape,
    feeds,
    parse,
    requested_outputs,
)
from shared.serving.protocol.reply import answer
from shared.serving.protocol.values import NESTED, nested, to_array, to_json

__all__ = [
    "NESTED",
    "InferInput",
    "InferOutput",
    "ParsedRequest",
    "RequestedOutput",
    "answer",
    "check_shape",
    "feeds",
    "nested",
    "parse",
    "requested_outputs",
    "to_array",
    "to_json",
]
