"""Graphs that are not served, or are none: operators of others, names from nowhere, circles, odd messages."""

from __future__ import annotations

from onnx import TensorProto, TypeProto, helper

from tests.ingest.corpus.parts import FLOAT, add, attack, model, proto, value


@attack("operator_not_allowed")
def custom_domain() -> bytes:
    return model([helper.make_node("Exec", ["x"], ["y"], domain="evil.corp")], domains=["evil.corp"])


@attack("operator_not_allowed")
def compiled_context() -> bytes:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    return model([node], domains=["com.microsoft"])


@attack("operator_not_allowed")
def unknown_operator_in_branch() -> bytes:
    branch = helper.make_graph([helper.make_node("System", ["x"], ["b"])], "b", [], [value("b", None)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([node], [value("c", [], TensorProto.BOOL), value("x")])


@attack("invalid_graph")
def nameless_variadic_input() -> bytes:
    """A null dereference in ONNX Runtime 1.32, which the official checker lets through."""
    return model([helper.make_node("Max", ["x", ""], ["y"])])


@attack("invalid_graph")
def standard_redefined() -> bytes:
    body = [helper.make_node("Neg", ["a"], ["b"])]
    function = helper.make_function("", "Relu", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    return model([helper.make_node("Relu", ["x"], ["y"])], functions=[function])


@attack("invalid_graph")
def input_from_nowhere() -> bytes:
    return model([add("x", "nowhere")])


@attack("invalid_graph")
def circle() -> bytes:
    return model([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Neg", ["a"], ["b"]), add("a", "b")])


@attack("invalid_graph")
def unknown_ir_version() -> bytes:
    onnx_model = proto([add("x", "x")])
    onnx_model.ir_version = 99
    return onnx_model.SerializeToString()


@attack("training_info")
def training_graph() -> bytes:
    onnx_model = proto([add("x", "x")])
    onnx_model.training_info.add().algorithm.CopyFrom(onnx_model.graph)
    return onnx_model.SerializeToString()


@attack("unsupported_type")
def sequence_input() -> bytes:
    sequence = helper.make_tensor_sequence_value_info("x", FLOAT, None)
    return model([helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)], inputs=[sequence])


@attack("not_onnx")
def deeply_nested_message() -> bytes:
    """20,000 sequence types within each other: protobuf refuses the depth."""
    element = TypeProto()
    element.tensor_type.elem_type = FLOAT
    body = element.SerializeToString()
    for _ in range(20_000):  # field 1 of Sequence, in field 4 of TypeProto
        inner = b"\x0a" + _varint(len(body)) + body
        body = b"\x22" + _varint(len(inner)) + inner
    onnx_model = proto([add("x", "x")])
    prefix = b"\x0a\x01z\x12" + _varint(len(body)) + body  # ValueInfoProto: name, type
    graph = onnx_model.graph.SerializeToString() + b"\x6a" + _varint(len(prefix)) + prefix
    onnx_model.ClearField("graph")
    return onnx_model.SerializeToString() + b"\x3a" + _varint(len(graph)) + graph


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
