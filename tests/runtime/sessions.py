"""Sessions of both kinds, and models that do what no registered model should."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from shared.runtime import onnx
from shared.runtime.confined import Confined
from shared.runtime.signature import Session
from shared.runtime.zygotes import Order

MEMORY = 512 << 20
ORDER = Order(threads=1, mapped=True, memory=MEMORY, filtered=True)
FLOAT, INT64, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def confine(model: bytes, order: Order = ORDER, **more: Any) -> Confined:
    """A confined session, whose model was never in a gate."""
    file = os.memfd_create("model", os.MFD_CLOEXEC)
    os.write(file, model)
    return Confined([file], order, **more)


KINDS: dict[str, Callable[[bytes], Session]] = {"direct": onnx.load, "confined": confine}


def model(
    nodes: list[Any],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, tuple[int, list[int | str]]],
    constants: dict[str, np.ndarray] | None = None,
    metadata: dict[str, str] | None = None,
    domains: tuple[str, ...] = (),
) -> bytes:
    """inputs, outputs: element type and shape, by name."""
    infos = [[helper.make_tensor_value_info(n, *kind) for n, kind in side.items()] for side in (inputs, outputs)]
    initializers = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    imports = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in domains)]
    proto = helper.make_model(helper.make_graph(nodes, "g", *infos, initializers), opset_imports=imports, ir_version=9)
    helper.set_model_props(proto, metadata or {})
    return bytes(proto.SerializeToString())


def dereferences_null() -> bytes:
    """y = max(x, nothing), which ONNX Runtime's checker lets through; for an empty x too."""
    return model([helper.make_node("Max", ["x", ""], ["y"])], {"x": (FLOAT, ["N"])}, {"y": (FLOAT, ["N"])})


def divides() -> bytes:
    """y = x / by, of whole numbers: the smallest by -1 is what the processor cannot."""
    vector: tuple[int, list[int | str]] = (INT64, ["N"])
    return model([helper.make_node("Div", ["x", "by"], ["y"])], {"x": vector, "by": vector}, {"y": vector})


def grows() -> bytes:
    """y = zeros of the shape that the caller sends; n = their sum, a tensor of one element."""
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["y"]), helper.make_node("ReduceSum", ["y"], ["n"])]
    return model(nodes, {"shape": (INT64, [1])}, {"y": (FLOAT, ["N"]), "n": (FLOAT, [1])})


def unfolds() -> bytes:
    """y = x + the product of two columns and rows of ones: 200 MiB that are computed while the model is loaded."""
    ones = {"column": np.ones((7168, 1), np.float32), "row": np.ones((1, 7168), np.float32)}
    nodes = [helper.make_node("MatMul", ["column", "row"], ["all"]), helper.make_node("Add", ["x", "all"], ["sums"])]
    nodes += [helper.make_node("ReduceSum", ["sums"], ["y"], keepdims=0)]
    return model(nodes, {"x": (FLOAT, [1])}, {"y": (FLOAT, [])}, ones)


def repeats() -> bytes:
    """Adds 1 to x as many times as the caller says."""
    state = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Add", ["last", "one"], ["next"]),
        ],
        "body",
        [state("i", INT64, []), state("go_on", TensorProto.BOOL, []), state("last", FLOAT, [1])],
        [state("still", TensorProto.BOOL, []), state("next", FLOAT, [1])],
    )
    return model(
        [helper.make_node("Loop", ["times", "always", "x"], ["y"], body=body)],
        {"times": (INT64, []), "x": (FLOAT, [1])},
        {"y": (FLOAT, [1])},
        {"always": np.array(True), "one": np.ones(1, np.float32)},
    )


def spells() -> bytes:
    """Text in, text out, and its length as text of a number."""
    return model([helper.make_node("Identity", ["x"], ["y"])], {"x": (TEXT, ["N"])}, {"y": (TEXT, ["N"])})
