"""What the steps share of ONNX and of ONNX Runtime's tools: quietly, in a folder of their own, with sound errors."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from training import package
from training.errors import TrainingError

Rewritten = tuple[bytes, dict[str, Any]]  # the new model, and the details of its lineage
INTEGER = {
    "MatMulInteger",
    "DynamicQuantizeLSTM",
    "QAttention",
    "QEmbedLayerNormalization",
    "DequantizeLinear",
    "QLinearMatMul",
    "QLinearConv",
    "ConvInteger",
    "MatMulNBits",
    "GatherBlockQuantized",
}
PER_CHANNEL = 13  # the opset from which on DequantizeLinear takes a scale per channel


class NothingToDo(TrainingError):
    """The model has nothing that this step is for."""


def weights(reduce_range: bool) -> str:
    """For the lineage."""
    return f"int8{' of 7 bits' if reduce_range else ''}, symmetric, per channel"


def prepared(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    """With shapes inferred, as quantization needs them, and constants folded; and whether symbolically too."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with scratch(model) as folder:
        target = Path(folder) / "prepared.onnx"
        for symbolic in (True, False):
            try:
                with quiet(), contextlib.chdir(folder):  # where it gives up, it leaves a file in the working folder
                    quant_pre_process(saved(model, folder), target, skip_symbolic_shape=not symbolic)
                return onnx.load(target), symbolic
            except Exception as error:  # symbolic inference gives up on operators that it does not know
                reason = error
        raise TrainingError(f"the model cannot be prepared for quantization ({str(reason)[:300]})")


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
    path.write_bytes(package.serialized(model))
    return path


def gained(before: onnx.ModelProto, after: onnx.ModelProto, otherwise: str) -> int:
    """How many quantized nodes there are more than before. Raises NothingToDo when none."""
    count = sum((operators(after) - operators(before))[operator] for operator in INTEGER)
    if not count:
        raise NothingToDo(f"nothing to quantize: {otherwise}, or it is quantized already. Try another step")
    return count


def opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def operators(model: onnx.ModelProto) -> Counter[str]:
    """With those of graphs within the graph."""
    counts: Counter[str] = Counter()
    graphs = [model.graph]
    while graphs:
        nodes = graphs.pop().node
        counts.update(node.op_type for node in nodes)
        graphs += [attribute.g for node in nodes for attribute in node.attribute if attribute.HasField("g")]
    return counts
