"""Messages and tensors between a process and a runner, in memory that both have mapped. Nothing is ever unpickled.

The area has two halves: requests in the first, answers in the second. A half starts with a message (MessagePack), and
the tensors that it describes follow it, in its order, each at the next multiple of ALIGNMENT. A socket tells the other
side that there is a message, and how long it is. Numbers lie there as in memory, texts as MessagePack.

A reader takes nothing for granted: a runner may have been taken over by its model, and may write while it is read. So a
message is copied before it is decoded, sizes follow from shapes, and tensors are copied before anyone looks at them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shared.errors import TooLarge
from shared.runtime.arrays import DTYPES, datatype_of
from shared.runtime.datatypes import DATATYPES
from shared.runtime.signature import TensorSpec

MiB = 1 << 20
REQUEST_BYTES = 512 * MiB  # of address space; memory is taken as far as it is written to
ANSWER_BYTES = 256 * MiB
AREA_BYTES = REQUEST_BYTES + ANSWER_BYTES
REQUESTS = slice(0, REQUEST_BYTES)
ANSWERS = slice(REQUEST_BYTES, AREA_BYTES)
MESSAGE_BYTES = 4 * MiB  # of the longest message, which is a signature of some ten thousand tensors
ALIGNMENT = 64
MOST_DIMENSIONS = 32
# Of the texts of one tensor, which take some fifty bytes each beside their characters once they are decoded.
MOST_TEXTS = 2 << 20
TEXT_BYTES = 64 * MiB
TEXT, CHARACTER = 80, 5  # bytes of memory that a text takes at most, and each byte of it: as stored, and as characters
WORD = 8  # bytes of the length of a message


class Unreadable(Exception):
    """What the other side wrote is no message of ours."""


class Tensor(Struct, frozen=True, array_like=True):
    """size: bytes in the area."""

    name: str
    datatype: str
    shape: list[int]
    size: int


class Run(Struct, frozen=True, array_like=True):
    """Of a runner: compute the named outputs, or all."""

    outputs: list[str] | None
    feeds: list[Tensor]


class Ready(Struct, frozen=True, array_like=True, tag=1):
    """The model is loaded. filtered: the system-call filter is on."""

    inputs: list[TensorSpec]
    optional: list[TensorSpec]
    outputs: list[TensorSpec]
    filtered: bool


class Answer(Struct, frozen=True, array_like=True, tag=2):
    """The outputs, in the order of the request."""

    outputs: list[Tensor]


class Failure(Struct, frozen=True, array_like=True, tag=3):
    """kind: a key of runner.FAILURES. detail: ONNX Runtime's class of the error."""

    kind: str
    message: str
    detail: str = ""


Reply = Ready | Answer | Failure
RUN = msgspec.msgpack.Decoder(Run)
REPLY: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
TEXTS = msgspec.msgpack.Decoder(list[str])
ENCODER = msgspec.msgpack.Encoder()


def describe(arrays: Iterable[tuple[str, np.ndarray]]) -> tuple[list[Tensor], list[Any]]:
    """Tensors, and what is to be written of each: the array, or bytes of its texts.

    Raises KeyError for an array of a type that no tensor has, UnicodeEncodeError for half a surrogate pair, TooLarge.
    """
    tensors: list[Tensor] = []
    contents: list[Any] = []
    for name, array in arrays:
        datatype = datatype_of(array)
        content = _encode_texts(name, array) if datatype == "BYTES" else array
        size = len(content) if datatype == "BYTES" else array.nbytes
        tensors.append(Tensor(name, datatype, list(array.shape), size))
        contents.append(content)
    return tensors, contents


def _encode_texts(name: str, array: np.ndarray) -> bytes:
    if array.size <= MOST_TEXTS:
        encoded = ENCODER.encode(array.reshape(-1).tolist())
        if len(encoded) <= TEXT_BYTES:
            return encoded
    raise TooLarge(
        f"the {array.size:,} texts of {name!r} are more than the {MOST_TEXTS:,}, or the {TEXT_BYTES // MiB} MiB, that "
        "one tensor may have; send fewer at a time"
    )


