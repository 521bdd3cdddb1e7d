"""Aligned weights within a model's file. Bytes only: nothing here imports ONNX Runtime or the onnx package.

ONNX Runtime maps weights that are in a file of their own into memory, and copies weights inside the model. A model
with aligned weights gets both: one file with one digest, which any tool reads, and in memory the same graph with
references into that file. Format: protobuf's encoding, and onnx.proto (ModelProto.graph, GraphProto.initializer,
TensorProto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from mmap import mmap
from typing import NamedTuple

ALIGNMENT = 64  # bytes: the widest vector that kernels may load at once
LARGE = 1024  # bytes: smaller tensors, such as shapes, are read while the model is loaded, and must be inside

GRAPH, INITIALIZER = 7, 5
DIMENSIONS, TYPE, NAME, RAW, DOC, EXTERNAL, LOCATION = 1, 2, 8, 9, 12, 13, 14
FIXED = {1: 8, 5: 4}  # bytes by wire type
Data = bytes | mmap


class Field(NamedTuple):
    """One field of a message: its number, and the offsets where it starts, where its content starts, where both end."""

    number: int
    start: int
    content: int
    end: int


class Weight(NamedTuple):
    """A large tensor of a model's graph: the offsets between which its bytes are. type: of TensorProto.DataType."""

    name: str
    type: int
    shape: list[int]
    start: int
    end: int


class Reference(NamedTuple):
    """A tensor of a model's graph that is in another file. length: in bytes; None: up to the file's end."""

    name: str
    type: int
    shape: list[int]
    location: str
    offset: int
    length: int | None


def aligned(model: bytes) -> bytes:
    """The same model with the bytes of each large tensor at a multiple of ALIGNMENT; `model` itself if they are.

    Gaps are filled with spaces, in the tensors' doc_string. Raises ValueError if it is not a plain ONNX file.
    """
    [graph], others = _split(fields(model, 0, len(model)), GRAPH)
    tensors, rest = _split(fields(model, graph.content, graph.end), INITIALIZER)
    if all(_aligned_raw(model, tensor) for tensor in tensors if _raw(model, tensor)):
        return model
    before, body = _join(model, others), _join(model, rest)
    for width in range(1, 6):  # of the graph's length in bytes, which shifts all that follows
        start = len(before) + 1 + width
        chunks, end = _lay_out(model, tensors, start + len(body))
        head = _head(GRAPH, end - start)
        if len(head) == 1 + width:
            return b"".join([before, head, body, *chunks])
    raise ValueError("the graph is too large to be encoded")


def mapped(model: Data, location: str) -> bytes | None:
    """The model with its large tensors replaced by references into its own file. location: that file's name.

    Tensors that are not aligned stay inside; None if all of them do. Raises ValueError as `aligned` does.
    """
    [graph], others = _split(fields(model, 0, len(model)), GRAPH)
    chunks, copied, references = [], graph.content, 0  # copied: the offset up to which the graph is in chunks
    for field in fields(model, graph.content, graph.end):
        if field.number != INITIALIZER or not (raw := _aligned_raw(model, field)):
            continue
        references += 1
        chunks += [model[copied : field.start], _reference(model, field, raw, location, raw.content)]
        copied = field.end
    body = b"".join([*chunks, model[copied : graph.end]])
    return b"".join([_join(model, others), _head(GRAPH, len(body)), body]) if references else None


def externalized(model: Data, location: str, write: Callable[[memoryview | bytes], None], end: int = 0) -> bytes:
    """The model with its large tensors replaced by references into another file, to which they are written, aligned.

    location: that file's name. end: its size before, in bytes. Raises ValueError as `aligned` does, and what `write`
    raises.
    """
    [graph], others = _split(fields(model, 0, len(model)), GRAPH)
    chunks, copied = [], graph.content  # copied: as in `mapped`
    for field in fields(model, graph.content, graph.end):
        if field.number != INITIALIZER or not (raw := _raw(model, field)):
            continue
        gap = -end % ALIGNMENT
        write(b"\0" * gap)
        with memoryview(model) as view, view[raw.content : raw.end] as part:
            write(part)
        chunks += [model[copied : field.start], _reference(model, field, raw, location, end + gap)]
        copied, end = field.end, end + gap + raw.end - raw.content
    body = b"".join([*chunks, model[copied : graph.end]])
    return b"".join([_join(model, others), _head(GRAPH, len(body)), body])


def weights(model: Data) -> list[Weight]:
    """The tensors that `mapped` replaces by references. Raises ValueError as `aligned` does."""
    [graph], _ = _split(fields(model, 0, len(model)), GRAPH)
    tensors = [field for field in fields(model, graph.content, graph.end) if field.number == INITIALIZER]
    return [_weight(model, tensor, raw) for tensor in tensors if (raw := _aligned_raw(model, tensor))]


def references(model: Data) -> list[Reference]:
    """The tensors of the graph itself that are in other files. Raises ValueError as `aligned` does."""
    [graph], _ = _split(fields(model, 0, len(model)), GRAPH)
    tensors = [field for field in fields(model, graph.content, graph.end) if field.number == INITIALIZER]
    return [reference for tensor in tensors if (reference := _referred(model, tensor))]


