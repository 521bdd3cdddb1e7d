"""Hostile packages, built here byte by byte, each with the code that the gate must answer. No binary is committed."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import AttributeProto, TensorProto, TypeProto, helper, numpy_helper

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


# ---- parts ----------------------------------------------------------------------------------------------------------


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


# ---- not ONNX -------------------------------------------------------------------------------------------------------


@attack("not_onnx")
def text_file() -> bytes:
    return b"this is a text file, renamed\n" * 20


@attack("not_onnx")
def empty_file() -> bytes:
    return b""


@attack("not_onnx")
def truncated() -> bytes:
    whole = model([add("x", "w")], initializers=[numpy_helper.from_array(np.ones(4, np.float32), "w")])
    return whole[: len(whole) // 2]


@attack("not_onnx")
def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({}))
    return buffer.getvalue()


@attack("not_onnx")
def raw_pickle() -> bytes:
    return pickle.dumps({"state": list(range(10))}, protocol=4)


@attack("not_onnx")
def gzipped() -> bytes:
    return gzip.compress(model([add("x", "x")]))


@attack("not_onnx")
def ort_format() -> bytes:
    return b"\x1c\0\0\0ORTM" + bytes(64)


@attack("too_large", Limits(model_bytes=1000))
def too_large() -> bytes:
    return model([add("x", "w")], initializers=[numpy_helper.from_array(np.ones(500, np.float32), "w")])


# ---- data from elsewhere --------------------------------------------------------------------------------------------


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


def sparse(values: Any, indices: Any, dims: list[int]) -> bytes:
    onnx_model = proto([add("x", "w")])
    onnx_model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, dims))
    return onnx_model.SerializeToString()


@attack("external_data")
def external_in_sparse_values() -> bytes:
    return sparse(external("w", "/etc/passwd"), ints("i", [0, 1, 2, 3]), [4])


@attack("external_data")
def external_in_sparse_indices() -> bytes:
    indices = external("i", "../x")
    indices.data_type = INT64
    return sparse(numpy_helper.from_array(np.ones(4, np.float32), "w"), indices, [4])


# ---- sizes ----------------------------------------------------------------------------------------------------------


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


# ---- time -----------------------------------------------------------------------------------------------------------


def loop(trip: Any | None) -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["v", "v"], ["v2"])],
        "body",
        [value("i", [], INT64), value("c", [], TensorProto.BOOL), value("v", None)],
        [value("c2", [], TensorProto.BOOL), value("v2", None)],
    )
    node = helper.make_node("Loop", ["m" if trip else "", "go", "x"], ["y"], body=body)
    return model([node], initializers=[scalar("go", True, np.bool_), *([trip] if trip else [])])


@attack("unbounded_loop")
def loop_without_end() -> bytes:
    return loop(None)


@attack("unbounded_loop")
def loop_nearly_without_end() -> bytes:
    return loop(scalar("m", 2**63 - 1))


@attack("unbounded_loop")
def loop_count_from_caller() -> bytes:
    onnx_model = proto([])
    onnx_model.ParseFromString(loop(scalar("m", 5)))
    del onnx_model.graph.initializer[1]
    onnx_model.graph.input.append(value("m", [], INT64))
    return onnx_model.SerializeToString()


@attack("too_many_nodes")
def billion_laughs() -> bytes:
    """Nine functions, each calling the one before ten times: 10^9 nodes in 2 KB."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("l", 1)]
    functions = [helper.make_function("l", "F0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], imports)]
    for level in range(1, 10):
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        calls = [helper.make_node(f"F{level - 1}", [names[i]], [names[i + 1]], domain="l") for i in range(10)]
        functions.append(helper.make_function("l", f"F{level}", ["a"], ["b"], calls, imports))
    return model([helper.make_node("F9", ["x"], ["y"], domain="l")], domains=["l"], functions=functions)


@attack("invalid_graph")
def function_calls_itself() -> bytes:
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("l", 1)]
    function = helper.make_function("l", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="l")], imports)
    return model([helper.make_node("F", ["x"], ["y"], domain="l")], domains=["l"], functions=[function])


@attack("too_many_nodes")
def long_chain() -> bytes:
    names = ["x", *(f"t{i}" for i in range(24_999)), "y"]
    return model([helper.make_node("Neg", [names[i]], [names[i + 1]]) for i in range(25_000)])


