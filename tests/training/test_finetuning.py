"""Steps that train: prune, magnitude, distil. What goes, what stays, who taught, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from training import export, measure, package, teacher
from training.compress import __main__ as command
from training.compress import channel_pruning, finetune, magnitude_pruning, network
from training.compress.evaluation_data import Examples
from training.errors import TrainingError
from training.kinds.images import Images
from training.loop import distillation
from training.networks import find as networks
from training.served import served

from .conftest import sides

SEED = 3
QUICK = ["--finetune-epochs", "2", "--batch", "16", "--max-drop", "5", "--quiet"]
STUDENT = ["--student", "cnn", "--widths", "2", "4", "--hidden", "8"]


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sides(images, tmp_path_factory.mktemp("trained") / "sides", SEED)


@pytest.fixture(scope="module")
def pruned(trained: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pruned") / "out"
    assert compress("prune", trained, out, "--data", str(images)) == 0
    return out


def compress(step: str, source: Path, out: Path, *more: str) -> int:
    return command.main([step, str(source), "--out", str(out), *QUICK, *more])


def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "amaas.json").read_text())


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Of two dimensions or more, by name."""
    model = onnx.load(folder / "model.onnx")
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: values for name, values in found.items() if values.ndim > 1}


def puts(folder: Path) -> list[tuple[str, str, list[Any]]]:
    running = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return [(put.name, put.type, put.shape[1:]) for put in (*running.get_inputs(), *running.get_outputs())]


def test_half_of_each_layers_channels_go(trained: Path, pruned: Path) -> None:
    shapes = [values.shape for values in weights(pruned).values()]
    assert shapes[:2] == [(2, 1, 3, 3), (4, 2, 3, 3)]  # of 4 and 8
    assert puts(pruned) == puts(trained)
    after, before = described(pruned), described(trained)
    details = after["lineage"]["details"]
    count = sum(
        t.size
        for t in map(numpy_helper.to_array, onnx.load(pruned / "model.onnx").graph.initializer)
        if t.dtype == np.float32
    )
    assert details["parameters"] == {"before": before["metrics"]["parameters"], "after": count}
    assert after["metrics"]["parameters"] == count < before["metrics"]["parameters"] / 2
    assert after["lineage"]["step"] == "prune" and details["teacher"] == after["lineage"]["parent"]
    assert details["size"]["after"] < details["size"]["before"]
    assert "parameters instead of" in after["card"]


def test_it_learns_from_training_images_with_their_augmentation(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Examples] = []
    real = finetune.tune

    def spy(made: Any, examples: Examples, *rest: Any, **more: Any) -> Any:
        seen.append(examples)
        return real(made, examples, *rest, **more)

    monkeypatch.setattr(finetune, "tune", spy)
    assert compress("prune", trained, tmp_path / "out", "--data", str(images)) == 0
    counts = described(trained)["dataset"]["splits"]
    assert len(seen[0].labels) == counts["train"]
    assert seen[0].augmentation == {"shift": 1, "flip": False, "erase": 0}
    # and so does a step after it, whose package has no recipe of its own
    assert compress("magnitude", tmp_path / "out", tmp_path / "next", "--data", str(images), "--max-drop", "100") == 0
    assert seen[1].augmentation == seen[0].augmentation


def test_the_same_seed_gives_the_same_model(trained: Path, pruned: Path, images: Path, tmp_path: Path) -> None:
    assert compress("prune", trained, tmp_path / "same", "--data", str(images)) == 0
    assert compress("prune", trained, tmp_path / "other", "--data", str(images), "--training-seed", "1") == 0
    bodies = [(folder / "model.onnx").read_bytes() for folder in (pruned, tmp_path / "same", tmp_path / "other")]
    assert bodies[0] == bodies[1] != bodies[2]


