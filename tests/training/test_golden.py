"""A golden set has to fail for a model that is not the one it was made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from shared.runtime import samples
from training import measure, package
from training.compress import golden
from training.compress.steps import STEPS
from training.errors import TrainingError
from training.served import served

from .conftest import sides
from .packages import compress, described


@pytest.fixture(scope="module")
def quantized(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    trained = sides(images, folder / "sides", 3)
    assert compress("int8", trained, folder / "int8", "--data", str(images), "--method", "minmax") == 0
    return folder / "int8"


def passes(folder: Path, model: onnx.ModelProto) -> bool:
    """As the gate compares."""
    entry, arrays = described(folder)["golden"], np.load(folder / "golden.npz")
    inputs = {name.removeprefix("input."): arrays[name] for name in arrays.files if name.startswith("input.")}
    got = measure.outputs(served(package.serialized(model)), inputs)["logits"]
    return samples.difference(arrays["output.logits"], got, entry["rtol"], entry["atol"])[1]


def weights(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Of layers, in int8, the last layer's at the end."""
    every = {tensor.name: tensor for tensor in model.graph.initializer}
    named = [node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"]
    chosen = [every[name] for name in named if name in every and every[name].data_type == onnx.TensorProto.INT8]
    return [tensor for tensor in chosen if len(tensor.dims) > 1]


def replaced(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def test_the_model_itself_passes(quantized: Path) -> None:
    assert passes(quantized, onnx.load(quantized / "model.onnx"))


def test_a_last_layer_with_its_classes_exchanged_does_not(quantized: Path) -> None:
    model = onnx.load(quantized / "model.onnx")
    head = weights(model)[-1]
    values = numpy_helper.to_array(head)
    axis = values.shape.index(2)  # two classes
    replaced(head, np.flip(values, axis))
    assert not passes(quantized, model)


def test_weights_that_saturate_do_not(quantized: Path) -> None:
    """What 16 bits do to pairs of products: the largest weights count less."""
    model = onnx.load(quantized / "model.onnx")
    for tensor in weights(model):
        values = numpy_helper.to_array(tensor)
        replaced(tensor, values.clip(-np.abs(values).max() // 2, np.abs(values).max() // 2))
    assert not passes(quantized, model)


LOGITS = {"logits": np.random.default_rng(0).normal(0, 3, (16, 10)).astype(np.float32)}
SPREAD = float(LOGITS["logits"].std())


def test_a_tolerance_is_never_a_large_part_of_the_spread() -> None:
    """Neither for a step's grain, nor as the parent had it."""
    outlier = {"logits": np.append(LOGITS["logits"], np.float32(60)).reshape(1, -1)}
    for step, after, declared in (
        ("int8", outlier, {}),
        ("fp16", LOGITS, {"atol": 2.3, "rtol": 0.5}),
        ("weight8", LOGITS, {}),
    ):
        atol, rtol = golden.tolerance(STEPS[step], after, 1e-5, declared)
        assert 0 < atol <= golden.SHARE * float(after["logits"].std()) * 1.05 and rtol <= golden.LOOSEST


def test_steps_that_round_nothing_when_they_run_are_held_to_float() -> None:
    assert golden.tolerance(STEPS["weight8"], LOGITS, 1e-6, {})[0] == golden.ATOL
    assert golden.tolerance(STEPS["int8"], LOGITS, 1e-6, {})[0] == pytest.approx(
        2 / 127 * np.abs(LOGITS["logits"]).max(), rel=0.05
    )


def test_answers_that_depend_on_the_optimization_get_no_golden_set() -> None:
    assert golden.tolerance(STEPS["int8"], LOGITS, 0.04 * SPREAD, {})[0] == pytest.approx(0.08 * SPREAD, rel=0.1)
    with pytest.raises(TrainingError, match=r"77% of the outputs' standard deviation: .* check nothing"):
        golden.tolerance(STEPS["int8"], LOGITS, 0.77 * SPREAD, {})


def test_whole_numbers_are_compared_as_they_are() -> None:
    assert golden.tolerance(STEPS["graph"], {"label": np.arange(4)}, 0.0, {}) == (golden.ATOL, golden.RTOL)


def test_nothing_is_left_where_no_golden_set_can_be_made(
    quantized: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(quantized.parent / "sides", tmp_path / "sides")
    monkeypatch.setattr(measure, "steadiness", lambda *_: 2.3)
    assert compress("fp16", tmp_path / "sides", tmp_path / "out", "--data", str(images)) == 1
    assert "would check nothing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
