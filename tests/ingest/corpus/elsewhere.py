"""Graphs whose data is said to lie elsewhere: in other files, or in memory."""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.ingest.corpus.parts import INT64, add, attack, external, ints, model, sparse, value, with_weights


@attack("external_data")
def external_absolute() -> bytes:
    return with_weights("/etc/passwd")


@attack("external_data")
def external_parent() -> bytes:
    return with_weights("../../../../etc/passwd")


@attack("external_data")
def external_cwd_relative() -> bytes:
    return with_weights("etc/passwd")


@attack("external_data")
def external_file_not_sent() -> bytes:
    return with_weights("weights.bin")


@attack("external_data")
def external_memory_address() -> bytes:
    return with_weights("*/_ORT_MEM_ADDR_/*", offset="4096", length="16")


@attack("external_data")
def external_model_itself() -> bytes:
    return with_weights("model.onnx")


@attack("external_data")
def external_without_location() -> bytes:
    return with_weights("")


@attack("external_data")
def external_in_constant() -> bytes:
    constant = helper.make_node("Constant", [], ["w"], value=external("w", "/etc/passwd"))
    return model([constant, add("x", "w")])


@attack("external_data")
def external_in_attribute() -> bytes:
    node = helper.make_node("ConstantOfShape", ["s"], ["w"], value=external("w", "../secret", 1))
    return model([node, add("x", "w")], initializers=[ints("s", [2])])


@attack("external_data")
def external_in_attribute_list() -> bytes:
    node = add("x", "x")
    secret = external("t", "/etc/passwd")
    node.attribute.append(AttributeProto(name="extra", type=AttributeProto.TENSORS, tensors=[secret]))
    return model([node])


@attack("external_data")
def external_in_subgraph() -> bytes:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["b"])], "b", [], [value("b", None)], [external("w", "/etc/passwd")]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([node], [value("c", [], TensorProto.BOOL)])


@attack("external_data")
def external_in_function() -> bytes:
    constant = helper.make_node("Constant", [], ["w"], value=external("w", "../x"))
    body = [constant, helper.make_node("Add", ["a", "w"], ["b"])]
    function = helper.make_function("local", "F", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    node = helper.make_node("F", ["x"], ["y"], domain="local")
    return model([node], domains=["local"], functions=[function])


@attack("external_data")
def external_in_sparse_values() -> bytes:
    return sparse(external("w", "/etc/passwd"), ints("i", [0, 1, 2, 3]), [4])


@attack("external_data")
def external_in_sparse_indices() -> bytes:
    indices = external("i", "../x")
    indices.data_type = INT64
    return sparse(numpy_helper.from_array(np.ones(4, np.float32), "w"), indices, [4])
