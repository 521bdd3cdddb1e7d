"""Values that operators' kernels do not check, and would read or write beyond their memory for."""

from __future__ import annotations

from onnx import AttributeProto, helper

from tests.ingest.corpus.parts import INT64, attack, model, scalar, value


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
