"""Steps that need no data: portable graph optimisation, FP16, dynamic int8. Static int8: int8.py; blocks: blocks.py."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from shared.errors import AmaasError
from shared.runtime.onnx import rewrite
from training import package
from training.errors import TrainingError

Made = tuple[bytes, dict[str, Any]]  # the new model, and what its lineage says of how
# Conv is left out: its dynamic kernel is slower than float, and it has weights per tensor only
DYNAMIC = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]
INTEGER = {"MatMulInteger", "DynamicQuantizeLSTM", "QAttention", "QEmbedLayerNormalization", "DequantizeLinear",
           "QLinearMatMul", "QLinearConv", "ConvInteger", "MatMulNBits", "GatherBlockQuantized"}  # fmt: skip
QUANTISING = ("int8", "dynamic", "weight8", "int4")
PER_CHANNEL = 13  # the opset from which on DequantizeLinear takes a scale per channel


class NothingToDo(TrainingError):
    """The model has nothing that this step is for."""


def unquantised(parent: package.Package) -> None:
    """Raises TrainingError where the model is in integers already: quantised twice, it would round what was rounded."""
    found = sorted(INTEGER & _operators(parent.model).keys())
    if not found:
        return
    lineage = parent.manifest.get("lineage") or {}
    step = (lineage.get("details") or {}).get("step")
    if step in QUANTISING and lineage.get("parent"):
        raise TrainingError(f"the model is quantised already (by {step}): give its parent, {lineage['parent']}")
    before = f"; its own parent is {lineage['parent']}" if lineage.get("parent") else ""
    raise TrainingError(
        f"the model is quantised already (it has {', '.join(found)}): give the one in floating point that it was made "
        f"from{before}"
    )


def graph(model: onnx.ModelProto) -> Made:
    """ONNX Runtime's graph optimisation up to EXTENDED: the next level bakes in the layout of the CPU it runs on."""
    try:
        optimised = onnx.load_from_string(rewrite(package.serialised(model)))
    except AmaasError as error:
        raise TrainingError(f"the model cannot be optimised ({error}): export it again") from error
    before, after = len(model.graph.node), len(optimised.graph.node)
    if _operators(model) == _operators(optimised):
        raise NothingToDo(f"the graph of {before} nodes has nothing to fuse or fold: it is as it should be")
    return package.serialised(optimised), {"method": "ORT_ENABLE_EXTENDED", "nodes": {"before": before, "after": after}}


def fp16(model: onnx.ModelProto) -> Made:
    """Weights and compute in FP16, inputs and outputs as they were; values beyond ±65504 are cut to that."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    float32 = onnx.TensorProto.FLOAT
    if not any(tensor.data_type == float32 for tensor in model.graph.initializer):
        raise NothingToDo("the model has no FP32 weights: there is nothing to bring to FP16")
    try:
        made = convert_float_to_float16(copy.deepcopy(model), keep_io_types=True)
    except Exception as error:  # the tool raises what its shape inference raises
        raise TrainingError(f"the model cannot be brought to FP16 ({str(error)[:300]}): leave it in FP32") from error
    return package.serialised(made), {"method": "float16", "keep_io_types": True}


def dynamic(model: onnx.ModelProto, *, reduce_range: bool = True) -> Made:
    """Weights in int8 per channel, activations quantised at run time: for transformers, LSTMs and linear layers.

    reduce_range: weights of 7 bits. Pairs of 8-bit products saturate on x86 CPUs without VNNI, which answer otherwise.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    ready, symbolic = prepared(model)
    with scratch(model) as folder:
        target = Path(folder) / "made.onnx"
        try:
            with quiet():
                quantize_dynamic(
                    saved(ready, folder), target, op_types_to_quantize=DYNAMIC, per_channel=True,
                    reduce_range=reduce_range, weight_type=QuantType.QInt8,
                )  # fmt: skip
            made = onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"the model cannot be quantised ({str(error)[:300]}): try the step int8") from error
    count = gained(model, made, "there is no MatMul, Gemm, LSTM, Attention or Gather with constant weights")
    details = {"method": "dynamic", "weights": weights(reduce_range), "activations": "uint8 at run time"}
    details |= {"reduce_range": reduce_range, "symbolic_shapes": symbolic, "quantised_nodes": count}
    return package.serialised(made), details


def weights(reduce_range: bool) -> str:
    """For the lineage."""
    return f"int8{' of 7 bits' if reduce_range else ''}, symmetric, per channel"


def prepared(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    """With shapes inferred, as quantising needs them, and constants folded; and whether symbolically too."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with scratch(model) as folder:
        target = Path(folder) / "made.onnx"
        for symbolic in (True, False):
            try:
                with quiet(), contextlib.chdir(folder):  # where it gives up, it leaves a file in the working folder
                    quant_pre_process(saved(model, folder), target, skip_symbolic_shape=not symbolic)
                return onnx.load(target), symbolic
            except Exception as error:  # symbolic inference gives up on operators that it does not know
                reason = error
        raise TrainingError(f"the model cannot be prepared for quantisation ({str(reason)[:300]})")


@contextlib.contextmanager
def scratch(model: onnx.ModelProto) -> Iterator[str]:
    """A folder for the files of ONNX Runtime's tools, which say anything but that there is no room for them.

    So whatever they raise is an OSError, with the place and the reason, while another file as large as the model cannot
    be written there.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield folder
        except Exception as error:
            try:
                (Path(folder) / "room").write_bytes(bytes(model.ByteSize()))
            except OSError as full:
                raise OSError(full.errno, full.strerror, tempfile.gettempdir()) from error
            raise


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """ONNX Runtime's tools print and log a line for every batch and weight, and log what they raise."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def saved(model: onnx.ModelProto, folder: str) -> Path:
    """As a file for ONNX Runtime's tools: of models in memory they write the weights beside, and then lose some."""
    path = Path(folder) / "model.onnx"
    path.write_bytes(package.serialised(model))
    return path


def gained(before: onnx.ModelProto, after: onnx.ModelProto, otherwise: str) -> int:
    """How many quantised nodes there are more than before. Raises NothingToDo when none."""
    count = sum((_operators(after) - _operators(before))[operator] for operator in INTEGER)
    if not count:
        raise NothingToDo(f"nothing to quantise: {otherwise}, or it is quantised already. Try another step")
    return count


def opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def _operators(model: onnx.ModelProto) -> Counter[str]:
    """With those of graphs within the graph."""
    found: Counter[str] = Counter()
    graphs = [model.graph]
    while graphs:
        nodes = graphs.pop().node
        found.update(node.op_type for node in nodes)
        graphs += [attribute.g for node in nodes for attribute in node.attribute if attribute.HasField("g")]
    return found