def write(area: Any, half: slice, message: Any, contents: Sequence[Any] = ()) -> int:
    """Put a message and the contents of its tensors into a half. Returns the message's length.

    Raises TooLarge when they do not fit.
    """
    encoded = ENCODER.encode(message)
    position = half.start + len(encoded)
    if len(encoded) > MESSAGE_BYTES:
        raise TooLarge(f"a message of {len(encoded):,} bytes does not fit; send fewer inputs, or name fewer outputs")
    area[half.start : position] = encoded
    for content in contents:
        position += -position % ALIGNMENT
        size = len(content) if isinstance(content, bytes) else content.nbytes
        if position + size > half.stop:
            raise TooLarge(
                f"the tensors of one call take more than the {(half.stop - half.start) // MiB} MiB that there are for "
                "them; send fewer inputs at a time"
            )
        if isinstance(content, bytes):
            area[position : position + size] = content
        elif size:
            np.ndarray(content.shape, content.dtype, area, position)[...] = content
        position += size
    return len(encoded)


def read_message(area: Any, half: slice, length: int, decoder: Any) -> Any:
    """Raises Unreadable."""
    if not 0 < length <= MESSAGE_BYTES:
        raise Unreadable(f"a message of {length} bytes")
    try:
        return decoder.decode(bytes(area[half.start : half.start + length]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def read_tensors(area: Any, half: slice, length: int, tensors: Sequence[Tensor]) -> Iterator[np.ndarray]:
    """The tensors behind a message of that length: numbers in place, texts as objects. Raises Unreadable."""
    position = half.start + length
    for tensor in tensors:
        position += -position % ALIGNMENT
        count = _count(tensor)
        if not 0 <= tensor.size <= half.stop - position:
            raise Unreadable(f"a tensor of {tensor.size} bytes")
        if tensor.datatype == "BYTES":
            if tensor.size > TEXT_BYTES:
                raise Unreadable(f"{tensor.size} bytes of texts")
            yield _texts(bytes(area[position : position + tensor.size]), count).reshape(tensor.shape)
        else:
            dtype = DTYPES[tensor.datatype]
            if count * dtype.itemsize != tensor.size:
                raise Unreadable(f"{tensor.size} bytes of {tensor.datatype} in the shape {tensor.shape}")
            yield np.ndarray(tensor.shape, dtype, area, position if tensor.size else half.start)
        position += tensor.size


def room(tensor: Tensor) -> int:
    """Bytes that a tensor takes once it is read. Raises Unreadable."""
    if tensor.datatype == "BYTES":
        if (texts := _count(tensor)) > MOST_TEXTS:
            raise Unreadable(f"{texts} texts")
        return texts * TEXT + max(0, tensor.size) * CHARACTER
    return max(0, tensor.size)


def _count(tensor: Tensor) -> int:
    """Elements. Raises Unreadable for what is no shape or no datatype."""
    if tensor.datatype not in DATATYPES:
        raise Unreadable("a tensor of a datatype that there is not")
    if len(tensor.shape) > MOST_DIMENSIONS or any(size < 0 for size in tensor.shape):
        raise Unreadable("a tensor of a shape that there is not")
    # of an element at least a byte; without zeros, as NumPy computes strides of the other dimensions, too
    if (count := math.prod(size or 1 for size in tensor.shape)) > AREA_BYTES:
        raise Unreadable(f"a tensor of {count} elements")
    return 0 if 0 in tensor.shape else count


def _texts(encoded: bytes, count: int) -> np.ndarray:
    """Counted before they are decoded: of an empty text, decoding takes twenty times the room."""
    if count > MOST_TEXTS or _length(encoded) != count:
        raise Unreadable(f"{_length(encoded)} texts instead of {count}")
    try:
        texts = TEXTS.decode(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"texts that are none: {error}") from error
    array = np.empty(count, np.object_)
    array[:] = texts
    return array


def _length(encoded: bytes) -> int:
    """Of an array in MessagePack, by its head; -1 for what is none."""
    head = encoded[0] if encoded else 0
    if head >> 4 == 9:
        return head & 15
    width = {0xDC: 2, 0xDD: 4}.get(head)
    return int.from_bytes(encoded[1 : 1 + width], "big") if width else -1
