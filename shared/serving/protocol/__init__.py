"""Open Inference Protocol V2: from a request's bytes to numpy arrays, and from arrays to the bytes of an answer.

parse → feeds, wanted → (the model runs) → answer. Every departure from the protocol or from the model's signature is a
BadInput that names the tensor and what is wrong with it; docs/decisions/0009-protocol.md says what was chosen, and why.

message         the request: JSON, binary tensors after it, or a bare tensor
values          JSON values ↔ arrays
binary          raw little-endian bytes ↔ arrays
classification  scores → "value:index:label"
reply           the answer: JSON and binary tensors
"""

from shared.serving.protocol.message import Asked, InferInput, InferOutput, Wanted, check_shape, feeds, parse, wanted
from shared.serving.protocol.reply import answer
from shared.serving.protocol.values import nested, to_array, to_json

__all__ = [
    "Asked",
    "InferInput",
    "InferOutput",
    "Wanted",
    "answer",
    "check_shape",
    "feeds",
    "nested",
    "packed",
    "parse",
    "plain",
    "to_array",
    "to_json",
    "wanted",
]
