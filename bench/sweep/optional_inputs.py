# ruff: noqa: E501 - a row per call reads better
"""Calls with the inputs that the node tests of `onnx` leave out, and of operators that have no node test.

What a caller may send, a kernel may trust: lengths of sequences, indices of a cache, regions of an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import defs, helper

from bench.sweep.seeds import I32, MICROSOFT, U8, F, Seed, seed, values

ORDERED = [values(3, 2, 4), np.array([3, 2], I32), values(1, 2, 3)]  # X, sequence_lens and an initial state of 3
X, LENGTHS, STATE = ORDERED
IMAGE, HEADS = values(1, 2, 5, 5), values(1, 2, 3, 4)


def recurrent() -> list[Seed]:
    def gates(number: int) -> list[Any]:
        return [X, values(1, 3 * number, 4), values(1, 3 * number, 3), values(1, 6 * number), LENGTHS, STATE]

    both = [X, values(2, 9, 4), values(2, 9, 3), values(2, 18), LENGTHS, values(2, 2, 3)]
    narrow = [values(1, 4, 12, kind=np.int8), values(1, 3, 12, kind=np.int8)]
    scales = [values(1), values(1, kind=np.int8), values(1), values(1, kind=np.int8)]
    return [
        seed("", "RNN", gates(1), 2, hidden_size=3),
        seed("", "GRU", gates(3), 2, hidden_size=3),
        seed("", "GRU", gates(3), 2, hidden_size=3, linear_before_reset=1, clip=1.0),
        seed("", "GRU", both, 2, hidden_size=3, direction="bidirectional"),
        seed("", "GRU", gates(3), 2, hidden_size=3, direction="reverse"),
        seed("", "LSTM", [*gates(4), STATE, values(1, 9)], 3, hidden_size=3),
        seed("", "LSTM", [*gates(4), STATE, values(1, 9)], 3, hidden_size=3, direction="reverse", input_forget=1),
        seed(MICROSOFT, "DynamicQuantizeLSTM", [X, *narrow, values(1, 24), LENGTHS, STATE, STATE, values(1, 9), *scales], 3, hidden_size=3),
    ]  # fmt: skip


def standard() -> list[Seed]:
    quantized = [F(0.1), U8(3)]
    return [
        seed("", "Conv", [IMAGE, values(3, 2, 3, 3), values(3)], strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], group=1),
        seed("", "ConvTranspose", [IMAGE, values(2, 3, 3, 3), values(3)], strides=[2, 2], output_padding=[1, 1], group=1),
        seed("", "QLinearConv", [values(1, 2, 5, 5, kind=U8), *quantized, values(3, 2, 3, 3, kind=U8), *quantized, *quantized, values(3, kind=I32)]),
        seed("", "DFT", [values(1, 8, 1), np.array(6)], axis=1)._replace(opset=(("", 17),)),
        seed("", "DFT", [values(1, 8, 1), np.array(6), np.array(1)])._replace(opset=(("", 20),)),
        seed("", "Resize", [values(1, 1, 4, 4), np.array([0, 0, 0.2, 0.2, 1, 1, 0.8, 0.8], F), None, np.array([1, 1, 3, 3])], coordinate_transformation_mode="tf_crop_and_resize", mode="linear"),
        seed("", "Resize", [values(1, 1, 4, 4), None, np.array([1, 1, 0.6, 0.6], F)], antialias=1, mode="cubic"),
        seed("", "Upsample", [values(1, 1, 4, 4), np.array([1, 1, 2, 2], F)], mode="linear")._replace(opset=(("", 9),)),
        seed("", "MaxRoiPool", [values(1, 1, 8, 8), np.array([[0, 0, 0, 4, 4], [0, 1, 1, 7, 7]], F)], pooled_shape=[2, 2], spatial_scale=1.0),
        seed("", "GlobalLpPool", [IMAGE], p=2),
        seed("", "MaxUnpool", [values(1, 1, 2, 2), np.array([[[[5, 7], [13, 15]]]]), np.array([1, 1, 4, 4])], kernel_shape=[2, 2], strides=[2, 2]),
        seed("", "Multinomial", [values(2, 5)], sample_size=3, dtype=6),
        seed("", "RandomNormalLike", [values(2, 3)], mean=0.0, scale=1.0),
        seed("", "RandomUniformLike", [values(2, 3)], low=0.0, high=1.0),
        *(seed("", "Cast", [array], to=to) for array in (values(2, 3) * 8, np.array(["1", "2"], object), np.array([-1, 300])) for to in (1, 3, 7, 8, 9, 10)),
        seed("", "CastLike", [values(2, 3) * 8, np.array([1], U8)]),
        seed("", "Dropout", [values(2, 3), F(0.5), np.array(True)], 2),
        seed("", "Pad", [values(2, 3), np.array([1, -1]), F(0), np.array([1])], mode="constant"),
        seed("", "Attention", [HEADS, HEADS, HEADS, values(3, 6), HEADS, HEADS], 3)._replace(opset=(("", 23),)),
        seed("", "Attention", [HEADS, HEADS, HEADS, values(3, 3), None, None, np.array([2])], 1)._replace(opset=(("", 24),)),
        seed("", "Gather", [values(3, 4), np.array([0, -1, 2])], axis=0),
        seed("", "Scatter", [values(3, 4), np.array([[0, 1]]), values(1, 2)], axis=1)._replace(opset=(("", 10),)),
        seed("", "Range", [np.array(0), np.array(5), np.array(2)]),
        seed("", "TopK", [values(3, 4), np.array([2])], 2, axis=1, largest=1, sorted=1),
    ]  # fmt: skip


def sequences() -> list[Seed]:
    """Of two tensors, made into a sequence by a node before."""
    rows = {"a": values(2, 3), "b": values(2, 3)}
    construct = helper.make_node("SequenceConstruct", ["a", "b"], ["s"])

    def of(operator: str, inputs: list[str], feeds: dict[str, Any], **attributes: Any) -> Seed:
        node = helper.make_node(operator, inputs, ["o"], **attributes)
        return Seed(node, rows | feeds, (("", 18),), (construct,))

    place = {"i": np.array(1)}
    return [
        Seed(construct, rows, (("", 18),)),
        of("SequenceAt", ["s", "i"], place),
        of("SequenceInsert", ["s", "x", "i"], place | {"x": values(1, 3)}),
        of("SequenceErase", ["s", "i"], place),
        of("SequenceLength", ["s"], {}),
        of("ConcatFromSequence", ["s"], {}, axis=0),
        of("ConcatFromSequence", ["s"], {}, axis=0, new_axis=1),
    ]


def attention() -> list[Seed]:
    x, mha = values(1, 3, 4), {"num_heads": 2}
    keys, lengths = values(1, 2, 5, 2), np.array([2], I32)
    quantized = [F(0.1), F(0.1), None, U8(3), np.int8(0)]
    grouped = [
        values(1, 1, 16),
        values(1, 1, 8),
        values(1, 1, 8),
        values(1, 1, 4, 8),
        values(1, 1, 4, 8),
        np.array([4], I32),
        np.array(5, I32),
    ]
    rotated = [
        values(1, 1, 32),
        values(1, 1, 16),
        values(1, 1, 16),
        values(1, 1, 4, 16),
        values(1, 1, 4, 16),
        *grouped[5:],
    ]
    return [
        seed(MICROSOFT, "QAttention", [values(1, 3, 4, kind=U8), values(4, 12, kind=np.int8), values(12), *quantized, values(2, 1, 2, 2, 2)], 2, **mha, unidirectional=1),
        seed(MICROSOFT, "MultiHeadAttention", [values(1, 1, 4), values(1, 1, 4), values(1, 1, 4), None, None, None, keys, keys, lengths], 3, **mha),
        seed(MICROSOFT, "DecoderMaskedMultiHeadAttention", [x[:, :1], x[:, :1], x[:, :1], np.ones((1, 3), I32), values(1, 1, 1, 3), keys, keys, lengths, None, None, values(12)], 3, **mha, past_present_share_buffer=1),
        seed(MICROSOFT, "GroupQueryAttention", [*rotated, values(8, 8), values(8, 8), np.array([[4]]), values(1, 2, 1, 5)], 3, num_heads=2, kv_num_heads=1, do_rotary=1),
        seed(MICROSOFT, "GroupQueryAttention", [*grouped, None, None, None, None, values(2)], 3, num_heads=2, kv_num_heads=1),
        seed(MICROSOFT, "MatMulNBits", [values(2, 32), values(8, 2, 8, kind=U8), values(16), None, None, values(8)], N=8, K=32, bits=4, block_size=16),
    ]  # fmt: skip


def every() -> list[Seed]:
    return [*recurrent(), *standard(), *sequences(), *attention()]


def never_given(seeds: list[Seed]) -> dict[str, list[str]]:
    """By operator, the inputs of its newest schema that no seed has: what the sweep says nothing of."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    schemas = {(schema.domain, schema.name): schema for schema in runtime.get_all_operator_schema()}
    given: dict[tuple[str, str], set[int]] = {}
    for entry in seeds:
        places = given.setdefault((entry.node.domain, entry.node.op_type), set())
        places.update(place for place, name in enumerate(entry.node.input) if name)
    left: dict[str, list[str]] = {}
    for (domain, operator), places in sorted(given.items()):
        if (domain, operator) not in schemas and not defs.has(operator, domain):
            continue
        schema = schemas.get((domain, operator)) or defs.get_schema(operator, domain)
        names = [parameter.name for place, parameter in enumerate(schema.inputs) if place not in places]
        if names:
            left[f"{domain or 'ai.onnx'}:{operator}"] = names
    return left


def without_seed(seeds: list[Seed]) -> list[str]:
    """Operators of the standard of which the sweep has no call."""
    standard_ops = {(s.domain, s.name) for s in defs.get_all_schemas_with_history() if s.domain in ("", "ai.onnx.ml")}
    known = {(entry.node.domain, entry.node.op_type) for entry in seeds}
    return [f"{domain or 'ai.onnx'}:{name}" for domain, name in sorted(standard_ops - known)]
