"""Weights alone in 8 or 4 bits, in blocks that share a scale; the activations of each row are quantised as it comes.

A row's answer does not depend on its neighbours in the batch, and one large activation spoils a block, not a tensor:
that is what these have over `dynamic`, which is faster where the CPU multiplies bytes.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import onnx

from training.compress import package
from training.compress.steps import Made, gained, quiet, saved
from training.errors import TrainingError

BLOCK4, BLOCK8 = 32, 128  # weights that share a scale
BYTES = 4  # accuracy_level of MatMulNBits: activations in int8, a scale per block; 0 multiplies in FP32
NONE = "there is no MatMul, Gemm or Gather with constant weights"


def int4(model: onnx.ModelProto, *, block: int = BLOCK4) -> Made:
    """MatMul, Gemm, Gather: a scale and a zero point for each `block` of weights (MatMulNBits, GatherBlockQuantized).

    Tables are quantised too: they are half of a small language model. A zero point takes half a byte per block, and
    a tenth off the error.
    """
    made = _blocks(model, bits=4, block_size=block, is_symmetric=False, op_types_to_quantize=("MatMul", "Gather"))
    count = gained(model, made, NONE)
    details = {"method": "MatMulNBits", "bits": 4, "block_size": block, "symmetric": False, "quantised_nodes": count}
    return package.serialised(made), details


def weight8(model: onnx.ModelProto, *, block: int = BLOCK8) -> Made:
    """MatMul and Gemm: a scale for each `block` of weights (MatMulNBits); tables of Gather in int8."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = _blocks(model, bits=8, block_size=block, is_symmetric=True, op_types_to_quantize=("MatMul",))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "made.onnx"
        try:
            with quiet():
                quantize_dynamic(
                    saved(made, folder), target, op_types_to_quantize=["Gather"], per_channel=True,
                    weight_type=QuantType.QInt8,
                )  # fmt: skip
            made = onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"the tables cannot be quantised ({str(error)[:300]}): try dynamic") from error
    count = gained(model, made, NONE)
    details: dict[str, Any] = {"method": "MatMulNBits, 8 bits", "bits": 8, "block_size": block, "symmetric": True}
    return package.serialised(made), details | {"quantised_nodes": count}


def _blocks(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    plain = ONNXModel(copy.deepcopy(model))
    plain.replace_gemm_with_matmul()
    try:
        with quiet():
            quantizer = MatMulNBitsQuantizer(plain.model, accuracy_level=BYTES, **options)
            quantizer.process()
    except Exception as error:  # as above
        raise TrainingError(f"the weights cannot be brought to blocks ({str(error)[:300]}): try dynamic") from error
    made: onnx.ModelProto = quantizer.model.model
    return made
