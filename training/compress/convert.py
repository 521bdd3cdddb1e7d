"""Steps that need no data: portable graph optimization, FP16, dynamic int8. Static: int8.py; in blocks: blocks.py."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import onnx

from shared.errors import AmaasError
from shared.runtime.onnx import rewrite
from training import package
from training.compress.tooling import (
    NothingToDo,
    Rewritten,
    gained,
    operators,
    prepared,
    quiet,
    saved,
    scratch,
    weights,
)
from training.errors import TrainingError

# Conv is left out: its dynamic kernel is slower than float, and it has weights per tensor only
DYNAMIC = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]


def graph(model: onnx.ModelProto) -> Rewritten:
    """ONNX Runtime's graph optimization up to EXTENDED: the next level bakes in the layout of the CPU it runs on."""
    try:
        optimized = onnx.load_from_string(rewrite(package.serialized(model)))
    except AmaasError as error:
        raise TrainingError(f"the model cannot be optimized ({error}): export it again") from error
    before, after = len(model.graph.node), len(optimized.graph.node)
    if operators(model) == operators(optimized):
        raise NothingToDo(f"the graph of {before} nodes has nothing to fuse or fold: it is as it should be")
    return package.serialized(optimized), {"method": "ORT_ENABLE_EXTENDED", "nodes": {"before": before, "after": after}}


def fp16(model: onnx.ModelProto) -> Rewritten:
    """Weights and compute in FP16, inputs and outputs as they were; values beyond ±65504 are cut to that."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    float32 = onnx.TensorProto.FLOAT
    if not any(tensor.data_type == float32 for tensor in model.graph.initializer):
        raise NothingToDo("the model has no FP32 weights: there is nothing to bring to FP16")
    try:
        half = convert_float_to_float16(copy.deepcopy(model), keep_io_types=True)
    except Exception as error:  # the tool raises what its shape inference raises
        raise TrainingError(f"the model cannot be brought to FP16 ({str(error)[:300]}): leave it in FP32") from error
    return package.serialized(half), {"method": "float16", "keep_io_types": True}


def dynamic(model: onnx.ModelProto, *, reduce_range: bool = True) -> Rewritten:
    """Weights in int8 per channel, activations quantized at run time: for transformers, LSTMs and linear layers.

    reduce_range: weights of 7 bits. Pairs of 8-bit products saturate on x86 CPUs without VNNI, which answer otherwise.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    ready, symbolic = prepared(model)
    with scratch(model) as folder:
        target = Path(folder) / "dynamic.onnx"
        try:
            with quiet():
                quantize_dynamic(
                    saved(ready, folder),
                    target,
                    op_types_to_quantize=DYNAMIC,
                    per_channel=True,
                    reduce_range=reduce_range,
                    weight_type=QuantType.QInt8,
                )
            quantized = onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"the model cannot be quantized ({str(error)[:300]}): try the step int8") from error
    count = gained(model, quantized, "there is no MatMul, Gemm, LSTM, Attention or Gather with constant weights")
    details: dict[str, Any] = {
        "method": "dynamic",
        "weights": weights(reduce_range),
        "activations": "uint8 at run time",
    }
    details |= {"reduce_range": reduce_range, "symbolic_shapes": symbolic, "quantized_nodes": count}
    return package.serialized(quantized), details
