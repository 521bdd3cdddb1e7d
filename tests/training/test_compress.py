"""The steps after training: what they write, what they refuse, and what they never look at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from training import measure, package
from training.compress import convert, int8, tooling
from training.compress.steps import STEPS
from training.data import dataset as data
from training.report import quality

from .conftest import sides
from .drawn import drawn_is
from .packages import answers, compress, described, digest

ROOT = Path(__file__).resolve().parents[2]
SEED = 3
UNTRAINED = [step.name for step in STEPS.values() if not step.schedule]
SEARCH = ["--max-drop", "5", "--steps", *UNTRAINED]


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = sides(images, tmp_path_factory.mktemp("trained") / "sides", SEED)
    (out / "notes.txt").write_text("kept")
    assert (out / "curves.png").is_file()
    return out


def normalized(images: np.ndarray, mean: list[float], std: list[float]) -> np.ndarray:
    """Written anew from what amaas.json declares: (pixel / 255 - mean) / std per channel, [N, C, H, W]."""
    scaled = images.astype(np.float32) * np.float32(1 / 255)
    values = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("step", UNTRAINED)
def test_a_step_writes_a_package_with_figures_of_its_own(
    step: str, trained: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert compress(step, trained, out, "--data", str(images), "--max-drop", "5") == 0
    before, after = described(trained), described(out)
    assert after["lineage"]["parent"] == f"sides@sha256:{digest(trained)}"
    assert after["lineage"]["step"] == STEPS[step].lineage
    details = after["lineage"]["details"]
    assert details["step"] == step and details["versions"]["onnxruntime"] == onnxruntime.__version__
    assert details["size"] == {k: (f / "model.onnx").stat().st_size for k, f in (("before", trained), ("after", out))}
    found = data.load(str(images), tmp_path, seed=SEED)
    plan = before["preprocess"]
    right = answers(out, normalized(found.test[0], plan["mean"], plan["std"])).argmax(1) == found.test[1]
    assert after["metrics"]["test_accuracy"] == details["accuracy"]["after"] == round(float(right.mean()), 4)
    assert after["metrics"]["test_interval"] == [round(v, 4) for v in quality.wilson(right.mean(), len(right))]
    assert f"{details['size']['after']:,} bytes instead of" in after["card"] and "its parent's" in after["card"]
    assert ("larger than before" in after["card"]) == (details["size"]["after"] > details["size"]["before"])
    assert sum(after["reference"]["scores"]["top"]["counts"]) == len(found.validation[1])
    table = after["reference"]["scores"]["calibration"]
    assert sum(table["counts"]) == len(found.test[1])
    assert sum(table["right"]) / len(found.test[1]) == pytest.approx(after["metrics"]["test_accuracy"], abs=1e-4)
    assert (out / "notes.txt").read_text() == "kept"
    assert not (out / "curves.png").exists(), "the parent's training was not the child's"
    assert {key: after[key] for key in ("inputs", "outputs", "labels", "preprocess", "dataset")} == {
        key: before[key] for key in ("inputs", "outputs", "labels", "preprocess", "dataset")
    }
    replay(out, trained, details)


def replay(out: Path, parent: Path, details: dict[str, Any]) -> None:
    """The golden set holds at every optimization level, whole and by rows; and says how far it is from the parent's."""
    golden, old = np.load(out / "golden.npz"), np.load(parent / "golden.npz")
    tolerance = {key: described(out)["golden"][key] for key in ("rtol", "atol")}
    for level in measure.LEVELS:
        for part in (slice(None),) if details["step"] == "dynamic" else (slice(None), slice(1)):
            got = answers(out, golden["input.image"][part], level)
            np.testing.assert_allclose(got, golden["output.logits"][part], **tolerance)
    if details["step"] == "dynamic":  # scales are taken over the batch
        alone = np.concatenate([answers(out, row[None]) for row in golden["input.image"]])
        gap = np.abs(golden["output.logits"] - alone).max()
        assert details["batch_dependence"] == pytest.approx(gap, rel=0.01, abs=1e-6)
    gap = np.abs(golden["output.logits"] - old["output.logits"]).max()
    assert details["max_abs_error"] == pytest.approx(gap, rel=0.05, abs=1e-5)


