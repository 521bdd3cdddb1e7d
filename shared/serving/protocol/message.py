"""The request of an infer call: what is in it, and what of it the model is to be fed and asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from shared import json_faults
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


class ParsedRequest(Struct, frozen=True):
    """A request. tail: the bytes after the JSON; bare: there is no JSON, the tail is the only input."""

    request: InferRequest
    tail: memoryview = NOTHING
    bare: bool = False


class RequestedOutput(NamedTuple):
    """An output to compute. binary: answer it in bytes. classes: answer the best so many classes, not its values."""

    name: str
    binary: bool = False
    classes: int | None = None


def parse(body: bytes, headers: dict[str, str]) -> ParsedRequest:
    """The request in a body. headers: with names in lower case. Raises BadInput, Unsupported, TooLarge."""
    body = content.decompress(body, headers.get("content-encoding"))
    length = headers.get(HEADER)
    if length is None:
        return ParsedRequest(_decode(body))
    size = _parse_header_length(length, len(body))
    view = memoryview(body)
    return (
        ParsedRequest(_decode(view[:size]), view[size:]) if size else ParsedRequest(InferRequest([]), view, bare=True)
    )


def _parse_header_length(text: str, limit: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"Inference-Header-Content-Length must be the number of bytes of the JSON, not {text[:40]!r}")
    if len(text) > 18 or int(text) > limit:
        raise BadInput(f"Inference-Header-Content-Length is {text[:40]}, the body has {limit:,} bytes in all")
    return int(text)


def _decode(body: bytes | memoryview) -> InferRequest:
    try:
        if len(body) > LARGE:
            from shared.serving.protocol import large  # with simdjson, which small bodies do without

            members = large.read_members(body)
            if members is not None:
                return msgspec.convert(members, InferRequest)
        return msgspec.json.decode(body, type=InferRequest)
    except msgspec.ValidationError as error:
        raise BadInput(f"the body is no inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not valid JSON: {json_faults.reason(body, error)}") from error


def feeds(
    parsed: ParsedRequest, signature: list[Tensor], optional: list[Tensor] | None = None
) -> dict[str, np.ndarray]:
    """The request's tensors by input name, checked against the model's inputs. Raises BadInput.

    optional: inputs that may be omitted; the model has a default for each.
    """
    if parsed.bare:
        return _single_input(parsed.tail, signature)
    tensors = {tensor.name: tensor for tensor in (*signature, *(optional or ()))}
    arrays: dict[str, np.ndarray] = {}
    offset = 0
    for infer_input in parsed.request.inputs:
        expected = tensors.get(infer_input.name)
        if expected is None:
            raise BadInput(f"the model has no input {infer_input.name!r}: it has {sorted(tensors)}")
        if infer_input.name in arrays:
            raise BadInput(f"input {infer_input.name!r} is given twice")
        _check(infer_input, expected)
        size = _binary_size(infer_input, len(parsed.tail) - offset)
        if size is None:
            arrays[infer_input.name] = to_array(
                infer_input.name, infer_input.data, infer_input.datatype, infer_input.shape
            )
        else:
            raw = parsed.tail[offset : offset + size]
            arrays[infer_input.name] = binary.decode(infer_input.name, raw, infer_input.datatype, infer_input.shape)
            offset += size
    if offset != len(parsed.tail):
        raise BadInput(f"{len(parsed.tail) - offset:,} bytes after the JSON belong to no input: see its {SIZE}")
    absent = [tensor.name for tensor in signature if tensor.name not in arrays]
    if absent:
        raise BadInput(f"the request lacks the inputs {absent}")
    return arrays


def _check(infer_input: InferInput, expected: Tensor) -> None:
    if infer_input.datatype != expected.datatype:
        raise BadInput(
            f"input {infer_input.name!r} has datatype {infer_input.datatype!r}, the model takes {expected.datatype}"
        )
    check_shape(infer_input.name, infer_input.shape, expected.shape)
    parameters = infer_input.parameters or {}
    if "shared_memory_region" in parameters:
        raise NotImplemented_(f"input {infer_input.name!r}: shared memory is not supported, send its data")
    if infer_input.data is None and SIZE not in parameters:
        raise BadInput(f"input {infer_input.name!r} has no data: neither JSON values nor a {SIZE}")


def check_shape(name: str, shape: list[int], expected: list[int]) -> None:
    fits = len(shape) == len(expected) and all(e in (-1, d) for d, e in zip(shape, expected, strict=True))
    if not fits or len(shape) > MAX_RANK or not all(0 <= d <= MAX_DIMENSION for d in shape):
        raise BadInput(f"input {name!r} has shape {shape[:MAX_RANK]}, the model takes {expected} (-1 = any)")


def _binary_size(infer_input: InferInput, remaining: int) -> int | None:
    """How many bytes after the JSON are this input's; None when its data is in the JSON."""
    if infer_input.parameters is None or SIZE not in infer_input.parameters:
        return None
    size = infer_input.parameters[SIZE]
    if type(size) is not int or size < 0:
        raise BadInput(f"input {infer_input.name!r}: {SIZE} is a number of bytes, not {size!r:.40}")
    if infer_input.data is not None:
        raise BadInput(f"input {infer_input.name!r} has both data and a {SIZE}: send one of them")
    if size > remaining:
        raise BadInput(
            f"input {infer_input.name!r} announces {size:,} bytes of binary data, {remaining:,} are left after "
            "the JSON (Inference-Header-Content-Length is where it ends)"
        )
    return size


def _single_input(tail: memoryview, signature: list[Tensor]) -> dict[str, np.ndarray]:
    """Raw mode: the body is the model's only input. An element of BYTES comes without its length."""
    if len(signature) != 1:
        names = [tensor.name for tensor in signature]
        raise BadInput(f"a body without JSON is a model's only input: this one has {names}")
    [tensor] = signature
    shape = binary.deduce_shape(tensor.name, len(tail), tensor.datatype, tensor.shape)
    framed = memoryview(binary.LENGTH.pack(len(tail)) + tail) if tensor.datatype == "BYTES" else tail
    return {tensor.name: binary.decode(tensor.name, framed, tensor.datatype, shape)}


def requested_outputs(parsed: ParsedRequest, signature: list[Tensor]) -> list[RequestedOutput]:
    """The outputs to compute: those that the request names, or all of them. Raises BadInput."""
    tensors = {tensor.name: tensor for tensor in signature}
    default = parsed.bare or _read_flag(
        parsed.request.parameters or {}, "binary_data_output", "the request", default=False
    )
    outputs: dict[str, RequestedOutput] = {}
    for output in parsed.request.outputs or ():
        name, parameters = output.name, output.parameters or {}
        if name not in tensors:
            raise BadInput(f"the model has no output {name!r}: it has {list(tensors)}")
        if name in outputs:
            raise BadInput(f"output {name!r} is requested twice")
        if "shared_memory_region" in parameters:
            raise NotImplemented_(f"output {name!r}: shared memory is not supported, read it from the response")
        in_bytes = _read_flag(parameters, "binary_data", f"output {name!r}", default=default)
        outputs[name] = RequestedOutput(name, in_bytes, _count_classes(parameters, tensors[name]))
    return list(outputs.values()) or [RequestedOutput(name, default) for name in tensors]


def _count_classes(parameters: dict[str, Any], output: Tensor) -> int | None:
    if parameters.get("classification") is None:
        return None
    from shared.serving.protocol import classification  # few calls ask for it: no module of every cold start

    return classification.count_classes(parameters, output)


def _read_flag(parameters: dict[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise BadInput(f"{where}: {name} is true or false, not {value!r:.40}")
    return value
