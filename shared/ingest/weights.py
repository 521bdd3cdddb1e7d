"""Tensors of an untrusted model: their stated sizes must be true, and their bytes must come from the package itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onnx import TensorProto

from shared.ingest import descriptors, graph
from shared.ingest.verdict import Limits, Refused

MAX_RANK, MAX_DIM = 16, 2**28
MAX_SHAPE_LENGTH = 1_000_000  # of a one-dimensional integer tensor: ONNX Runtime's shape inference walks its values
INTEGERS = (TensorProto.INT64, TensorProto.INT32)
# bits per element in raw_data
BITS = {
    TensorProto.FLOAT: 32, TensorProto.DOUBLE: 64, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16,
    TensorProto.INT8: 8, TensorProto.INT16: 16, TensorProto.INT32: 32, TensorProto.INT64: 64,
    TensorProto.UINT8: 8, TensorProto.UINT16: 16, TensorProto.UINT32: 32, TensorProto.UINT64: 64,
    TensorProto.BOOL: 8, TensorProto.COMPLEX64: 64, TensorProto.COMPLEX128: 128,
    TensorProto.INT4: 4, TensorProto.UINT4: 4, TensorProto.FLOAT4E2M1: 4,
    TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E4M3FNUZ: 8, TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8, TensorProto.FLOAT8E8M0: 8,
}  # fmt: skip


def check(model: Any, files: Mapping[str, int], limits: Limits) -> None:
    """Raises Refused for a tensor that misstates its size, is too large, sparse, or points out of the package."""
    leaves = list(graph.leaves(model))
    # first, so that an attempt to read other files is reported as such, whatever else is wrong
    for leaf in leaves:
        for tensor in _parts(leaf):
            _check_location(tensor, files)
    for leaf in leaves:
        kind = type(leaf).__name__
        if kind == "TensorProto":
            _check_tensor(leaf, limits)
        elif kind == "Tensor":
            _check_type(leaf, limits)
        else:
            raise Refused("sparse_tensor", "the model holds a sparse tensor, which is not supported; store it dense")


def inline(model: Any, files: Mapping[str, int]) -> bool:
    """Copy external data into the model, after `check`. Returns whether there was any."""
    changed = False
    for leaf in graph.leaves(model):
        if type(leaf).__name__ == "TensorProto" and (leaf.external_data or leaf.data_location == TensorProto.EXTERNAL):
            if leaf.data_location == TensorProto.EXTERNAL:
                leaf.raw_data = _read(leaf, files)
            leaf.ClearField("data_location")
            leaf.ClearField("external_data")
            changed = True
    return changed


def check_extents(model: Any, files: Mapping[str, int]) -> tuple[str, ...]:
    """The files that the tensors of a model are in, after `check`. Raises Refused for one that is beyond its file."""
    sizes: dict[str, int] = {}
    for leaf in graph.leaves(model):
        if type(leaf).__name__ != "TensorProto" or leaf.data_location != TensorProto.EXTERNAL:
            continue
        location, offset, length = _extent(leaf, _product(leaf.dims))
        size = sizes.setdefault(location, descriptors.size(files[location]))
        if offset + length > size:
            raise _beyond(leaf, location)
    return tuple(sorted(sizes))


def _parts(leaf: Any) -> tuple[Any, ...]:
    kind = type(leaf).__name__
    if kind == "SparseTensorProto":
        return (leaf.values, leaf.indices)
    return (leaf,) if kind == "TensorProto" else ()


def _check_location(tensor: Any, files: Mapping[str, int]) -> None:
    if tensor.data_location != TensorProto.EXTERNAL:
        return
    location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
    if location in files and location != "model.onnx":
        return
    raise Refused(
        "external_data",
        f"tensor {tensor.name[:80]!r} keeps its data in {location[:80]!r}, which is not a file of the package; "
        "upload the weight file next to model.onnx under a plain name, or save the model as one file",
    )


def _check_tensor(tensor: Any, limits: Limits) -> None:
    count = _count(list(tensor.dims), f"tensor {tensor.name[:80]!r}", limits)
    if tensor.data_location == TensorProto.EXTERNAL:
        _extent(tensor, count)
        return
    if tensor.data_type == TensorProto.STRING:
        _match(len(tensor.string_data), count, count, tensor)
    elif tensor.HasField("raw_data"):
        size = _size(tensor, count)
        _match(len(tensor.raw_data), size, size, tensor)
    else:  # complex numbers take two entries, four- and two-bit ones are packed
        stored = max(
            len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data),
            len(tensor.double_data), len(tensor.uint64_data),
        )  # fmt: skip
        _match(stored, -(-count // 8), 2 * count, tensor)


def _match(stored: int, least: int, most: int, tensor: Any) -> None:
    if not least <= stored <= most:
        raise Refused(
            "invalid_graph",
            f"tensor {tensor.name[:80]!r} of shape {list(tensor.dims)} holds {stored:,} bytes or values "
            f"instead of {least:,}; the file is damaged, export the model again",
        )


def _size(tensor: Any, count: int) -> int:
    bits = BITS.get(tensor.data_type)
    if bits is None:
        kind = tensor.data_type
        raise Refused("invalid_graph", f"tensor {tensor.name[:80]!r} has the unknown type {kind}; export it again")
    return -(-count * bits // 8)


def _check_type(declared: Any, limits: Limits) -> None:
    # some exporters write -1 for a dimension that varies; ONNX Runtime reads every negative one so
    dims = [dim.dim_value for dim in declared.shape.dim if dim.HasField("dim_value") and dim.dim_value >= 0]
    _count(dims, "a declared shape", limits)
    if len(declared.shape.dim) == 1 and declared.elem_type in INTEGERS and dims and dims[0] > MAX_SHAPE_LENGTH:
        raise Refused(
            "shape_bomb",
            f"an input or value is declared as a list of {dims[0]:,} integers, more than the {MAX_SHAPE_LENGTH:,} "
            "allowed; declare its length as variable",
        )


def _count(dims: list[int], what: str, limits: Limits) -> int:
    if len(dims) > MAX_RANK:
        raise Refused("shape_bomb", f"{what} has {len(dims)} dimensions, more than the {MAX_RANK} allowed; reshape it")
    count = 1
    for dim in dims:
        if dim < 0:
            raise Refused("invalid_graph", f"{what} has the negative dimension {dim}; export the model again")
        count *= dim
    if max(dims, default=0) > MAX_DIM or count > limits.elements:
        raise Refused(
            "shape_bomb", f"{what} is {dims}, more than the {limits.elements:,} elements allowed; make it smaller"
        )
    return count


def _extent(tensor: Any, count: int) -> tuple[str, int, int]:
    """File, offset and length in bytes that a tensor states. Raises Refused when they do not fit its shape."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    size = _size(tensor, count)
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
    except ValueError:
        offset = length = -1
    if offset < 0 or length != size:
        raise Refused(
            "external_data",
            f"tensor {tensor.name[:80]!r} of {size:,} bytes names offset {str(entries.get('offset'))[:20]} and length "
            f"{str(entries.get('length'))[:20]} of its weight file; save the model again",
        )
    return entries["location"], offset, length


def _read(tensor: Any, files: Mapping[str, int]) -> bytes:
    location, offset, length = _extent(tensor, _product(tensor.dims))
    if offset + length > descriptors.size(files[location]):
        raise _beyond(tensor, location)
    return descriptors.read(files[location], offset, length)


def _product(dims: Iterable[int]) -> int:
    """Exact, of whatever size."""
    count = 1
    for dim in dims:
        count *= dim
    return count


def _beyond(tensor: Any, location: str) -> Refused:
    return Refused(
        "external_data",
        f"tensor {tensor.name[:80]!r} reaches beyond the end of {location!r}; upload the complete file",
    )
