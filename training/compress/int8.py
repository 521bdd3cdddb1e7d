"""Static int8: activations get fixed scales, found by running training data through the model.

ONNX Runtime's scheme (QDQ): weights symmetric with a scale per output channel, activations with scale and zero point
per tensor (Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference).
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from training import measure, package
from training.compress.evaluation_data import EvaluationData
from training.compress.tooling import PER_CHANNEL, Rewritten, gained, opset, prepared, quiet, saved, scratch, weights
from training.errors import TrainingError
from training.package import Arrays
from training.served import served

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# where they are in it, all else loses more than it gains: a mask of -3e38 alone takes the whole range of a scale
FLOATING = {"Softmax", "LayerNormalization", "Attention", "SkipLayerNormalization"}
LINEAR = ["Conv", "MatMul", "Gemm", "Gather"]
BATCH = 16
STRIDE = 2  # batches whose activations are held at once: those of a large model do not fit otherwise


class Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime's tools have no types
    """Feeds rows to the calibrator, in batches of one size; rows that do not fill a batch are left out."""

    def __init__(self, inputs: Arrays, batch: int, stride: int) -> None:
        rows = measure.rows_of(inputs)
        batch = min(batch, rows)
        stride = min(stride, rows // batch)
        count = rows // (batch * stride) * stride
        self.stride = stride
        self.rows = count * batch
        self.batches = [
            {name: values[n * batch : (n + 1) * batch] for name, values in inputs.items()} for n in range(count)
        ]
        self.set_range(0, count)

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.turn = iter(self.batches[start_index:end_index])

    def get_next(self) -> Arrays | None:
        return next(self.turn, None)


def int8(
    model: onnx.ModelProto, data: EvaluationData, *, methods: list[str] | None = None, reduce_range: bool = True
) -> Rewritten:
    """The best of the calibration methods, by accuracy on the validation split, then by the outputs' noise.

    reduce_range: as in steps.dynamic.
    """
    if data.calibration is None or data.choice is None:
        raise TrainingError("int8 is calibrated with training data: give --data, or inputs in --calibration FILE.npz")
    _check_opset(model)
    before = served(package.serialized(model))
    expected = measure.outputs(before, data.choice)
    feeds = measure.typed(before, data.calibration)
    ready, symbolic = prepared(model)
    kinds, without = _chosen(ready)
    bodies: dict[str, bytes] = {}
    tried: list[dict[str, Any]] = []
    for method in methods or list(METHODS):
        reader = Reader(feeds, measure.fixed_batch(before) or BATCH, STRIDE)
        try:
            quantized = _quantized(ready, reader, method, reduce_range, kinds, without)
            bodies[method] = package.serialized(quantized)
            tried.append({"method": method, **_judged(bodies[method], data, expected)})
        except TrainingError as error:  # one method may fail on a model that another is right for
            tried.append({"method": method, "failed": str(error)})
            continue
        gained(model, quantized, "there is no Conv, Gemm or MatMul that ONNX Runtime quantizes")
    best = _best(tried, measure.rows_of(data.choice))
    return bodies[best], {
        "method": f"static, {best}",
        "tried": tried,
        "calibration_rows": reader.rows,
        "weights": weights(reduce_range),
        "activations": "int8, per tensor",
        "format": "QDQ",
        "reduce_range": reduce_range,
        "symbolic_shapes": symbolic,
        "operators": kinds or "all",
    }


def _chosen(model: onnx.ModelProto) -> tuple[list[str] | None, list[str]]:
    """Kinds of operators to quantize (None: all that can be), and nodes to leave out, which get a name for it.

    In transformers only what multiplies weights: scores, softmax and norms stay as they are.
    """
    if not any(node.op_type in FLOATING for node in model.graph.node):
        return None, []
    constants = {tensor.name for tensor in model.graph.initializer}
    without = []
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
        if node.op_type == "MatMul" and not constants & set(node.input):
            without.append(node.name)
    return LINEAR, without


def _best(tried: list[dict[str, Any]], rows: int) -> str:
    """The least noise among those that validate as well as the best but for one standard error.

    By accuracy alone a few rows' luck would decide; by noise alone the few rows with the largest outputs would.
    """
    working = [one for one in tried if "failed" not in one]
    if not working:
        raise TrainingError(f"{tried[0]['failed']}: try the step dynamic")
    top = max(one.get("validation_accuracy", 0.0) for one in working)
    least = top - math.sqrt(top * (1 - top) / rows)
    equal = [one for one in working if one.get("validation_accuracy", 0.0) >= least]
    return str(min(equal, key=lambda one: one["noise"])["method"])


def _quantized(
    model: onnx.ModelProto, reader: Reader, method: str, reduce_range: bool, kinds: list[str] | None, without: list[str]
) -> onnx.ModelProto:
    options = {"WeightSymmetric": True, "CalibStridedMinMax": reader.stride}  # the stride is for all methods
    with scratch(model) as folder:
        target = Path(folder) / "int8.onnx"
        try:
            with quiet(), contextlib.chdir(folder):
                quantize_static(
                    saved(model, folder),
                    target,
                    reader,
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    reduce_range=reduce_range,
                    activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=METHODS[method],
                    extra_options=options,
                    op_types_to_quantize=kinds,
                    nodes_to_exclude=without,
                )
            return onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"int8 with {method} failed ({str(error)[:300]})") from error


def _judged(body: bytes, data: EvaluationData, expected: Arrays) -> dict[str, float]:
    answers = measure.outputs(served(body), data.choice or {})
    figures = {"noise": round(measure.apart(expected, answers)["noise"], 5)}
    if data.validation:
        right = next(iter(answers.values())).argmax(1) == data.validation.labels
        figures["validation_accuracy"] = round(float(np.mean(right)), 4)
    return figures


def _check_opset(model: onnx.ModelProto) -> None:
    version = opset(model)
    if version < PER_CHANNEL:
        raise TrainingError(
            f"the model has opset {version}, scales per channel need {PER_CHANNEL}: export it again with that or more"
        )
