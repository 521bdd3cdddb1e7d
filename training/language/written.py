"""A decoder with some of its matrices in blocks, written as model.onnx and one file of weights beside it.

One part of one tensor is held at a time. A table that is multiplied with, too (a tied embedding), is in the file once:
two tensors of the graph, of different shapes, refer to the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import uses_external_data

from training.language.blocks import Quantized, Shape, quantized
from training.language.source import Matrix, Source

MODEL, DATA = "model.onnx", "model.onnx.data"
ALIGNMENT = 64  # bytes: the widest vector that kernels may load at once
INSIDE = 1024  # bytes: smaller tensors, such as shapes, are read while the model is loaded
PART = 32 << 20  # bytes of a tensor that are copied at once
DOMAIN = "com.microsoft"
# where operators have a factor for each of their results, if they have one
NORMALIZATIONS = {"SimplifiedLayerNormalization": (1,), "SkipSimplifiedLayerNormalization": (2,), "Mul": (0, 1)}
EIGHT_BITS = 4  # accuracy_level of MatMulNBits: activations in 8 bits where the processor multiplies these faster


@dataclass(frozen=True)
class Planned:
    """What becomes of a matrix. scales: [inputs], by which its rows are multiplied, and what it multiplies divided.

    importance: [inputs], how much an error of each row counts; see blocks.quantized.
    """

    shape: Shape
    scales: np.ndarray | None = None
    importance: np.ndarray | None = None


def write(source: Source, plan: Mapping[str, Planned], folder: Path, level: int = EIGHT_BITS) -> int:
    """Write MODEL and DATA into the folder. plan: by the tensor's name. Returns their bytes. Raises TrainingError."""
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    with (folder / DATA).open("wb") as file:
        writer = _Writer(source, model, file, level)
        writer.count(plan)
        for matrix in source.matrices:
            if matrix.name in plan:
                writer.quantize(matrix, plan[matrix.name])
        writer.finish()
    if not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    (folder / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    return sum((folder / name).stat().st_size for name in (MODEL, DATA))


class _Writer:
    def __init__(self, source: Source, model: onnx.ModelProto, file: BinaryIO, level: int) -> None:
        self._source, self._graph, self._file, self._level = source, model.graph, file, level
        self._nodes = [(graph, node) for graph, node in _places(model.graph)]
        self._inserted: list[tuple[onnx.GraphProto, onnx.NodeProto, onnx.NodeProto, bool]] = []
        self._divided: dict[tuple[int, str, bytes], str] = {}
        self._products: Counter[tuple[str, bytes]] = Counter()
        self._end = 0

    def count(self, plan: Mapping[str, Planned]) -> None:
        """How many products read the same value and have the same scales."""
        for matrix in self._source.matrices:
            planned = plan.get(matrix.name)
            if planned is not None and planned.scales is not None:
                values = [self._nodes[place][1].input[0] for place in matrix.products]
                self._products.update((value, planned.scales.tobytes()) for value in values)

    def quantize(self, matrix: Matrix, planned: Planned) -> None:
        """The matrix as levels, scales and zero points in the file; its nodes as those that read them."""
        shape, floats = planned.shape, self._source.tensors[matrix.name].data_type
        inputs, columns = matrix.shape
        looked_up = matrix.tables if inputs % shape.block == 0 else ()  # rows of a table are in whole blocks
        if not matrix.products and not looked_up:
            return
        blocks, per_byte = -(-inputs // shape.block), 8 // shape.bits
        levels = self._tensor(
            f"{matrix.name}.q{shape.bits}", TensorProto.UINT8, (columns, blocks, shape.block // per_byte)
        )
        scales = self._tensor(f"{matrix.name}.scales", floats, (columns, blocks))
        zeros = None
        if shape.zeros:
            zeros = self._tensor(f"{matrix.name}.zeros", TensorProto.UINT8, (columns, -(-blocks // per_byte)))
        self._fill(matrix, planned, [levels, scales, *([zeros] if zeros else [])])
        for place in matrix.products:
            self._product(*self._nodes[place], matrix, planned)
        if looked_up:
            self._table(matrix, planned, levels)

    def finish(self) -> None:
        """Put the nodes where they belong, and write the weights that stayed as they are."""
        for graph, node, new, before in self._inserted:
            at = next(place for place, one in enumerate(graph.node) if one.output[0] == node.output[0])
            graph.node.insert(at + (not before), new)
        _drop_unread(self._graph)
        read = {name for _, node in _places(self._graph) for name in node.input} | {o.name for o in self._graph.output}
        for tensor in list(self._graph.initializer):
            if tensor.name not in read:
                self._graph.initializer.remove(tensor)
            elif tensor.name in self._source.tensors:
                self._keep(tensor)

    def _keep(self, tensor: TensorProto) -> None:
        values = self._source.array(tensor.name)
        if not uses_external_data(tensor) and values.nbytes < INSIDE:
            return
        if values.nbytes < INSIDE:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(values), tensor.name))
            return
        offset = self._room(values.nbytes)
        _refer(tensor, offset, values.nbytes)
        flat = values.reshape(-1)
        step = PART // values.itemsize
        for start in range(0, flat.size, step):
            self._file.write(np.ascontiguousarray(flat[start : start + step]).tobytes())

    def _tensor(self, name: str, kind: int, dims: tuple[int, ...]) -> TensorProto:
        """A tensor of the graph, with room for it in the file."""
        tensor: TensorProto = self._graph.initializer.add()
        tensor.name, tensor.data_type = name, kind
        tensor.dims.extend(dims)
        length = int(np.prod(dims)) * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
        _refer(tensor, self._room(length), length)
        return tensor

    def _room(self, length: int) -> int:
        offset = -(-self._end // ALIGNMENT) * ALIGNMENT
        self._end = offset + length
        self._file.truncate(self._end)
        self._file.seek(offset)
        return offset

    def _fill(self, matrix: Matrix, planned: Planned, tensors: list[TensorProto]) -> None:
        weights = self._source.columns(matrix)
        offsets = [_offset(tensor) for tensor in tensors]
        kinds = [helper.tensor_dtype_to_np_dtype(tensor.data_type) for tensor in tensors]
        for part in quantized(weights, planned.shape, planned.importance, planned.scales):
            for number, values in enumerate(_arrays(part)):
                self._file.seek(offsets[number])
                offsets[number] += self._file.write(np.ascontiguousarray(values, kinds[number]).tobytes())

    def _product(self, graph: onnx.GraphProto, node: onnx.NodeProto, matrix: Matrix, planned: Planned) -> None:
        inputs, columns = matrix.shape
        value = self._divide(graph, node, matrix, planned)
        bias = list(node.input[2:3]) if node.op_type == "Gemm" else []
        given = [value, *_names(matrix, planned.shape)]
        given += ["", "", *bias][len(given) - 3 :] if bias else []
        attributes: dict[str, Any] = {"K": inputs, "N": columns, "bits": planned.shape.bits}
        attributes |= {"block_size": planned.shape.block, "accuracy_level": self._level}
        node.CopyFrom(helper.make_node("MatMulNBits", given, list(node.output), node.name, domain=DOMAIN, **attributes))

    def _divide(self, graph: onnx.GraphProto, node: onnx.NodeProto, matrix: Matrix, planned: Planned) -> str:
        """The name of what is multiplied, divided by the matrix' scales: once for all products of the same value."""
        value, scales = str(node.input[0]), planned.scales
        if scales is None:
            return value
        key = (id(graph), value, scales.tobytes())
        if key not in self._divided and self._fold(graph, value, scales):
            self._divided[key] = value
        if key not in self._divided:
            name = self._divided[key] = f"{value}.divided.{len(self._divided)}"
            divisors = self._constant(f"{name}.by", 1 / scales, self._source.tensors[matrix.name].data_type)
            self._inserted.append((graph, node, helper.make_node("Mul", [value, divisors], [name], name), True))
        return self._divided[key]

    def _fold(self, graph: onnx.GraphProto, value: str, scales: np.ndarray) -> bool:
        """Divide a normalization's weights instead, where nothing but products with these scales reads its result."""
        maker = next((node for node in graph.node if node.output[0] == value), None)
        reads = sum(list(node.input).count(value) for _, node in self._nodes)
        given = any(output.name == value for output in graph.output)
        if maker is None or given or reads != self._products[value, scales.tobytes()]:
            return False
        for place in NORMALIZATIONS.get(maker.op_type, ()):
            tensor = self._source.tensors.get(maker.input[place])
            if tensor is not None and list(tensor.dims) == [len(scales)]:
                divided = self._source.array(tensor.name) / scales
                maker.input[place] = self._constant(f"{value}.weights", divided, tensor.data_type)
                return True
        return False

    def _constant(self, name: str, values: np.ndarray, kind: int) -> str:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        self._graph.initializer.append(onnx.numpy_helper.from_array(values.astype(dtype), name))
        return name

    def _table(self, matrix: Matrix, planned: Planned, levels: TensorProto) -> None:
        shape, (_, columns) = planned.shape, matrix.shape
        rows = self._graph.initializer.add()
        rows.CopyFrom(levels)
        rows.name = f"{matrix.name}.rows"
        rows.dims[:] = [columns, levels.dims[1] * levels.dims[2]]
        given = [rows.name, "", *_names(matrix, shape)[1:]]
        attributes: dict[str, Any] = {
            "bits": shape.bits,
            "block_size": shape.block,
            "gather_axis": 0,
            "quantize_axis": 1,
        }
        for place in matrix.tables:
            graph, node = self._nodes[place]
            given[1] = node.input[1]
            output = node.output[0]
            if planned.scales is not None:
                kind = self._source.tensors[matrix.name].data_type
                back = self._constant(f"{output}.scaled.by", 1 / planned.scales, kind)
                multiply = helper.make_node("Mul", [f"{output}.scaled", back], [output], f"{output}.scaled")
                output = f"{output}.scaled"
            gather = helper.make_node("GatherBlockQuantized", given, [output], node.name, domain=DOMAIN, **attributes)
            node.CopyFrom(gather)
            if planned.scales is not None:
                self._inserted.append((graph, node, multiply, False))


def _places(graph: onnx.GraphProto) -> list[tuple[onnx.GraphProto, onnx.NodeProto]]:
    """As Source.places."""
    found = []
    for node in graph.node:
        found.append((graph, node))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _places(attribute.g)
    return found


def _names(matrix: Matrix, shape: Shape) -> list[str]:
    names = [f"{matrix.name}.q{shape.bits}", f"{matrix.name}.scales"]
    return [*names, f"{matrix.name}.zeros"] if shape.zeros else names


def _arrays(part: Quantized) -> list[np.ndarray]:
    return [one for one in (part.levels, part.scales, part.zeros) if one is not None]


def _refer(tensor: TensorProto, offset: int, length: int) -> None:
    """To bytes of DATA."""
    for member in ("raw_data", "float_data", "int32_data", "int64_data", "external_data"):
        tensor.ClearField(member)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", DATA), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _offset(tensor: TensorProto) -> int:
    return int(next(one.value for one in tensor.external_data if one.key == "offset"))


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Take off what turned a matrix that is now stored so."""
    places = _places(graph)
    used = {name for _, node in places for name in node.input} | {output.name for output in graph.output}
    for body, node in places:
        if node.op_type == "Transpose" and node.output[0] not in used:
            body.node.remove(node)