def test_calibration_sees_training_images_only(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[np.ndarray] = []
    real = int8.quantize_static

    def spy(model: Any, target: Any, reader: int8.Reader, **rest: Any) -> None:
        fed.extend(batch["image"] for batch in reader.batches)
        real(model, target, reader, **rest)

    monkeypatch.setattr(int8, "quantize_static", spy)
    assert compress("int8", trained, tmp_path / "out", "--data", str(images)) == 0
    found, plan = data.load(str(images), tmp_path, seed=SEED), described(trained)["preprocess"]
    rows = {
        split: {row.tobytes() for row in normalized(getattr(found, split)[0], plan["mean"], plan["std"])}
        for split in ("train", "validation", "test")
    }
    seen = {row.tobytes() for batch in fed for row in batch}
    assert len(seen) >= 64 and seen <= rows["train"]
    assert not seen & (rows["validation"] | rows["test"])


def test_the_calibration_method_is_chosen_by_validation(trained: Path, images: Path, tmp_path: Path) -> None:
    assert compress("int8", trained, tmp_path / "out", "--data", str(images)) == 0
    details = described(tmp_path / "out")["lineage"]["details"]
    assert [tried["method"] for tried in details["tried"]] == ["minmax", "entropy", "percentile"]
    rows = len(data.load(str(images), tmp_path, seed=SEED).validation[1])
    assert details["method"] == f"static, {int8._best(details['tried'], rows)}"
    assert compress("int8", trained, tmp_path / "one", "--data", str(images), "--method", "entropy") == 0
    assert described(tmp_path / "one")["lineage"]["details"]["method"] == "static, entropy"


def test_of_methods_that_validate_alike_the_one_with_the_least_noise_is_taken() -> None:
    figures = {"minmax": (0.900, 0.02), "entropy": (0.905, 0.9), "percentile": (0.80, 0.01)}
    tried = [{"method": name, "validation_accuracy": a, "noise": n} for name, (a, n) in figures.items()]
    assert int8._best(tried, 1000) == "minmax"  # one standard error is 0.0093
    assert int8._best(tried, 100_000) == "entropy"
    assert int8._best([{"method": "minmax", "failed": "x"}, {"method": "entropy", "noise": 0.2}], 10) == "entropy"


def test_weights_are_symmetric_per_channel(trained: Path, images: Path, tmp_path: Path) -> None:
    assert compress("int8", trained, tmp_path / "out", "--data", str(images)) == 0
    model = onnx.load(tmp_path / "out" / "model.onnx")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants and constants[node.input[0]].ndim > 1
    ]
    assert len(weights) == 4  # two convolutions, two linear layers
    for node in weights:
        assert constants[node.input[0]].dtype == np.int8
        assert constants[node.input[1]].shape == constants[node.input[2]].shape != ()
        assert not constants[node.input[2]].any()


def test_a_drop_beyond_what_is_allowed_is_refused(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(model: onnx.ModelProto) -> tooling.Rewritten:
        """All that it knew of one side is gone."""
        made = onnx.ModelProto.FromString(model.SerializeToString())
        head = [node for node in made.graph.node if node.op_type == "Gemm"][-1]
        for tensor in made.graph.initializer:
            if tensor.name in head.input[1:]:
                tensor.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(tensor), tensor.name))
        return package.serialized(made), {"method": "forgotten"}

    monkeypatch.setattr(convert, "fp16", forgetful)
    assert compress("fp16", trained, tmp_path / "made" / "out", "--data", str(images)) == 1
    said = capsys.readouterr().err
    assert "percentage points" in said and "nothing was written" in said and "--max-drop" in said
    assert not (tmp_path / "made").exists()
    assert compress("fp16", trained, tmp_path / "made" / "out", "--data", str(images), "--max-drop", "100") == 0


