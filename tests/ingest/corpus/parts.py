"""What the corpus is made of: the list of attacks, and parts of graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from shared.ingest.verdict import Limits

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Attack(NamedTuple):
    code: str
    build: Callable[[], bytes]
    limits: Limits = Limits()


ATTACKS: dict[str, Attack] = {}


def attack(code: str, limits: Limits | None = None) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def add(build: Callable[[], bytes]) -> Callable[[], bytes]:
        ATTACKS[build.__name__] = Attack(code, build, limits or Limits())
        return build

    return add


def value(name: str, shape: Sequence[int | str] | None = ("N",), element: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def model(
    nodes: list[Any], inputs: Any = None, outputs: Any = None, initializers: Any = (), opset: int = 18, **more: Any
) -> bytes:
    return proto(nodes, inputs, outputs, initializers, opset, **more).SerializeToString()


def proto(
    nodes: list[Any], inputs: Any = None, outputs: Any = None, initializers: Any = (), opset: int = 18, **more: Any
) -> Any:
    domains = more.pop("domains", ())
    graph = helper.make_graph(nodes, "g", inputs or [value("x")], outputs or [value("y", None)], list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9, **more)


def ints(name: str, values: list[int]) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name: str, number: Any, dtype: Any = np.int64) -> Any:
    return numpy_helper.from_array(np.array(number, dtype), name)


def external(name: str, location: str, count: int = 4, **entries: str) -> Any:
    """A float tensor whose data is said to lie in another file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[count], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=text)
    return tensor


def add(*names: str) -> Any:
    return helper.make_node("Add", list(names), ["y"])


def with_weights(location: str, count: int = 4, **entries: str) -> bytes:
    return model([add("x", "w")], initializers=[external("w", location, count, **entries)])


def sparse(values: Any, indices: Any, dims: list[int]) -> bytes:
    onnx_model = proto([add("x", "w")])
    onnx_model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, dims))
    return onnx_model.SerializeToString()