def test_residual_networks_keep_their_sums(tmp_path: Path) -> None:
    """BatchNorm, GELU, residual connections: channels that are added together go together."""
    torch.manual_seed(0)
    kind = Images({"mode": "RGB", "size": [16, 16], "mean": [0.5] * 3, "std": [0.5] * 3})
    make, _ = networks.find("resnet9", {"widths": [4, 8, 8, 8]})
    built = networks.build(make, kind, 5)
    built(torch.randn(8, 3, 16, 16))  # statistics of BatchNorm that are not those it starts with
    stored = {"image": torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)}
    rows = {put: values.numpy() for put, values in kind.inputs(stored, slice(None)).items()}
    (tmp_path / "model.onnx").write_bytes(export.to_onnx(built.eval(), kind))
    parent = package.read(tmp_path)
    made = network.network(parent, rows)
    before = network.parameters(made)
    channel_pruning.remove_channels(made, rows, 0.5)
    assert network.parameters(made) < before / 3
    body = network.body(made, parent, Examples(kind, stored, np.zeros(6, np.int64), {}))
    got = measure.outputs(served(body), {"image": rows["image"][:1]})
    assert got["logits"].shape == (1, 5)


def test_names_are_kept(trained: Path) -> None:
    model = onnx.load(trained / "model.onnx")
    inner = model.graph.node[0].output[0]
    renamed = network._renamed(model, inner)  # a name that a node within has already
    assert renamed.graph.output[0].name == inner
    rows = np.load(trained / "golden.npz")
    got = measure.outputs(served(package.serialized(renamed)), {"image": rows["input.image"]})
    np.testing.assert_allclose(got[inner], rows["output.logits"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("step", "named"), [("int8", "quantized"), ("fp16", "FP16")])
def test_quantized_models_are_refused(
    step: str, named: str, trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress(step, trained, tmp_path / "q", "--data", str(images), "--method", "minmax") == 0
    assert compress("prune", tmp_path / "q", tmp_path / "out", "--data", str(images)) == 1
    said = capsys.readouterr().err
    assert named in said and "prune its parent" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("step", ["prune", "magnitude", "distil"])
def test_without_data_nothing_is_trained(
    step: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress(step, trained, tmp_path / "out", *STUDENT) == 1
    assert "give --data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_small_batches_take_small_steps_and_what_was_better_before_stays(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[finetune.Tuning] = []
    real = finetune.tune

    def watched(made: torch.nn.Module, examples: Any, validation: Any, tuning: finetune.Tuning, **more: Any) -> Any:
        seen.append(tuning)
        before = {name: value.clone() for name, value in made.state_dict().items()}
        wrong = dataclasses.replace(tuning, lr=50.0)  # nothing good comes of that
        told = real(made, examples, validation, wrong, **(more | {"accuracy_before": 0.9}))
        assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
        return told

    monkeypatch.setattr(finetune, "tune", watched)
    more = ["--data", str(images), "--batch", "16", "--max-drop", "100", "--finetune-epochs", "1"]
    assert compress("prune", trained, tmp_path / "out", *more) == 0
    assert seen[0].lr == pytest.approx(0.02 / 4)


def test_a_drop_is_refused(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(made: torch.nn.Module, *rest: Any, **more: Any) -> dict[str, Any]:
        for parameter in made.parameters():
            parameter.data.zero_()
        return {}

    monkeypatch.setattr(finetune, "tune", broken)
    assert compress("prune", trained, tmp_path / "out", "--data", str(images)) == 1
    said = capsys.readouterr().err
    assert "percentage points" in said and "smaller --ratio" in said
    assert not (tmp_path / "out").exists()


def test_weights_become_zero_and_the_card_says_what_that_brings(trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compress("magnitude", trained, out, "--data", str(images), "--sparsity", "0.6") == 0
    zeros, every = (sum(f(v) for v in weights(out).values()) for f in (lambda v: (v == 0).sum(), np.size))
    details = described(out)["lineage"]["details"]
    assert details["sparsity"] == pytest.approx(zeros / every, abs=1e-3) == pytest.approx(0.6, abs=0.01)
    assert details["compressed_size"]["after"] == magnitude_pruning.deflated((out / "model.onnx").read_bytes())
    assert details["compressed_size"]["after"] < details["compressed_size"]["before"]
    assert "neither the file smaller nor the model faster" in described(out)["card"]


def test_a_student_is_taught_by_the_package(trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["--data", str(images), *STUDENT, "--finetune-epochs", "8"]
    assert compress("distil", trained, out, *more) == 0
    after = described(out)
    details = after["lineage"]["details"]
    assert after["lineage"]["step"] == "distil"
    assert details["teacher"] == after["lineage"]["parent"] == package.read(trained).reference
    assert details["student"] == {"network": "TutorialCNN", "widths": [2, 4], "hidden": 8}
    assert puts(out) == puts(trained)


def test_batches_of_one_are_refused_where_they_have_no_variance(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--data", str(images), "--student", "small-resnet", "--batch", "1"]
    assert compress("distil", trained, tmp_path / "out", *more) == 1
    assert "BatchNorm, which cannot learn from one item at a time: give a --batch" in capsys.readouterr().err


def test_a_student_needs_a_name(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress("distil", trained, tmp_path / "out", "--data", str(images)) == 1
    assert "give --student" in capsys.readouterr().err


def test_a_teacher_with_other_labels_is_refused(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    (other / "amaas.json").write_text(json.dumps(described(other) | {"labels": ["right", "left"]}))
    more = ["--data", str(images), "--teacher", str(other), *STUDENT]
    assert compress("distil", trained, tmp_path / "out", *more) == 1
    assert "same, in the same order" in capsys.readouterr().err


def test_what_the_teacher_says_counts() -> None:
    """The gradient of the soft part is that of Hinton's equation 2: (q - p) · T, after the factor T²."""
    logits = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
    taught, target, heat = torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([1]), 3.0
    plain = torch.nn.functional.cross_entropy(logits, target)
    distillation.blended(plain, logits, taught, heat, 1.0).backward()
    want = heat * (torch.softmax(logits.detach() / heat, 1) - torch.softmax(taught / heat, 1))
    torch.testing.assert_close(logits.grad, want)
    torch.testing.assert_close(distillation.blended(plain, logits, taught, heat, 0.0), plain)


def test_a_package_teaches_what_it_answers(trained: Path) -> None:
    golden = np.load(trained / "golden.npz")
    taught_by = teacher.teacher(str(trained))
    np.testing.assert_allclose(
        taught_by.logits({"image": golden["input.image"]}), golden["output.logits"], rtol=1e-3, atol=1e-4
    )
    assert taught_by.labels == ["left", "right"] and "@sha256:" in taught_by.reference


@pytest.mark.parametrize("wanted", ["", "a/b", "model@", "no such thing"])
def test_what_is_no_teacher_is_refused(wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match="is not a teacher"):
        teacher.teacher(wanted or "@")


def test_search_tries_two_steps_in_turn(trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = [*STUDENT, "--target", "size", "--max-drop", "60", "--method", "minmax"]
    assert compress("search", trained, out, "--data", str(images), *more, "--steps", "prune+int8", "distil+int8") == 0
    report = json.loads((out / "pareto.json").read_text())
    names = {row["step"] for row in report["steps"]}
    assert names == {"parent", "prune", "prune+int8", "distil", "distil+int8"}
    first, second = described(out / "prune"), described(out / "prune+int8")
    assert second["lineage"]["parent"] == package.read(out / "prune").reference
    assert first["lineage"]["parent"] == package.read(trained).reference
    assert second["metrics"]["parameters"] == first["metrics"]["parameters"]
    rows = {row["step"]: row for row in report["steps"]}
    assert second["lineage"]["details"]["latency_us"]["before"] == rows["prune"]["latency_us"]


def test_search_says_what_it_can_try(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compress("search", trained, tmp_path / "out", "--steps", "prune+int8") == 1  # without data
    assert "search can try graph, fp16, int8, dynamic, weight8, int4" in capsys.readouterr().err