def test_nothing_is_left_half_written(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(parent: Any, out: Path, *rest: Any) -> None:
        (out / "model.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "write", half)
    assert compress("fp16", trained, tmp_path / "out") == 130
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    assert compress("fp16", trained, tmp_path / "out") == 1
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_steps_follow_each_other(trained: Path, images: Path, tmp_path: Path) -> None:
    assert (
        compress("graph", trained, tmp_path / "first") == 0
    )  # without data: the seed of the splits is kept all the same
    assert compress("fp16", tmp_path / "first", tmp_path / "second", "--data", str(images)) == 0
    after = described(tmp_path / "second")
    assert after["lineage"]["parent"] == f"sides@sha256:{digest(tmp_path / 'first')}"
    assert after["lineage"]["details"]["data"]["seed"] == SEED
    assert after["card"].count("**Compressed, ") == 2


def test_other_data_than_it_was_trained_on_is_refused(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(images, other)
    (other / "left").rename(other / "above")
    assert compress("int8", trained, tmp_path / "out", "--data", str(other)) == 1
    assert "classes" in capsys.readouterr().err
    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    for path in sorted((fewer / "left").iterdir())[:20]:
        path.unlink()
    assert compress("int8", trained, tmp_path / "out", "--data", str(fewer)) == 1
    assert "splits" in capsys.readouterr().err
    renamed = tmp_path / "renamed"
    shutil.copytree(images, renamed)
    for n, path in enumerate(sorted((renamed / "left").iterdir())):
        path.rename(path.with_name(f"{(n * 7) % 100:03d}-{path.name}"))  # the same items, split otherwise
    assert compress("int8", trained, tmp_path / "out", "--data", str(renamed)) == 1
    assert "but others, or in another order, in the splits train, validation, test" in capsys.readouterr().err
    assert compress("int8", trained, tmp_path / "out", "--data", "wine") == 1
    assert "wine holds rows, the package is for images: give the data" in capsys.readouterr().err
    assert compress("int8", trained, tmp_path / "out", "--data", str(images), "--seed", "9") == 1
    assert "seed 3, not 9" in capsys.readouterr().err


def test_what_is_no_package_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compress("fp16", tmp_path, tmp_path / "out") == 1
    assert "has no model.onnx" in capsys.readouterr().err
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "model.onnx").write_bytes(b"\x00not a model")
    assert compress("fp16", broken, tmp_path / "out") == 1
    assert capsys.readouterr().err.startswith("compress: ")


def test_search_measures_all_steps_and_names_the_best(trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compress("search", trained, out, "--data", str(images), "--target", "size", *SEARCH) == 0
    report = json.loads((out / "pareto.json").read_text())
    rows = {row["step"]: row for row in report["steps"]}
    assert set(rows) | set(report["refused"]) == {"parent", *UNTRAINED}  # those that train: test_finetuning.py
    for step in rows.keys() - {"parent"}:
        details = described(out / step)["lineage"]["details"]
        assert details["latency_ratio"] == rows[step]["latency_ratio"] and details["machine"]["sessions"] == 6
        assert details["latency_us"] == {"before": rows["parent"]["latency_us"], "after": rows[step]["latency_us"]}
        assert rows[step]["size"] == (out / step / "model.onnx").stat().st_size
        assert details["machine"] == report["machine"]
    assert report["best"] == min(rows.values(), key=lambda row: row["size"])["step"]
    assert rows[report["best"]]["pareto"], "nothing is smaller"
    drawn_is(report, out / "pareto.svg")


def test_pytorch_is_not_needed_without_a_data_set(trained: Path, tmp_path: Path) -> None:
    """Not even where it is absent: ONNX Runtime's own tools import it when they find it."""
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        "from training.compress.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    rows = np.load(trained / "golden.npz")["input.image"]
    np.savez(tmp_path / "rows.npz", **{"input.image": np.concatenate([rows, rows[:, :, ::-1], rows[..., ::-1]])})
    arguments = ["int8", str(trained), "--out", str(tmp_path / "out"), "--calibration", str(tmp_path / "rows.npz")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_a_calibration_method_that_fails_is_noted_and_others_are_tried(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = int8.quantize_static

    def fails(*given: Any, calibrate_method: Any, **rest: Any) -> None:
        if calibrate_method == int8.METHODS["minmax"]:
            raise ValueError("not this one")
        real(*given, calibrate_method=calibrate_method, **rest)

    monkeypatch.setattr(int8, "quantize_static", fails)
    assert compress("int8", trained, tmp_path / "out", "--data", str(images)) == 0
    details = described(tmp_path / "out")["lineage"]["details"]
    assert "not this one" in details["tried"][0]["failed"] and "minmax" not in details["method"]
    assert compress("int8", trained, tmp_path / "none", "--data", str(images), "--method", "minmax") == 1
    assert "not this one" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["int8", "dynamic"])
def test_weights_have_seven_bits_unless_eight_are_asked_for(
    step: str, trained: Path, images: Path, tmp_path: Path
) -> None:
    """Pairs of their products with 8-bit activations then fit into 16 bits, so that no processor's kernel saturates."""
    largest = {}
    for name, more in (("usual", []), ("eight", ["--no-reduce-range"])):
        data = ["--data", str(images), "--max-drop", "5", *(["--method", "minmax"] if step == "int8" else [])]
        assert compress(step, trained, tmp_path / name, *data, *more) == 0
        model = onnx.load(tmp_path / name / "model.onnx")
        weights = [numpy_helper.to_array(one) for one in model.graph.initializer if one.data_type == 3 and one.dims]
        largest[name] = max(int(np.abs(one.astype(int)).max()) for one in weights)
    assert largest["usual"] <= 64 < largest["eight"] <= 128
    details = described(tmp_path / "usual")["lineage"]["details"]
    assert details["reduce_range"] is True and details["weights"] == "int8 of 7 bits, symmetric, per channel"
