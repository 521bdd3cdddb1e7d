"""The request of an infer call: what is in it, and what of it the model is to be fed and asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from shared.config import MAX_BODY_BYTES
from shared.errors import BadInput, NotImplemented_
from shared.package.manifest import Tensor
from shared.serving import content
from shared.serving.protocol import binary
from shared.serving.protocol.values import to_array

MAX_RANK = 32
# No dimension is longer than there can be bytes to fill it. One of a tensor without elements could be, and with it
# what the model makes of it.
MAX_DIMENSION = MAX_BODY_BYTES
HEADER = "inference-header-content-length"
SIZE = "binary_data_size"
NOTHING = memoryview(b"")
# Bytes of JSON from which its numbers are read another way: below, the usual one takes less than a millisecond, and the
# import of the other three.
LARGE = 1 << 16


class InferInput(Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] | None = None


class InferOutput(Struct):
    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(Struct):
    """The JSON of a request. Members that may be absent may be null, too, as some clients write them."""

    inputs: list[InferInput]
    id: str | None = None
    outputs: list[InferOutput] | None = None
    parameters: dict[str, Any] | None = None


class Asked(Struct, frozen=True):
    """A request. tail: the bytes after the JSON; bare: there is no JSON, the tail is the only input."""

    request: InferRequest
    tail: memoryview = NOTHING
    bare: bool = False


class Wanted(NamedTuple):
    """An output to compute. binary: answer it in bytes. classes: answer so many best classes instead of its values."""

    name: str
    binary: bool = False
    classes: int | None = None


def parse(body: bytes, headers: dict[str, str]) -> Asked:
    """The request in a body. headers: with names in lower case. Raises BadInput, Unsupported, TooLarge."""
    body = content.decompress(body, headers.get("content-encoding"))
    length = headers.get(HEADER)
    if length is None:
        return Asked(_decoded(body))
    size = _header_length(length, len(body))
    view = memoryview(body)
    return Asked(_decoded(view[:size]), view[size:]) if size else Asked(InferRequest([]), view, bare=True)


def _header_length(text: str, limit: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"Inference-Header-Content-Length must be the number of bytes of the JSON, not {text[:40]!r}")
    if len(text) > 18 or int(text) > limit:
        raise BadInput(f"Inference-Header-Content-Length is {text[:40]}, the body has {limit:,} bytes in all")
    return int(text)


def _decoded(body: bytes | memoryview) -> InferRequest:
    try:
        if len(body) > LARGE:
            from shared.serving.protocol import large  # with simdjson, which small bodies do without

            found = large.members(body)
            if found is not None:
                return msgspec.convert(found, InferRequest)
        return msgspec.json.decode(body, type=InferRequest)
    except msgspec.ValidationError as error:
        raise BadInput(f"the body is no inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not valid JSON: {error}") from error


def feeds(asked: Asked, signature: list[Tensor], optional: list[Tensor] | None = None) -> dict[str, np.ndarray]:
    """The request's tensors by input name, checked against the model's inputs. Raises BadInput.

    optional: inputs that may be left out; the model has a default for each.
    """
    if asked.bare:
        return _bare(asked.tail, signature)
    known = {tensor.name: tensor for tensor in (*signature, *(optional or ()))}
    arrays: dict[str, np.ndarray] = {}
    offset = 0
    for given in asked.request.inputs:
        expected = known.get(given.name)
        if expected is None:
            raise BadInput(f"the model has no input {given.name!r}: it has {sorted(known)}")
        if given.name in arrays:
            raise BadInput(f"input {given.name!r} is given twice")
        _check(given, expected)
        size = _binary_size(given, len(asked.tail) - offset)
        if size is None:
            arrays[given.name] = to_array(given.name, given.data, given.datatype, given.shape)
        else:
            raw = asked.tail[offset : offset + size]
            arrays[given.name] = binary.decode(given.name, raw, given.datatype, given.shape)
            offset += size
    if offset != len(asked.tail):
        raise BadInput(f"{len(asked.tail) - offset:,} bytes after the JSON belong to no input: see its {SIZE}")
    absent = [tensor.name for tensor in signature if tensor.name not in arrays]
    if absent:
        raise BadInput(f"the request lacks the inputs {absent}")
    return arrays


def _check(given: InferInput, expected: Tensor) -> None:
    if given.datatype != expected.datatype:
        raise BadInput(f"input {given.name!r} has datatype {given.datatype!r}, the model takes {expected.datatype}")
    check_shape(given.name, given.shape, expected.shape)
    parameters = given.parameters or {}
    if "shared_memory_region" in parameters:
        raise NotImplemented_(f"input {given.name!r}: nobody shares memory with a function, send its data")
    if given.data is None and SIZE not in parameters:
        raise BadInput(f"input {given.name!r} has no data: neither JSON values nor a {SIZE}")


def check_shape(name: str, shape: list[int], expected: list[int]) -> None:
    fits = len(shape) == len(expected) and all(e in (-1, d) for d, e in zip(shape, expected, strict=True))
    if not fits or len(shape) > MAX_RANK or not all(0 <= d <= MAX_DIMENSION for d in shape):
        raise BadInput(f"input {name!r} has shape {shape[:MAX_RANK]}, the model takes {expected} (-1 = any)")


def _binary_size(given: InferInput, left: int) -> int | None:
    """How many bytes after the JSON are this input's; None when its data is in the JSON."""
    if given.parameters is None or SIZE not in given.parameters:
        return None
    size = given.parameters[SIZE]
    if type(size) is not int or size < 0:
        raise BadInput(f"input {given.name!r}: {SIZE} is a number of bytes, not {size!r:.40}")
    if given.data is not None:
        raise BadInput(f"input {given.name!r} has both data and a {SIZE}: send one of them")
    if size > left:
        raise BadInput(
            f"input {given.name!r} announces {size:,} bytes of binary data, {left:,} are left after the JSON "
            "(Inference-Header-Content-Length is where it ends)"
        )
    return size


