"""The steps after training, on models that were not trained here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from training import measure, package
from training.compress import int8
from training.served import served

from .packages import compress, described, matmul, table


@pytest.mark.parametrize("step", ["fp16", "int8", "dynamic", "weight8", "int4", "graph"])
def test_nothing_to_do_is_an_error(step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = matmul(tmp_path / "plain", constant=False)
    np.savez(tmp_path / "c.npz", x=np.ones((20, 64), np.int64))
    assert compress(step, source, tmp_path / "out", "--calibration", str(tmp_path / "c.npz")) == 1
    assert "nothing to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("step", ["fp16", "dynamic", "weight8", "int4"])
def test_without_a_data_set_no_accuracy_is_claimed(step: str, tmp_path: Path) -> None:
    source = matmul(tmp_path / "plain")
    assert compress(step, source, tmp_path / "out") == 0
    after = described(tmp_path / "out")
    assert after["metrics"] == {}
    assert "accuracy was not measured" in after["card"]
    assert 0 < after["lineage"]["details"]["noise"] < 0.1
    assert after["lineage"]["details"]["size"]["after"] < after["lineage"]["details"]["size"]["before"]


def test_a_transformers_scores_and_norms_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask of -3e38 would take the whole range of an 8-bit scale."""
    source = table(tmp_path / "table")
    assert compress("int8", source, tmp_path / "out", "--calibration", str(source / "golden.npz")) == 0
    details = described(tmp_path / "out")["lineage"]["details"]
    assert details["operators"] == int8.LINEAR and details["noise"] < 0.1
    monkeypatch.setattr(int8, "_chosen", lambda model: (None, []))
    assert compress("int8", source, tmp_path / "all", "--calibration", str(source / "golden.npz")) == 1
    assert "of their size, more than 10.0%" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "share"), [("weight8", 0.35), ("int4", 0.25)])
def test_tables_shrink_too_and_rows_do_not_depend_on_each_other(step: str, share: float, tmp_path: Path) -> None:
    source = table(tmp_path / "table")
    assert compress(step, source, tmp_path / "out", "--max-noise", "0.3") == 0
    size = described(tmp_path / "out")["lineage"]["details"]["size"]
    assert size["after"] < share * size["before"]
    running = served((tmp_path / "out" / "model.onnx").read_bytes())
    inputs = package.arrays(source / "golden.npz")
    together, alone = (measure.outputs(running, inputs, batch)["y"] for batch in (64, 1))
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_an_lstm_is_quantized_dynamically(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    source = tmp_path / "lstm"
    source.mkdir()
    tensors = [
        numpy_helper.from_array(random.normal(0, 0.2, shape).astype(np.float32), name)
        for name, shape in (("w", (1, 64, 8)), ("r", (1, 64, 16)))
    ]
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=16, layout=0)
    puts = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [5, 1, 8]), ("y", [5, 1, 1, 16]))
    ]
    graph = helper.make_graph([node], "g", puts[:1], puts[1:], tensors)
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), source / "model.onnx"
    )
    np.savez(source / "golden.npz", **{"input.x": random.normal(size=(5, 1, 8)).astype(np.float32)})
    assert compress("dynamic", source, tmp_path / "out") == 0
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node}
    assert "DynamicQuantizeLSTM" in kinds


def test_int8_from_a_calibration_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = matmul(tmp_path / "plain")
    assert compress("int8", source, tmp_path / "out") == 1
    assert "--calibration FILE.npz" in capsys.readouterr().err
    rows = np.random.default_rng(5).normal(size=(100, 64)).astype(np.float32)
    np.savez(tmp_path / "c.npz", **{"input.x": rows})
    assert compress("int8", source, tmp_path / "out", "--calibration", str(tmp_path / "c.npz")) == 0
    details = described(tmp_path / "out")["lineage"]["details"]
    assert details["calibration_rows"] == 64  # of the 80 that are not held out, in whole batches
    assert all("validation_accuracy" not in tried for tried in details["tried"])
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, z=rows)
    assert compress("int8", source, tmp_path / "again", "--calibration", str(wrong)) == 1
    assert "the model takes ['x']" in capsys.readouterr().err


def test_weights_beside_the_model_end_up_inside(tmp_path: Path) -> None:
    source = matmul(tmp_path / "plain", external=True)
    (source / "model.sig").write_text("of the parent")
    assert compress("fp16", source, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["amaas.json", "golden.npz", "model.onnx"]
    size = described(tmp_path / "out")["lineage"]["details"]["size"]
    assert size["before"] == sum((source / name).stat().st_size for name in ("model.onnx", "w.data"))


def test_outputs_that_differ_too_much_are_refused_without_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = matmul(tmp_path / "plain")
    assert compress("int4", source, tmp_path / "out", "--max-noise", "0.001") == 1
    assert "--max-noise" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_search_leaves_out_what_does_not_apply(tmp_path: Path) -> None:
    source = matmul(tmp_path / "plain")
    assert compress("search", source, tmp_path / "out") == 0
    report = json.loads((tmp_path / "out" / "pareto.json").read_text())
    assert set(report["refused"]) == {"graph", "int8"}  # nothing to fuse, nothing to calibrate with
    assert not (tmp_path / "out" / "int8").exists()
