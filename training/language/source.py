"""A decoder's graph as it is in its folder: nodes in memory, weights where they are, mapped and read one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from amaas.api import huggingface
from amaas.errors import AmaasError
from onnx import helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from shared.runtime.caches import IDS
from training.errors import TrainingError

PRODUCTS = ("MatMul", "Gemm")
RESHAPED = ("Reshape", "Cast", "Identity", "Unsqueeze", "Squeeze")  # of tokens, before they are looked up
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
QUANTIZED = ("MatMulNBits", "GatherBlockQuantized", "DequantizeLinear", "MatMulInteger")
FEWEST = 1024  # weights of a matrix from which on its scales take less than is gained


@dataclass(frozen=True)
class Matrix:
    """Weights that are multiplied with. name: of the tensor. shape: (inputs, columns) of the products.

    turned: the tensor is stored as [columns, inputs]. products, tables: places in `Source.places` of the nodes that
    multiply with it, and of those that look up columns by tokens. There may be no products, or no tables.
    """

    name: str
    shape: tuple[int, int]
    turned: bool
    products: tuple[int, ...]
    tables: tuple[int, ...]


class Source:
    """An export's graph. path: of the graph. size: bytes of it and its weights. Raises TrainingError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.model = onnx.load(path, load_external_data=False)
        except Exception as error:  # protobuf raises its own, which share no base class
            raise TrainingError(f"{path} is not an ONNX model ({str(error)[:200]}): export it again") from error
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        beside = {ExternalDataInfo(one).location for one in self.tensors.values() if uses_external_data(one)}
        if missing := [name for name in sorted(beside) if not (path.parent / name).is_file()]:
            raise TrainingError(f"{path.parent / missing[0]} is not there, which has weights of {path.name}")
        self.size = path.stat().st_size + sum((path.parent / name).stat().st_size for name in beside)
        self.beside = beside
        self._check_floats()
        for tensor in self.tensors.values():
            self._place(tensor)

    def array(self, name: str) -> np.ndarray:
        """The tensor's values, over the mapped file: nothing is read yet. Raises TrainingError."""
        tensor = self.tensors[name]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if not uses_external_data(tensor):
            return np.asarray(onnx.numpy_helper.to_array(tensor))
        file, offset = self._place(tensor)
        shape = tuple(tensor.dims)
        return np.memmap(file, dtype, "r", offset, shape) if math.prod(shape) else np.empty(shape, dtype)

    def _place(self, tensor: onnx.TensorProto) -> tuple[Path, int]:
        """The file that it is in, and where there. Raises TrainingError where it is not whole."""
        if not uses_external_data(tensor):
            return self.path, 0
        info = ExternalDataInfo(tensor)
        file, offset = self.path.parent / info.location, info.offset or 0
        length = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if offset < 0 or offset + length > file.stat().st_size:
            raise TrainingError(f"tensor {tensor.name!r} is beyond the end of {file}: copy or export the model again")
        return file, offset

    @cached_property
    def places(self) -> list[tuple[onnx.GraphProto, onnx.NodeProto]]:
        """All nodes, with the graph that each is in; those of branches behind the node that has them."""
        return list(_nodes(self.model.graph))

    @cached_property
    def matrices(self) -> list[Matrix]:
        """Tables alone first, then in the order of their first product. Raises TrainingError without any product."""
        turns = {
            node.output[0]: node.input[0]
            for _, node in self.places
            if node.op_type == "Transpose" and self._is_matrix(node.input[0])
        }
        ids = {IDS}
        products: dict[tuple[str, bool], list[int]] = {}
        tables: dict[tuple[str, bool], list[int]] = {}
        for place, (_, node) in enumerate(self.places):
            name = node.input[int(node.op_type in PRODUCTS)] if node.input else ""
            turned, tensor = name in turns, turns.get(name, name)
            if node.op_type in RESHAPED and name in ids:
                ids.add(node.output[0])
            if not self._is_matrix(tensor):
                continue
            if node.op_type in PRODUCTS and _plain(node):
                turned ^= any(one.name == "transB" and one.i for one in node.attribute)
                products.setdefault((tensor, turned), []).append(place)
            elif node.op_type == "Gather" and node.input[1] in ids and not any(one.i for one in node.attribute):
                tables.setdefault((tensor, not turned), []).append(place)
        if not products:
            raise TrainingError(
                f"{self.path} has no products with constant weights (MatMul, Gemm): give the model's own export, in "
                "FP32 or FP16"
            )
        keys = [*(key for key in tables if key not in products), *products]
        return [self._matrix(key, products.get(key, []), tables.get(key, [])) for key in keys]

    def _matrix(self, key: tuple[str, bool], products: list[int], tables: list[int]) -> Matrix:
        name, turned = key
        rows, columns = self.tensors[name].dims
        shape = (columns, rows) if turned else (rows, columns)
        return Matrix(name, shape, turned, tuple(products), tuple(tables))

    def columns(self, matrix: Matrix) -> np.ndarray:
        """[inputs, columns], over the mapped file."""
        values = self.array(matrix.name)
        return values.T if matrix.turned else values

    def _is_matrix(self, name: str) -> bool:
        tensor = self.tensors.get(name)
        return (
            tensor is not None
            and len(tensor.dims) == 2
            and tensor.data_type in FLOATS
            and math.prod(tensor.dims) >= FEWEST
        )

    def _check_floats(self) -> None:
        found = sorted({node.op_type for _, node in self.places} & set(QUANTIZED))
        if found:
            raise TrainingError(
                f"{self.path} is quantized already (it has {', '.join(found)}): give the folder in FP32 or FP16 that "
                "it was made from"
            )


def find(folder: Path, chosen: str | None = None) -> Source:
    """Of a language model's folder. chosen: which of its graphs. Raises TrainingError."""
    if not huggingface.is_language_model(folder):
        raise TrainingError(f"{folder} is no language model's folder: it needs tokenizer.json and config.json")
    try:
        return Source(huggingface.graph(folder, chosen))
    except AmaasError as error:
        raise TrainingError(str(error)) from error


def _nodes(graph: onnx.GraphProto) -> Iterator[tuple[onnx.GraphProto, onnx.NodeProto]]:
    for node in graph.node:
        yield graph, node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _plain(node: onnx.NodeProto) -> bool:
    """Whether a Gemm does nothing that a product and a sum do not."""
    values = {one.name: one.f if one.name in ("alpha", "beta") else one.i for one in node.attribute}
    return values.get("alpha", 1) == 1 and values.get("beta", 1) == 1 and not values.get("transA", 0)
