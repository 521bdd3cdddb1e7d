"""Graphs that take much more memory than their files."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.ingest.corpus.parts import FLOAT, INT64, add, attack, ints, model, proto, scalar, sparse, value


@attack("sparse_tensor")
def sparse_huge() -> bytes:
    return sparse(numpy_helper.from_array(np.ones(1, np.float32), "w"), ints("i", [0]), [10**9])


@attack("shape_bomb")
def constant_of_shape() -> bytes:
    return model([helper.make_node("ConstantOfShape", ["s"], ["w"]), add("x", "w")], initializers=[ints("s", [10**9])])


@attack("shape_bomb")
def constant_of_shape_from_node() -> bytes:
    shape = helper.make_node("Constant", [], ["s"], value_ints=[100_000, 100_000])
    return model([shape, helper.make_node("ConstantOfShape", ["s"], ["w"]), add("x", "w")])


@attack("shape_bomb")
def expand() -> bytes:
    return model([helper.make_node("Expand", ["x", "s"], ["y"])], [value("x", [1])], initializers=[ints("s", [10**9])])


@attack("shape_bomb")
def expand_in_branch() -> bytes:
    branch = helper.make_graph([helper.make_node("Expand", ["x", "s"], ["b"])], "b", [], [value("b", None)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([node], [value("c", [], TensorProto.BOOL), value("x", [1])], initializers=[ints("s", [2**40])])


@attack("shape_bomb")
def tile() -> bytes:
    return model([helper.make_node("Tile", ["x", "r"], ["y"])], initializers=[ints("r", [10**9])])


@attack("shape_bomb")
def long_range() -> bytes:
    constants = [scalar("a", 0), scalar("b", 10**9), scalar("c", 1)]
    return model(
        [helper.make_node("Range", ["a", "b", "c"], ["y"])], outputs=[value("y", None, INT64)], initializers=constants
    )


@attack("shape_bomb")
def one_hot() -> bytes:
    node = helper.make_node("OneHot", ["x", "d", "v"], ["y"])
    constants = [scalar("d", 10**9), numpy_helper.from_array(np.array([0, 1], np.float32), "v")]
    return model([node], initializers=constants)


@attack("shape_bomb")
def pad() -> bytes:
    return model([helper.make_node("Pad", ["x", "p"], ["y"])], initializers=[ints("p", [0, 10**9])])


@attack("shape_bomb")
def resize() -> bytes:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"])
    scales = numpy_helper.from_array(np.array([1, 1, 40_000, 40_000], np.float32), "s")
    return model([node], [value("x", [1, 1, 4, 4])], initializers=[scales])


@attack("shape_bomb")
def random_normal() -> bytes:
    return model([helper.make_node("RandomNormal", [], ["w"], shape=[10**9]), add("x", "w")])


@attack("shape_bomb")
def shape_input() -> bytes:
    """136 bytes that once filled 11 GB: shape inference walks the values of a declared shape."""
    return model([helper.make_node("Expand", ["x", "s"], ["y"])], [value("x", [1]), value("s", [2**31], INT64)])


@attack("shape_bomb")
def shape_between() -> bytes:
    onnx_model = proto(
        [helper.make_node("Cast", ["x"], ["s"], to=INT64), helper.make_node("ConstantOfShape", ["s"], ["y"])]
    )
    onnx_model.graph.value_info.append(value("s", [2**27], INT64))
    return onnx_model.SerializeToString()


@attack("shape_bomb")
def tensor_without_data() -> bytes:
    return model([add("x", "w")], initializers=[TensorProto(name="w", data_type=FLOAT, dims=[10**6, 10**6])])


@attack("shape_bomb")
def overflowing_dimensions() -> bytes:
    return model([add("x", "w")], initializers=[TensorProto(name="w", data_type=FLOAT, dims=[2**32, 2**32, 2**32])])


@attack("shape_bomb")
def many_dimensions() -> bytes:
    return model([add("x", "x")], [value("x", [1] * 40)])


@attack("invalid_graph")
def negative_dimension() -> bytes:
    return model([add("x", "w")], initializers=[TensorProto(name="w", data_type=FLOAT, dims=[-4])])


@attack("invalid_graph")
def tensor_too_short() -> bytes:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[1000], raw_data=bytes(8))
    return model([add("x", "w")], initializers=[tensor])


@attack("output_too_large")
def large_answer() -> bytes:
    node = helper.make_node("ConstantOfShape", ["s"], ["w"])
    return model([node, add("x", "w")], [value("x", [1])], initializers=[ints("s", [3_000_000])])


@attack("memory_limit")
def many_large_tensors() -> bytes:
    """Each below the limit of one tensor; together 4.8 GB."""
    parts = [helper.make_node("ConstantOfShape", ["s"], [f"w{i}"]) for i in range(8)]
    joined = helper.make_node("Concat", [f"w{i}" for i in range(8)], ["w"], axis=0)
    return model([*parts, joined, helper.make_node("Size", ["w"], ["y"])], outputs=[value("y", None, INT64)],
                 initializers=[ints("s", [150_000_000])])  # fmt: skip
