"""What a run leaves behind: graph, golden set, description; and the package that ships."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from shared.package import processing
from training import export
from training.data.named import fashion_mnist
from training.data.split import spread
from training.errors import TrainingError
from training.kinds.images import Images
from training.networks.images import TutorialCNN

from .conftest import Run

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "layers" / "models" / "fashion-mnist"


def test_a_package_is_whole(folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run(folder, out, "--licence", "CC0-1.0") == 0
    described = json.loads((out / "amaas.json").read_text())
    assert described["licence"] == "CC0-1.0"
    assert f"{described['metrics']['test_accuracy']:.2%}" in described["card"]
    assert sum(described["reference"]["scores"]["labels"].values()) == described["dataset"]["splits"]["validation"]
    calibration = described["reference"]["scores"]["calibration"]
    assert sum(calibration["counts"]) == described["dataset"]["splits"]["test"]
    share = sum(calibration["right"]) / sum(calibration["counts"])
    assert share == pytest.approx(described["metrics"]["test_accuracy"], abs=1e-4)
    check_graph(out, described)
    replay(out, described)
    golden = np.load(out / "golden.npz", allow_pickle=False)
    assert set(golden["output.logits"].argmax(1)) == {0, 1}  # every class has its say, not only the first


def kind(channels: int, height: int, width: int) -> Images:
    plan = {
        "mode": "L" if channels == 1 else "RGB",
        "size": [height, width],
        "mean": [0.5] * channels,
        "std": [0.5] * channels,
    }
    return Images(plan)


def pixels(count: int, of: Images) -> dict[str, torch.Tensor]:
    return {"image": torch.randint(0, 256, (count, *of.shape), dtype=torch.uint8)}


def test_parity_is_really_checked() -> None:
    images = kind(1, 12, 12)
    network = TutorialCNN(images.shape, 2, (4, 8), 16).eval()
    body = export.to_onnx(network, images)
    assert export.parity(network, body, images, pixels(3, images)).shape == (3, 2)
    with torch.no_grad():
        network.head[-1].bias += 1
    with pytest.raises(TrainingError, match=r"differs .*Usually the network's forward\(\) draws random numbers"):
        export.parity(network, body, images, pixels(3, images))


def test_items_that_influence_each_other_are_told() -> None:
    class Mixed(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - x.mean(0, keepdim=True)).flatten(1)[:, :2]

    images = kind(1, 12, 12)
    network = Mixed().eval()
    with pytest.raises(TrainingError, match="lets the items of a batch influence each other"):
        export.parity(network, export.to_onnx(network, images), images, pixels(3, images))


def test_after_an_export_that_failed_the_same_command_goes_on_there(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(export, "ATOL", -1.0)
        assert run(folder, out, "--epochs", "2") == 1
    said = capsys.readouterr().err
    assert "nothing was exported" in said and export.GOES_ON in said
    assert not (out / "model.onnx").exists()
    assert run(folder, out, "--epochs", "2") == 0
    told = capsys.readouterr().out
    assert "continues in epoch 3" in told and "epoch 1 " not in told
    assert json.loads((out / "amaas.json").read_text())["metrics"]["test_accuracy"] > 0


def test_the_batch_size_is_free() -> None:
    images = kind(3, 16, 11)
    network = TutorialCNN(images.shape, 4, (4, 8), 16).eval()
    body = export.to_onnx(network, images)
    assert export.parity(network, body, images, pixels(5, images)).shape == (5, 4)


def test_the_golden_set_takes_from_every_class() -> None:
    labels = np.array([0] * 5 + [1] * 2 + [2] * 5)
    assert spread(labels, 7).tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert spread(labels, 100).tolist() == list(range(12))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLED.parent.glob("*/model.onnx")))
def test_a_bundled_package_is_what_its_card_and_the_list_say(name: str) -> None:
    package = BUNDLED.parent / name
    described = json.loads((package / "amaas.json").read_text())
    assert described["name"] == name
    accuracy, (low, high) = described["metrics"]["test_accuracy"], described["metrics"]["test_interval"]
    assert low <= accuracy <= high and accuracy >= 0.9
    assert f"{accuracy:.2%}" in described["card"]
    listed = next(line for line in (BUNDLED.parent / "README.md").read_text().splitlines() if f"| `{name}` |" in line)
    assert f"{(package / 'model.onnx').stat().st_size:,} |" in listed
    assert f" {100 * accuracy:.2f} % (" in listed
    assert processing.fill_kinds(described)["preprocess"]
    check_signature(package, described)
    replay(package, described)


def test_the_bundled_image_model_says_whose_its_data_is() -> None:
    described = json.loads((BUNDLED / "amaas.json").read_text())
    assert "MIT, © 2017 Zalando SE" in described["card"]
    assert described["labels"] == fashion_mnist.LABELS


def test_the_example_images_are_those_of_the_golden_set() -> None:
    """From a PNG, by what amaas.json declares, to the very tensor that training tested with; and rightly labeled."""
    described = json.loads((BUNDLED / "amaas.json").read_text())
    golden = np.load(BUNDLED / "golden.npz", allow_pickle=False)
    known = {hashlib.sha256(image.tobytes()).digest() for image in golden["input.image"]}
    session = onnxruntime.InferenceSession(BUNDLED / "model.onnx", providers=["CPUExecutionProvider"])
    right, pictures = 0, sorted((ROOT / "examples" / "images").glob("fashion-*.png"))
    for path in pictures:
        image = declared(Image.open(path), described["preprocess"])
        assert hashlib.sha256(image.tobytes()).digest() in known, path.name
        label = described["labels"][int(session.run(["logits"], {"image": image})[0].argmax())]
        right += re.sub(r"[/ ]", "-", label.lower()) == re.sub(r"^fashion-\d+-", "", path.stem)
    assert len(pictures) == 10
    assert right >= 9


def declared(image: Image.Image, plan: dict[str, Any]) -> np.ndarray:
    """Pre-processing written anew from the description of `preprocess`, for an image that needs no resizing."""
    assert list(image.size) == plan["size"][::-1]
    pixels = np.asarray(image.convert(plan["mode"]), np.float32)[None, None]
    return (pixels * np.float32(plan["scale"]) - np.float32(plan["mean"][0])) / np.float32(plan["std"][0])


def check_graph(package: Path, described: dict[str, Any]) -> None:
    """Standard operators, no more of them than the network has, and no notes on sources."""
    model = onnx.load(package / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", export.OPSET)]
    assert {node.op_type for node in model.graph.node} == {"Conv", "Relu", "MaxPool", "Reshape", "Gemm"}
    noted = [model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer]
    assert not any(part.metadata_props for part in noted)
    check_signature(package, described)


def check_signature(package: Path, described: dict[str, Any]) -> None:
    """One file with its weights inside, the declared inputs and outputs, no path of where it was made."""
    model = onnx.load(package / "model.onnx", load_external_data=False)
    assert not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    assert str(ROOT) not in (package / "model.onnx").read_bytes().decode("latin-1")
    for side, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        shapes = [[dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim] for value in values]
        names = [value.name for value in values]
        assert [(entry["name"], entry["shape"]) for entry in described[side]] == list(zip(names, shapes, strict=True))


def replay(package: Path, described: dict[str, Any]) -> None:
    """Run the golden set as the gate does, and one item of it alone."""
    golden = np.load(package / described["golden"]["file"], allow_pickle=False)
    session = onnxruntime.InferenceSession(package / "model.onnx", providers=["CPUExecutionProvider"])
    tolerance = {key: described["golden"][key] for key in ("rtol", "atol")}
    batches = [slice(None)] if described["lineage"]["details"].get("step") == "dynamic" else [slice(None), slice(1)]
    for part in batches:  # dynamic scales hang on the whole batch
        feeds = {put["name"]: golden[f"input.{put['name']}"][part] for put in described["inputs"]}
        outputs = session.run(["logits"], feeds)[0]
        np.testing.assert_allclose(outputs, golden["output.logits"][part], **tolerance)