def _referred(model: Data, tensor: Field) -> Reference | None:
    entries: dict[str, str] = {}
    for field in fields(model, tensor.content, tensor.end):
        if field.number == EXTERNAL:
            pair = {part.number: part for part in fields(model, field.content, field.end)}
            key, value = (model[pair[n].content : pair[n].end].decode() if n in pair else "" for n in (1, 2))
            entries[key] = value
    if not entries:
        return None
    length = entries.get("length")
    offset = int(entries.get("offset") or 0)
    return Reference(*_described(model, tensor), entries.get("location", ""), offset, int(length) if length else None)


def _weight(model: Data, tensor: Field, raw: Field) -> Weight:
    return Weight(*_described(model, tensor), raw.content, raw.end)


def _described(model: Data, tensor: Field) -> tuple[str, int, list[int]]:
    """A tensor's name, type and shape."""
    name, kind = "", 0
    shape: list[int] = []
    for field in fields(model, tensor.content, tensor.end):
        if field.number == NAME:
            name = model[field.content : field.end].decode()
        elif field.number == TYPE:
            kind, _ = _number(model, field.content, field.end)
        elif field.number == DIMENSIONS:  # one, or all of them packed
            shape += _numbers(model, field)
    return name, kind, shape


def _reference(model: Data, tensor: Field, raw: Field, location: str, offset: int) -> bytes:
    _, rest = _split(fields(model, tensor.content, tensor.end), RAW)
    external_data = {"location": location, "offset": str(offset), "length": str(raw.end - raw.content)}
    entries = [_nested(1, key.encode()) + _nested(2, value.encode()) for key, value in external_data.items()]
    described = [field for field in rest if field.number != DOC]
    body = _join(model, described) + b"".join(_nested(EXTERNAL, entry) for entry in entries)
    return _nested(INITIALIZER, body + _varint(LOCATION << 3) + b"\x01")


def _lay_out(model: bytes, tensors: Sequence[Field], at: int) -> tuple[list[bytes], int]:
    """The initializers in their order, for a file in which they start at offset `at`; and the offset of their end."""
    chunks = []
    for tensor in tensors:
        raw = _raw(model, tensor)
        chunks.append(_pad(model, tensor, raw, at) if raw else model[tensor.start : tensor.end])
        at += len(chunks[-1])
    return chunks, at


def _pad(model: bytes, tensor: Field, raw: Field, at: int) -> bytes:
    """The initializer for offset `at`: its bytes last, and before them as many spaces as align them."""
    _, rest = _split(fields(model, tensor.content, tensor.end), RAW)
    body, head = _join(model, rest), _head(RAW, raw.end - raw.content)
    for spaces in range(ALIGNMENT):
        # first: of two doc_strings the last one counts, which is the tensor's own if it has one
        before = _nested(DOC, b" " * spaces) + body + head
        outer = _head(INITIALIZER, len(before) + raw.end - raw.content)
        if (at + len(outer) + len(before)) % ALIGNMENT == 0:
            return b"".join([outer, before, model[raw.content : raw.end]])
    raise ValueError("a tensor cannot be aligned")


def _raw(model: Data, tensor: Field) -> Field | None:
    """The bytes of a large tensor, if they are in one field of it and in no other file."""
    if tensor.end - tensor.content < LARGE:
        return None
    data = [
        field
        for field in fields(model, tensor.content, tensor.end)
        if field.number in (RAW, EXTERNAL) or (field.number == LOCATION and _number(model, field.content, field.end)[0])
    ]
    single = len(data) == 1 and data[0].number == RAW
    return data[0] if single and data[0].end - data[0].content >= LARGE else None


def _aligned_raw(model: Data, tensor: Field) -> Field | None:
    raw = _raw(model, tensor)
    return raw if raw and raw.content % ALIGNMENT == 0 else None


def _split(message: Iterator[Field], number: int) -> tuple[list[Field], list[Field]]:
    """The fields of a number, and the others."""
    matching: list[Field] = []
    rest: list[Field] = []
    for field in message:
        (matching if field.number == number else rest).append(field)
    if number == GRAPH and len(matching) != 1:
        raise ValueError(f"a model has one graph, not {len(matching)}")
    return matching, rest


def _join(model: Data, parts: Sequence[Field]) -> bytes:
    return b"".join([model[part.start : part.end] for part in parts])


def fields(data: Data, at: int, end: int) -> Iterator[Field]:
    """The fields of the message between two offsets. Raises ValueError unless the last one ends at `end`."""
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
            raise ValueError("a field is longer than its message")
        yield Field(tag >> 3, start, content, at)


def _number(data: Data, at: int, end: int) -> tuple[int, int]:
    """A varint, and the offset where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number is longer than its message, or than 64 bits")


def _numbers(data: Data, field: Field) -> Iterator[int]:
    at = field.content
    while at < field.end:
        value, at = _number(data, at, field.end)
        yield value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _head(number: int, length: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(length)


def _nested(number: int, body: bytes) -> bytes:
    return _head(number, len(body)) + body