def _bare(tail: memoryview, signature: list[Tensor]) -> dict[str, np.ndarray]:
    """Raw mode: the body is the model's only input. An element of BYTES comes without its length."""
    if len(signature) != 1:
        names = [tensor.name for tensor in signature]
        raise BadInput(f"a body without JSON is a model's only input: this one has {names}")
    [tensor] = signature
    shape = binary.deduced(tensor.name, len(tail), tensor.datatype, tensor.shape)
    framed = memoryview(binary.LENGTH.pack(len(tail)) + tail) if tensor.datatype == "BYTES" else tail
    return {tensor.name: binary.decode(tensor.name, framed, tensor.datatype, shape)}


def wanted(asked: Asked, signature: list[Tensor]) -> list[Wanted]:
    """The outputs to compute: those asked for, or all of them. Raises BadInput."""
    known = {tensor.name: tensor for tensor in signature}
    default = asked.bare or _flag(asked.request.parameters or {}, "binary_data_output", "the request", default=False)
    found: dict[str, Wanted] = {}
    for output in asked.request.outputs or ():
        name, parameters = output.name, output.parameters or {}
        if name not in known:
            raise BadInput(f"the model has no output {name!r}: it has {list(known)}")
        if name in found:
            raise BadInput(f"output {name!r} is asked for twice")
        if "shared_memory_region" in parameters:
            raise NotImplemented_(f"output {name!r}: nobody shares memory with a function, take it from the answer")
        in_bytes = _flag(parameters, "binary_data", f"output {name!r}", default=default)
        found[name] = Wanted(name, in_bytes, _classes(parameters, known[name]))
    return list(found.values()) or [Wanted(name, default) for name in known]


def _classes(parameters: dict[str, Any], output: Tensor) -> int | None:
    if parameters.get("classification") is None:
        return None
    from shared.serving.protocol import classification  # few calls ask for it: no module of every cold start

    return classification.classes(parameters, output)


def _flag(parameters: dict[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise BadInput(f"{where}: {name} is true or false, not {value!r:.40}")
    return value
