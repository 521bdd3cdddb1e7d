"""Where a model's file keeps its weights. Bytes only: nothing here knows ONNX Runtime or the onnx package.

ONNX Runtime maps weights that lie in a file of their own, and copies those inside of the model. A model whose weights
are aligned can be both: one file with one digest, which any tool reads, and beside it in memory the same graph with
references into that file. Format: protobuf's encoding, and onnx.proto (ModelProto.graph, GraphProto.initializer,
TensorProto).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from mmap import mmap
from typing import NamedTuple

ALIGNMENT = 64  # bytes: the widest vector that kernels may load at once
LARGE = 1024  # bytes: smaller tensors, shapes for one, are looked into while the model is loaded

GRAPH, INITIALIZER = 7, 5
DOC, RAW, EXTERNAL, LOCATION = 12, 9, 13, 14
FIXED = {1: 8, 5: 4}  # bytes by wire type
Data = bytes | mmap


class Field(NamedTuple):
    """One field of a message: its number, and where it starts, its content starts, and both end."""

    number: int
    start: int
    content: int
    end: int


def aligned(model: bytes) -> bytes:
    """The same model, the bytes of each large tensor at a multiple of ALIGNMENT; the model itself if they are already.

    What fills the gaps is spaces, in the tensors' doc_string. Raises ValueError for what is no plain ONNX file.
    """
    [graph], others = _split(fields(model, 0, len(model)), GRAPH)
    tensors, rest = _split(fields(model, graph.content, graph.end), INITIALIZER)
    if all(_placed(model, tensor) for tensor in tensors if _raw(model, tensor)):
        return model
    before, body = _joined(model, others), _joined(model, rest)
    for width in range(1, 6):  # how many bytes the graph's length takes, which moves all that follows
        start = len(before) + 1 + width
        chunks, end = _laid_out(model, tensors, start + len(body))
        head = _head(GRAPH, end - start)
        if len(head) == 1 + width:
            return b"".join([before, head, body, *chunks])
    raise ValueError("the graph has no length that agrees with itself")


def mapped(model: Data, location: str) -> bytes | None:
    """The model with references to its large tensors, in the file that it is itself, of that name.

    Tensors that are not aligned stay inside; None when all of them do. Raises ValueError as `aligned` does.
    """
    [graph], others = _split(fields(model, 0, len(model)), GRAPH)
    chunks, kept, found = [], graph.content, 0
    for field in fields(model, graph.content, graph.end):
        if field.number != INITIALIZER or not (raw := _placed(model, field)):
            continue
        found += 1
        chunks += [model[kept : field.start], _reference(model, field, raw, location)]
        kept = field.end
    body = b"".join([*chunks, model[kept : graph.end]])
    return b"".join([_joined(model, others), _head(GRAPH, len(body)), body]) if found else None


def _reference(model: Data, tensor: Field, raw: Field, location: str) -> bytes:
    _, rest = _split(fields(model, tensor.content, tensor.end), RAW)
    place = {"location": location, "offset": str(raw.content), "length": str(raw.end - raw.content)}
    entries = [_nested(1, key.encode()) + _nested(2, value.encode()) for key, value in place.items()]
    described = [field for field in rest if field.number != DOC]
    body = _joined(model, described) + b"".join(_nested(EXTERNAL, entry) for entry in entries)
    return _nested(INITIALIZER, body + _varint(LOCATION << 3) + b"\x01")


def _laid_out(model: bytes, tensors: Sequence[Field], at: int) -> tuple[list[bytes], int]:
    """The initializers from an offset on, in their order; and where they end."""
    chunks = []
    for tensor in tensors:
        raw = _raw(model, tensor)
        chunks.append(_padded(model, tensor, raw, at) if raw else model[tensor.start : tensor.end])
        at += len(chunks[-1])
    return chunks, at


def _padded(model: bytes, tensor: Field, raw: Field, at: int) -> bytes:
    """The initializer with its bytes last, and as many spaces before as put them in place."""
    _, rest = _split(fields(model, tensor.content, tensor.end), RAW)
    body, head = _joined(model, rest), _head(RAW, raw.end - raw.content)
    for spaces in range(ALIGNMENT):
        # first, so that a doc_string that is there is the one that counts
        before = _nested(DOC, b" " * spaces) + body + head
        outer = _head(INITIALIZER, len(before) + raw.end - raw.content)
        if (at + len(outer) + len(before)) % ALIGNMENT == 0:
            return b"".join([outer, before, model[raw.content : raw.end]])
    raise ValueError("a tensor cannot be put in place")


def _raw(model: Data, tensor: Field) -> Field | None:
    """A tensor's bytes, when there are many, once, and nowhere else."""
    if tensor.end - tensor.content < LARGE:
        return None
    found = [field for field in fields(model, tensor.content, tensor.end) if field.number in (RAW, EXTERNAL, LOCATION)]
    single = len(found) == 1 and found[0].number == RAW
    return found[0] if single and found[0].end - found[0].content >= LARGE else None


def _placed(model: Data, tensor: Field) -> Field | None:
    raw = _raw(model, tensor)
    return raw if raw and raw.content % ALIGNMENT == 0 else None


def _split(found: Iterator[Field], number: int) -> tuple[list[Field], list[Field]]:
    """The fields of a number, and the others."""
    chosen: list[Field] = []
    rest: list[Field] = []
    for field in found:
        (chosen if field.number == number else rest).append(field)
    if number == GRAPH and len(chosen) != 1:
        raise ValueError(f"a model has one graph, not {len(chosen)}")
    return chosen, rest


def _joined(model: Data, parts: Sequence[Field]) -> bytes:
    return b"".join([model[part.start : part.end] for part in parts])


def fields(data: Data, at: int, end: int) -> Iterator[Field]:
    """The fields of the message between two offsets. Raises ValueError when they do not end where it ends."""
    while at < end:
        start = at
        tag, at = _number(data, at, end)
        kind = tag & 7
        if kind == 2:
            length, at = _number(data, at, end)
            content, at = at, at + length
        elif kind == 0:
            content = at
            _, at = _number(data, at, end)
        elif kind in FIXED:
            content, at = at, at + FIXED[kind]
        else:
            raise ValueError(f"protobuf has no wire type {kind}")
        if at > end:
            raise ValueError("a field is longer than what it is in")
        yield Field(tag >> 3, start, content, at)


def _number(data: Data, at: int, end: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number does not end")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _head(number: int, length: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(length)


def _nested(number: int, body: bytes) -> bytes:
    return _head(number, len(body)) + body