@attack("too_deep")
def deep_branches() -> bytes:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "b", [], [value("b", None)])
    for _ in range(12):
        node = helper.make_node("If", ["c"], ["b"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "b", [], [value("b", None)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    return model([node], [value("c", [], TensorProto.BOOL), value("x")])


@attack("cpu_limit", Limits(cpu=1))
def foldable_products() -> bytes:
    """Constant folding multiplies 8000 x 8000 matrices while the session is created."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["a0"])]
    nodes += [helper.make_node("MatMul", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(6)]
    nodes += [helper.make_node("ReduceSum", ["a6"], ["r"]), add("x", "r")]
    return model(nodes, [value("x", [1])], initializers=[ints("s", [8000, 8000])])


# ---- what is not served ---------------------------------------------------------------------------------------------


@attack("operator_not_allowed")
def custom_domain() -> bytes:
    return model([helper.make_node("Exec", ["x"], ["y"], domain="evil.corp")], domains=["evil.corp"])


@attack("operator_not_allowed")
def compiled_context() -> bytes:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    return model([node], domains=["com.microsoft"])


# ---- what kernels do not check --------------------------------------------------------------------------------------


@attack("dies_on_values")
def frame_length_of_a_caller() -> bytes:
    node = helper.make_node("STFT", ["x", "step", "", "length"], ["y"])
    return model([node], [value("x", [1, 64, 1]), value("step", [], INT64), value("length", [], INT64)])


@attack("dies_on_values")
def frame_length_zero() -> bytes:
    node = helper.make_node("STFT", ["x", "step", "", "length"], ["y"])
    return model([node], [value("x", [1, 64, 1])], initializers=[scalar("step", 8), scalar("length", 0)])


@attack("dies_on_values")
def frame_length_that_a_call_may_replace() -> bytes:
    node = helper.make_node("STFT", ["x", "step", "", "length"], ["y"])
    inputs = [value("x", [1, 64, 1]), value("length", [], INT64)]
    return model([node], inputs, initializers=[scalar("step", 8), scalar("length", 8)])


@attack("dies_on_values")
def batch_dims_below_zero() -> bytes:
    node = helper.make_node("GatherND", ["x", "i"], ["y"], batch_dims=-7)
    return model([node], [value("x", ["N", "M"]), value("i", ["K", 1], INT64)])


@attack("dies_on_values")
def very_many_samples() -> bytes:
    node = helper.make_node("RoiAlign", ["x", "r", "b"], ["y"], sampling_ratio=2**62)
    return model([node], [value("x", ["N", 1, "H", "W"]), value("r", ["K", 4]), value("b", ["K"], INT64)])


@attack("dies_on_values")
def more_ngrams_than_indexes() -> bytes:
    node = helper.make_node(
        "TfIdfVectorizer", ["x"], ["y"], mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
        ngram_counts=[0], ngram_indexes=[0], pool_int64s=[1, 2, 3],
    )  # fmt: skip
    return model([node], [value("x", ["N"], INT64)])


@attack("dies_on_values")
def features_below_zero() -> bytes:
    node = helper.make_node("FeatureVectorizer", ["x", "x"], ["y"], domain="ai.onnx.ml", inputdimensions=[2, -1])
    return model([node], [value("x", ["N", 2])], domains=["ai.onnx.ml"])


@attack("dies_on_values")
def noise_without_a_scale() -> bytes:
    node = helper.make_node("RandomNormalLike", ["x"], ["y"], scale=-1.0)
    return model([node], [value("x", ["N"])])


@attack("dies_on_values")
def noise_between_nothing() -> bytes:
    node = helper.make_node("RandomUniform", [], ["r"], shape=[2], low=1.0, high=float("nan"))
    return model([node, helper.make_node("Add", ["x", "r"], ["y"])], [value("x", [2])])


@attack("dies_on_values")
def batch_dims_of_a_functions_caller() -> bytes:
    imports = [helper.make_opsetid("", 18)]
    node = helper.make_node("GatherND", ["x", "i"], ["y"])
    node.attribute.add(name="batch_dims", ref_attr_name="dims", type=AttributeProto.INT)
    function = helper.make_function("own", "Pick", ["x", "i"], ["y"], [node], imports, ["dims"])
    call = helper.make_node("Pick", ["x", "i"], ["y"], domain="own", dims=-7)
    inputs = [value("x", ["N", "M"]), value("i", ["K", 1], INT64)]
    return model([call], inputs, domains=["own"], functions=[function])


@attack("dies_on_values")
def very_many_heads() -> bytes:
    node = helper.make_node("MultiHeadAttention", ["x", "x", "x"], ["y"], domain="com.microsoft", num_heads=2**62)
    return model([node], [value("x", ["N", "T", 4])], domains=["com.microsoft"])


@attack("operator_not_allowed")
def matrices_that_are_not_checked() -> bytes:
    node = helper.make_node("Inverse", ["x"], ["y"], domain="com.microsoft")
    return model([node], [value("x", ["N", "M", "M"])], domains=["com.microsoft"])


@attack("operator_not_allowed")
def layout_of_one_cpu() -> bytes:
    node = helper.make_node("ReorderInput", ["x"], ["y"], domain="com.microsoft.nchwc")
    return model([node], domains=["com.microsoft.nchwc"])


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
