"""Weights alone in 8 or 4 bits, in blocks that share a scale; activations stay in FP32.

So every processor answers alike, a row's answer does not depend on its neighbors in the batch, and no activation is
rounded: that is what these have over `dynamic`, which is faster where the CPU multiplies bytes. Convolutions' weights
are expanded when they are asked for, a scale for each output channel.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training import package
from training.compress.options import BLOCK
from training.compress.tooling import PER_CHANNEL, Rewritten, gained, opset, prepared, quiet, saved, scratch
from training.errors import TrainingError

BLOCK8 = 128  # weights of weight8 that share a scale
FEWEST = 256  # a Conv's weights from which on a node and its scales take less than is gained
FLOAT = 1  # accuracy_level of MatMulNBits; 4 rounds activations to int8, but only on CPUs that have a kernel for it
NONE = "there is no MatMul, Gemm or Gather with constant weights"


def int4(model: onnx.ModelProto, *, block: int = BLOCK) -> Rewritten:
    """MatMul, Gemm, Gather: a scale and a zero point for each `block` of weights (MatMulNBits, GatherBlockQuantized).

    Tables are quantized too: they are half of a small language model. A zero point takes half a byte per block, and
    a tenth off the error.
    """
    quantized = _blocks(model, bits=4, block_size=block, is_symmetric=False, op_types_to_quantize=("MatMul", "Gather"))
    count = gained(model, quantized, NONE)
    details = {"method": "MatMulNBits", "bits": 4, "block_size": block, "symmetric": False, "quantized_nodes": count}
    return package.serialized(quantized), details


def weight8(model: onnx.ModelProto, *, block: int = BLOCK8) -> Rewritten:
    """MatMul and Gemm: a scale for each `block` of weights (MatMulNBits); tables of Gather and Conv's weights in int8.

    A Conv's normalization is folded into it first: behind weights that are expanded, ONNX Runtime would not do so.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    convolutions = opset(model) >= PER_CHANNEL and any(node.op_type == "Conv" for node in model.graph.node)
    ready = _convolutions(prepared(model)[0]) if convolutions else model
    quantized = _blocks(ready, bits=8, block_size=block, is_symmetric=True, op_types_to_quantize=("MatMul",))
    with scratch(quantized) as folder:
        target = Path(folder) / "weight8.onnx"
        try:
            with quiet():
                quantize_dynamic(
                    saved(quantized, folder),
                    target,
                    op_types_to_quantize=["Gather"],
                    per_channel=True,
                    weight_type=QuantType.QInt8,
                )
            quantized = onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"the tables cannot be quantized ({str(error)[:300]}): try dynamic") from error
    count = gained(model, quantized, NONE.replace("MatMul", "Conv, MatMul"))
    details: dict[str, Any] = {"method": "weights in 8 bits", "bits": 8, "block_size": block, "symmetric": True}
    return package.serialized(quantized), details | {"quantized_nodes": count}


def _convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Conv's weights as int8, symmetric, and DequantizeLinear with a scale per output channel; the bias as it is."""
    changed = copy.deepcopy(model)
    tensors = {tensor.name: tensor for tensor in changed.graph.initializer}
    convolutions = [node for node in changed.graph.node if node.op_type == "Conv"]
    chosen = {node.input[1] for node in convolutions if _worth(tensors.get(node.input[1]))}
    for name in sorted(chosen):
        levels, scale = _levels(numpy_helper.to_array(tensors[name]))
        names = [f"{name}.int8", f"{name}.scale"]
        changed.graph.initializer.extend(map(numpy_helper.from_array, (levels, scale), names))
        changed.graph.node.insert(
            0, helper.make_node("DequantizeLinear", names, [f"{name}.float"], f"{name}.expand", axis=0)
        )
    for node in convolutions:
        if node.input[1] in chosen:
            node.input[1] += ".float"
    used = {name for node in changed.graph.node for name in node.input}
    for name in chosen - used:
        changed.graph.initializer.remove(tensors[name])
    return changed


def _worth(tensor: onnx.TensorProto | None) -> bool:
    return tensor is not None and tensor.data_type == tensor.FLOAT and math.prod(tensor.dims) >= FEWEST


def _levels(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int8, a scale for each of the first axis) of float32 weights [channels, …]."""
    largest = np.abs(weights.reshape(len(weights), -1)).max(1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    by = scale.reshape(-1, *[1] * (weights.ndim - 1))
    return np.rint(weights / by).clip(-127, 127).astype(np.int8), scale


def _blocks(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    plain = ONNXModel(copy.deepcopy(model))
    plain.replace_gemm_with_matmul()
    try:
        with quiet():
            quantizer = MatMulNBitsQuantizer(plain.model, accuracy_level=FLOAT, **options)
            quantizer.process()
    except Exception as error:  # as above
        raise TrainingError(f"the weights cannot be brought to blocks ({str(error)[:300]}): try dynamic") from error
    quantized: onnx.ModelProto = quantizer.model.model
    return quantized
