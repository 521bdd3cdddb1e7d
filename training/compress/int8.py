"""Static int8: activations get fixed scales, found by running training data through the model.

ONNX Runtime's scheme (QDQ): weights symmetric with a scale per output channel, activations with scale and zero point
per tensor (Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference).
"""

from __future__ import annotations

import tempfile
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

from training.compress import measure, package
from training.compress.data import Material
from training.compress.package import Arrays
from training.compress.steps import Made, gained, prepared, quiet, saved
from training.errors import TrainingError

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
BATCH = 16
STRIDE = 2  # batches whose activations are held at once: those of a large model do not fit otherwise


class Reader(CalibrationDataReader):
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

    def get_next(self) -> Arrays | None:  # type: ignore[override]  # None ends it
        return next(self.turn, None)


def int8(
    model: onnx.ModelProto, material: Material, *, methods: list[str] | None = None, reduce_range: bool = False
) -> Made:
    """The best of the calibration methods, by accuracy on the validation split, or else by the outputs' noise.

    reduce_range: weights of 7 bits, for CPUs whose 8-bit products saturate (x86 without VNNI).
    """
    if material.calibration is None or material.choice is None:
        raise TrainingError("int8 is calibrated with training data: give --data, or inputs in --calibration FILE.npz")
    _check_opset(model)
    before = measure.session(package.serialised(model))
    want = measure.outputs(before, material.choice)
    feeds = measure.typed(before, material.calibration)
    ready, symbolic = prepared(model)
    bodies: dict[str, bytes] = {}
    tried: list[dict[str, Any]] = []
    for method in methods or list(METHODS):
        reader = Reader(feeds, measure.fixed_batch(before) or BATCH, STRIDE)
        try:
            made = _quantised(ready, reader, method, reduce_range)
            bodies[method] = package.serialised(made)
            tried.append({"method": method, **_judged(bodies[method], material, want)})
        except TrainingError as error:  # one method may fail on a model that another is right for
            tried.append({"method": method, "failed": str(error)})
            continue
        gained(model, made, "there is no Conv, Gemm or MatMul that ONNX Runtime quantises")
    best = _best(tried)
    return bodies[best], {
        "method": f"static, {best}", "tried": tried, "calibration_rows": reader.rows,
        "weights": "int8, symmetric, per channel", "activations": "int8, per tensor", "format": "QDQ",
        "reduce_range": reduce_range, "symbolic_shapes": symbolic,
    }  # fmt: skip


def _best(tried: list[dict[str, Any]]) -> str:
    working = [one for one in tried if "failed" not in one]
    if not working:
        raise TrainingError(f"{tried[0]['failed']}: try the step dynamic")
    return str(max(working, key=lambda one: (one.get("validation_accuracy", 0.0), -one["noise"]))["method"])


def _quantised(model: onnx.ModelProto, reader: Reader, method: str, reduce_range: bool) -> onnx.ModelProto:
    options = {"WeightSymmetric": True, "CalibStridedMinMax": reader.stride}  # the stride is for all methods
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "made.onnx"
        try:
            with quiet():
                quantize_static(
                    saved(model, folder), target, reader, quant_format=QuantFormat.QDQ, per_channel=True,
                    reduce_range=reduce_range, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                    calibrate_method=METHODS[method], extra_options=options,
                )  # fmt: skip
            return onnx.load(target)
        except Exception as error:  # the tool raises ValueError, RuntimeError and assertions alike
            raise TrainingError(f"int8 with {method} failed ({str(error)[:300]})") from error


def _judged(body: bytes, material: Material, want: Arrays) -> dict[str, float]:
    got = measure.outputs(measure.session(body), material.choice or {})
    figures = {"noise": round(measure.apart(want, got)["noise"], 5)}
    if material.validation:
        right = next(iter(got.values())).argmax(1) == material.validation.labels
        figures["validation_accuracy"] = round(float(np.mean(right)), 4)
    return figures


def _check_opset(model: onnx.ModelProto) -> None:
    version = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if version < 13:
        raise TrainingError(
            f"the model has opset {version}, scales per channel need 13: export it again with 13 or more"
        )
