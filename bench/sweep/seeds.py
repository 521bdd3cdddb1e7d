# ruff: noqa: E501 - a row per call reads better
"""One call that works of every operator that the gate lets through: what the sweep then makes hostile.

Of the standard they come from the `onnx` package's own node tests; of the other two domains they are written here.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from onnx import helper

from shared.ingest.operators import CONTRIB, MICROSOFT

PER_OPERATOR = 4  # of the standard's tests: the first ones are the plain ones
F, I64, I32, U8, I8 = np.float32, np.int64, np.int32, np.uint8, np.int8


class Seed(NamedTuple):
    """feeds: by input name. opset: (domain, version) pairs. before: nodes that make what the node takes, as sequences."""

    node: Any
    feeds: dict[str, np.ndarray]
    opset: tuple[tuple[str, int], ...]
    before: tuple[Any, ...] = ()


def seed(domain: str, op: str, inputs: list[Any], outputs: int = 1, **attributes: Any) -> Seed:
    """inputs: arrays, or None for an input that is left out."""
    names = ["" if array is None else f"i{index}" for index, array in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{index}" for index in range(outputs)], domain=domain, **attributes)
    feeds = {name: np.asarray(array) for name, array in zip(names, inputs, strict=True) if name}
    return Seed(node, feeds, (("", 18), ("ai.onnx.ml", 3), (MICROSOFT, 1)))


def standard() -> list[Seed]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    seeds: list[Seed] = []
    taken: Counter[tuple[str, str]] = Counter()
    for case in cases:
        graph = case.model.graph
        if len(graph.node) != 1 or graph.initializer or not case.data_sets:
            continue
        node, arrays = graph.node[0], case.data_sets[0][0]
        key = (node.domain, node.op_type)
        plain = all(isinstance(array, np.ndarray | np.generic) for array in arrays)
        if taken[key] >= PER_OPERATOR or not plain or node.domain not in ("", "ai.onnx.ml"):
            continue
        taken[key] += 1
        feeds = {value.name: np.asarray(array) for value, array in zip(graph.input, arrays, strict=False)}
        seeds.append(Seed(node, feeds, tuple((entry.domain, entry.version) for entry in case.model.opset_import)))
    return seeds + [
        seed("", op, [array, divisor], **more)
        for op, more in (("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1}))
        for kind in (I8, np.int16, I32, I64, U8, np.uint16, np.uint32, np.uint64, F, np.float64)
        for array, divisor in ((_least(kind), np.array([3, 2], kind)), (np.array([6], kind), np.array(3, kind)))
        if not (more == {} and op == "Mod" and np.dtype(kind).kind == "f")
    ]


def _least(kind: Any) -> Any:
    return np.array([np.iinfo(kind).min if np.dtype(kind).kind in "iu" else -1, 7], kind)


def values(*shape: int, kind: Any = F) -> Any:
    count = int(np.prod(shape))
    array = (np.arange(count) % 7).reshape(shape).astype(kind)
    return array / kind(8) if np.dtype(kind).kind == "f" else array


def learners() -> list[Seed]:
    """ai.onnx.ml."""
    ml, x = "ai.onnx.ml", values(2, 3)
    trees: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [1, 0, 0], "nodes_values": [0.5, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0],
    }  # fmt: skip
    votes = {"class_treeids": [0, 0], "class_nodeids": [1, 2], "class_ids": [0, 1], "class_weights": [1.0, 1.0]}
    sums = {"target_treeids": [0, 0], "target_nodeids": [1, 2], "target_ids": [0, 0], "target_weights": [1.0, 2.0]}
    support = {
        "kernel_type": "RBF",
        "kernel_params": [0.1, 0.0, 3.0],
        "support_vectors": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
    }
    words = np.array(["a", "b"], object)
    return [
        seed(ml, "FeatureVectorizer", [values(2, 2), values(2, 2)], inputdimensions=[2, 2]),
        seed(ml, "Scaler", [x], offset=[0.0, 1.0, 2.0], scale=[1.0, 1.0, 1.0]),
        seed(ml, "Normalizer", [x], norm="L2"),
        seed(ml, "Normalizer", [x], norm="MAX"),
        seed(ml, "Imputer", [x], imputed_value_floats=[0.0, 1.0, 2.0], replaced_value_float=1.0),
        seed(ml, "Binarizer", [x], threshold=0.5),
        seed(ml, "ArrayFeatureExtractor", [x, np.array([0, 2])]),
        seed(ml, "OneHotEncoder", [np.array([[1], [2]])], cats_int64s=[1, 2, 3]),
        seed(ml, "OneHotEncoder", [words], cats_strings=["a", "c"]),
        seed(ml, "CategoryMapper", [words], cats_int64s=[1, 2], cats_strings=["a", "b"]),
        seed(ml, "LabelEncoder", [words], keys_strings=["a"], values_int64s=[4]),
        seed(ml, "LinearRegressor", [x], coefficients=[1.0, 2.0, 3.0], intercepts=[0.5], targets=1),
        seed(
            ml, "LinearClassifier", [x], 2, coefficients=[1.0] * 6, intercepts=[0.0, 1.0], classlabels_ints=[0, 1],
            post_transform="SOFTMAX",
        ),
        seed(ml, "SVMRegressor", [x], coefficients=[1.0, -1.0], rho=[0.1], n_supports=2, **support),
        seed(
            ml, "SVMClassifier", [x], 2, coefficients=[1.0, -1.0], rho=[0.1], vectors_per_class=[1, 1],
            classlabels_ints=[0, 1], **support,
        ),
        seed(ml, "TreeEnsembleClassifier", [x], 2, classlabels_int64s=[0, 1], **trees, **votes),
        seed(ml, "TreeEnsembleRegressor", [x], n_targets=1, **trees, **sums),
    ]  # fmt: skip


# com.microsoft, those in CONTRIB and those that were on it once: operator, inputs, attributes, number of outputs
s, z, zi = F(0.1), U8(3), I8(0)
x, xq = values(2, 3, 4), values(2, 3, 4, kind=U8)
image, imageq = values(1, 2, 5, 5), values(1, 2, 5, 5, kind=U8)
ids = np.array([[1, 2, 0]], I32)
mha = {"num_heads": 2}
table, tableq = values(6, 4), values(6, 4, kind=U8)
lstm = [values(3, 2, 4), values(1, 4, 12, kind=I8), values(1, 3, 12, kind=I8), values(1, 24), *[None] * 4]
experts = {"k": 1, "expert_weight_bits": 8, "activation_type": "gelu"}
CALLS: list[Any] = [
    ("SkipLayerNormalization", [x, x, values(4), values(4), values(4)], {}),
    ("SkipSimplifiedLayerNormalization", [x, x, values(4), values(4)], {}),
    ("DynamicQuantizeMatMul", [x, values(4, 5, kind=I8), s, zi, values(5)], {}),
    ("DynamicQuantizeMatMul", [x, values(4, 5, kind=I8), values(5), values(5, kind=I8), values(5)], {}),
    ("QAttention", [xq, values(4, 12, kind=I8), values(12), s, s, None, z, zi], mha),
    ("QAttention", [xq, values(4, 12, kind=I8), values(12), s, s, np.array([3, 2], I32), z, zi], mha),
    ("QLinearLeakyRelu", [xq, s, z, s, z], {"alpha": 0.1}),
    ("QLinearSigmoid", [xq, s, z, s, z], {}),
    ("RotaryEmbedding", [values(1, 3, 8), np.array([[0, 1, 2]]), values(8, 4), values(8, 4)], {}),
    ("RotaryEmbedding", [values(1, 2, 3, 4), np.array([0]), values(8, 2), values(8, 2)], {"interleaved": 1}),
    ("QMoE", [values(2, 16), values(2, 2), values(2, 16, 16, kind=U8), values(2, 16), None,
              values(2, 16, 16, kind=U8), values(2, 16), None], experts),
    ("QMoE", [values(2, 16), values(2, 2), values(2, 16, 8, kind=U8), values(2, 16), None,
              values(2, 16, 8, kind=U8), values(2, 16), None], experts | {"expert_weight_bits": 4}),
    ("MatMulInteger16", [values(2, 3, kind=np.int16), values(3, 2, kind=np.int16)], {}),
    ("QEmbedLayerNormalization", [ids, ids * 0, tableq, tableq, tableq, values(4, kind=U8), values(4, kind=U8), None,
                                  s, s, s, s, s, z, z, z, z, z], {}, 2),
    ("Inverse", [np.eye(3, dtype=F)], {}),
    ("TransposeMatMul", [values(2, 3), values(3, 2)], {}),
    ("FusedMatMul", [values(2, 3, 4), values(2, 4, 3)], {"alpha": 0.5}),
    ("FusedMatMul", [values(3, 2, 4), values(4, 2, 3)], {"transBatchA": 1, "transBatchB": 1}),
    ("FusedMatMul", [values(4, 3), values(4, 3)], {"transA": 1}),
    ("DequantizeLinear", [xq, values(3), values(3, kind=U8)], {"axis": 1}),
    ("QuantizeLinear", [x, values(3) + 1, values(3, kind=U8)], {"axis": 1}),
    ("QGemm", [values(2, 3, kind=U8), s, z, values(3, 4, kind=I8), s, zi, values(4, kind=I32), s, z], {}),
    ("QGemm", [values(2, 3, kind=U8), s, z, values(3, 4, kind=I8), values(4), values(4, kind=I8)], {}),
    ("QLinearMul", [xq, s, z, xq, s, z, s, z], {}),
    ("QLinearAdd", [xq, s, z, xq, s, z, s, z], {}),
    ("QLinearWhere", [x > 0.5, xq, s, z, xq, s, z, s, z], {}),
    ("QLinearConcat", [s, z, xq, s, z, xq, s, z], {"axis": 1}),
    ("QLinearSoftmax", [xq, s, z, s, z], {"opset": 13, "axis": -1}),
    ("QLinearSoftmax", [xq, s, z, s, z], {"opset": 12, "axis": 1}),
    ("QLinearConv", [imageq, s, z, values(3, 2, 3, 3, kind=I8), s, zi, s, z, values(3, kind=I32)],
     {"strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1, "kernel_shape": [3, 3]}),
    ("QLinearConv", [imageq, s, z, values(2, 1, 3, 3, kind=I8), values(2), values(2, kind=I8), s, z],
     {"group": 2, "kernel_shape": [3, 3]}),
    ("QLinearGlobalAveragePool", [imageq, s, z, s, z], {}),
    ("QLinearGlobalAveragePool", [imageq, s, z, s, z], {"channels_last": 1}),
    ("QLinearAveragePool", [imageq, s, z, s, z], {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}),
    ("QLinearAveragePool", [imageq, s, z, s, z], {"kernel_shape": [2, 2], "channels_last": 1}),
    ("NhwcMaxPool", [imageq], {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0], "dilations": [1, 1]}),
    ("MultiHeadAttention", [x, x, x], mha),
    ("MultiHeadAttention", [x, x, x, values(12), np.array([3, 2], I32)], mha),
    ("MultiHeadAttention", [x, x, x, None, None, values(1, 2, 3, 3)], mha),
    ("MultiHeadAttention", [x, x, x, None, None, None, values(2, 2, 3, 2), values(2, 2, 3, 2)], mha, 3),
    ("MultiHeadAttention", [x, values(2, 2, 3, 2), values(2, 2, 3, 2)], mha),
    ("GroupQueryAttention", [values(1, 1, 16), values(1, 1, 8), values(1, 1, 8), values(1, 1, 4, 8),
                             values(1, 1, 4, 8), np.array([4], I32), np.array(5, I32)],
     {"num_heads": 2, "kv_num_heads": 1}, 3),
    ("GroupQueryAttention", [values(1, 3, 64), None, None, values(1, 1, 4, 16), values(1, 1, 4, 16), np.array([2], I32),
                             np.array(3, I32), values(8, 8), values(8, 8)],
     {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1}, 3),
    ("Gelu", [x], {}),
    ("QuickGelu", [x], {}),
    ("BiasGelu", [x, values(4)], {}),
    ("FastGelu", [x, values(4)], {}),
    ("FusedConv", [image, values(3, 2, 3, 3), values(3), None],
     {"activation": "Relu", "strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1}),
    ("FusedConv", [image, values(3, 2, 3, 3), values(3), values(1, 3, 3, 3)], {"activation": "Relu"}),
    ("FusedGemm", [values(2, 3), values(3, 4), values(4)], {"activation": "Relu"}),
    ("Trilu", [x, np.array(0)], {}),
    ("MatMulNBits", [values(2, 32), values(8, 2, 8, kind=U8), values(16)],
     {"N": 8, "K": 32, "bits": 4, "block_size": 16}),
    ("MatMulNBits", [values(2, 32), values(8, 2, 8, kind=U8), values(16), values(8, kind=U8)],
     {"N": 8, "K": 32, "bits": 4, "block_size": 16, "accuracy_level": 4}),
    ("MatMulNBits", [values(2, 32), values(8, 2, 8, kind=U8), values(16), None, np.repeat(np.arange(2, dtype=I32), 16)],
     {"N": 8, "K": 32, "bits": 4, "block_size": 16}),
    ("MatMulNBits", [values(2, 32), values(8, 2, 16, kind=U8), values(16)],
     {"N": 8, "K": 32, "bits": 8, "block_size": 16}),
    ("MatMulBnb4", [values(2, 32), values(128, kind=U8), values(16)],
     {"N": 8, "K": 32, "block_size": 16, "quant_type": 1}),
    ("ConvTransposeWithDynamicPads", [image, values(2, 3, 3, 3), np.array([0, 0, 0, 0]), values(3)],
     {"strides": [2, 2], "group": 1, "dilations": [1, 1]}),
    ("Pad", [x, np.array([0, 1, 0, 0, 1, 0]), F(0)], {"mode": "constant"}),
    ("Pad", [x, np.array([0, 1, 0, 0, 1, 0])], {"mode": "reflect"}),
    ("MatMulIntegerToFloat", [values(2, 3, kind=U8), values(3, 4, kind=U8), s, s, z, z, values(4)], {}),
    ("DynamicQuantizeLSTM", [*lstm, values(1, 12), np.zeros((1, 12), I8), values(1, 12), np.zeros((1, 12), I8)],
     {"hidden_size": 3}, 3),
    ("DynamicQuantizeLSTM", [*lstm, values(1), values(1, kind=I8), values(1), values(1, kind=I8)],
     {"hidden_size": 3}, 3),
    ("EmbedLayerNormalization", [ids, ids * 0, table, table, table, values(4), values(4), np.ones_like(ids)], {}, 2),
    ("EmbedLayerNormalization", [ids, None, table, table, None, values(4), values(4), None, ids], {}, 2),
    ("Tokenizer", [np.array(["a b", "c"], object)],
     {"mark": 0, "mincharnum": 1, "pad_value": "#", "separators": [" "]}),
    ("Tokenizer", [np.array(["a b", "c"], object)],
     {"mark": 1, "mincharnum": 1, "pad_value": "#", "tokenexp": "[a-z]+"}),
    ("Attention", [x, values(4, 12), values(12)], mha),
    ("Attention", [x, values(4, 12), values(12), np.array([3, 2], I32)], mha | {"unidirectional": 1}),
    ("Attention", [x, values(4, 12), values(12), None, values(2, 2, 2, 3, 2)], mha, 2),
    ("Attention", [x, values(4, 12), values(12), None, None, values(1, 2, 3, 3)], mha),
    ("Attention", [x, values(4, 12), values(12)], mha | {"qkv_hidden_sizes": [4, 4, 4]}),
    ("ExpandDims", [x, np.array(1, I32)], {}),
    ("MurmurHash3", [values(3, kind=I32)], {"seed": 1}),
    ("MurmurHash3", [np.array(["a", "b"], object)], {"positive": 0}),
    ("GatherND", [x, np.array([[0, 1], [1, 2]])], {}),
    ("Unique", [np.array([1, 2, 1], F)], {}, 3),
    ("DecoderMaskedMultiHeadAttention", [values(1, 1, 4), values(1, 1, 4), values(1, 1, 4), None, None,
                                         values(1, 2, 5, 2), values(1, 2, 5, 2), np.array([2], I32)],
     mha | {"past_present_share_buffer": 1}, 3),
    ("DecoderMaskedMultiHeadAttention", [values(2, 1, 4), values(2, 1, 4), values(2, 1, 4), None, None,
                                         values(2, 2, 5, 2), values(2, 2, 5, 2), np.array([2], I32),
                                         np.array([2], I32), np.zeros((1, 2, 5), I32)],
     mha | {"past_present_share_buffer": 1}, 3),
    ("CDist", [values(3, 4), values(2, 4)], {"metric": "euclidean"}),
    ("CDist", [values(3, 4), values(2, 4)], {"metric": "sqeuclidean"}),
    ("GatherBlockQuantized", [values(4, 16, kind=U8), np.array([0, 2]), values(4, 2)],
     {"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}),
    ("GatherBlockQuantized", [values(4, 32, kind=U8), np.array([0, 2]), values(4, 2), values(4, 2, kind=U8)],
     {"bits": 8, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}),
]  # fmt: skip


def contrib() -> list[Seed]:
    known = [seed(MICROSOFT, op, inputs, *more, **attributes) for op, inputs, attributes, *more in CALLS]
    missing = CONTRIB - {entry.node.op_type for entry in known}
    assert not missing, f"write a seed for {sorted(missing)}"
    return known
