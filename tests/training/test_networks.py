"""Networks by name: what is made, what a bad name says, and that each leaves by the same checked export."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from training import export, train
from training.errors import TrainingError
from training.kinds.images import Images
from training.networks import find as networks

from .conftest import Run

Shape = tuple[int, int, int]


def kind(shape: Shape) -> Images:
    mode = {1: "L", 3: "RGB"}[shape[0]]
    return Images({"mode": mode, "size": list(shape[1:]), "mean": [0.5] * shape[0], "std": [0.5] * shape[0]})


def made(name: str, shape: Shape = (1, 16, 16), classes: int = 3, widths: list[int] | None = None) -> nn.Module:
    return networks.build(networks.find(name, {"widths": widths})[0], kind(shape), classes)


def moved(network: nn.Module, shape: Shape) -> nn.Module:
    """With BatchNorm's statistics as after some training, so that an export in the wrong mode would show."""
    for _ in range(3):
        network.train()(torch.randn(8, *shape) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "shape", "widths"),
    [("resnet9", (1, 12, 20), [4, 4, 8, 8]), ("torchvision:squeezenet1_1", (1, 32, 32), None)],
)
def test_every_network_leaves_by_the_same_export(name: str, shape: Shape, widths: list[int] | None) -> None:
    network = moved(made(name, shape, 3, widths), shape)
    stored = {"image": torch.randint(0, 256, (4, *shape), dtype=torch.uint8)}
    body = export.to_onnx(network, kind(shape))
    assert export.parity(network, body, kind(shape), stored).shape == (4, 3)


def test_resnet9_learns(folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = {}
    monkeypatch.setattr(
        export,
        "package",
        lambda network, data, kind, out, metrics, told: packaged.update(
            network=network, metrics=metrics, recipe=told.recipe
        ),
    )
    small = ["--model", "resnet9", "--widths", "4", "8", "8", "8", "--batch", "8"]
    assert run(folder, tmp_path / "out", *small) == 0
    assert packaged["metrics"]["test_accuracy"] > 0.9
    assert not packaged["network"].training
    assert packaged["recipe"]["network"] == "ResNet9"
    assert packaged["recipe"]["widths"] == [4, 8, 8, 8]
    assert "hidden" not in packaged["recipe"]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "densenet121"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_torchvisions_first_and_last_layer_fit(name: str, channels: int) -> None:
    with torch.device("meta"):  # shapes only: nothing is computed
        network = networks.find(f"torchvision:{name}")[0]((channels, 64, 64), 7)
        assert network.eval()(torch.zeros(2, channels, 64, 64)).shape == (2, 7)


OWN = """
import torch
class Linear(torch.nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.layer = torch.nn.Linear(shape[0] * shape[1] * shape[2], classes)
    def forward(self, image):
        return self.layer(image.flatten(1))
class Wrong(Linear):
    def forward(self, image):
        return super().forward(image)[:, :1]
class Unsteady(Linear):
    def forward(self, image):
        return super().forward(image) * (1 if float(image.sum()) < 1e9 else 2)
class Broken(Linear):
    def __init__(self):
        pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownnetworks.py").write_text(OWN)
    (tmp_path / "brokennetworks.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ownnetworks", raising=False)


@pytest.mark.usefixtures("own")
def test_a_network_of_ones_own() -> None:
    assert made("ownnetworks:Linear")(torch.zeros(5, 1, 16, 16)).shape == (5, 3)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "widths", "message"),
    [
        ("resnet", None, "'resnet' is not a network: use cnn, resnet9, .*gru, .*torchvision:NAME"),
        ("torchvision:resnet17", None, "no classifier 'resnet17'; it has alexnet, .*resnet18"),
        ("torchvision:fasterrcnn_resnet50_fpn", None, "no classifier"),
        ("nowhere:Net", None, "the module 'nowhere' cannot be imported .*No module named"),
        ("brokennetworks:Net", None, "cannot be imported .*division by zero"),
        ("ownnetworks:Net", None, "has no network 'Net'; there is Broken, Linear, Unsteady, Wrong"),
        ("ownnetworks:torch", None, "has no network 'torch'"),
        ("ownnetworks:Wrong", None, r"with \(2, 1\): it must be logits of shape \(2, 3\)"),
        ("ownnetworks:Broken", None, "cannot take images of 16x16 with 1 channels .*takes 1 positional"),
        ("torchvision:alexnet", None, "cannot take images of 16x16"),
        ("cnn", [4], "cnn has 2 widths, 1 are given"),
        ("resnet9", [4, 4], "resnet9 has 4 widths, 2 are given"),
        ("torchvision:resnet18", [4], "--widths is for the networks that are built in: omit it"),
    ],
)
def test_what_cannot_be_made_is_explained(name: str, widths: list[int] | None, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        made(name, widths=widths)


@pytest.mark.usefixtures("own")
def test_what_cannot_be_exported_is_refused_before_the_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--batch", "16", "--model", "ownnetworks:Unsteady", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert train.main(["--data", str(folder), *options]) == 1
    printed = capsys.readouterr()
    assert "the network cannot be exported to ONNX (" in printed.err
    assert "change its forward(), for images perhaps the --size, or take another network" in printed.err
    assert "epoch 1 " not in printed.out


def test_batchnorm_wants_more_than_one_image(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--model", "resnet9", "--widths", "4", "4", "4", "4", "--batch", "1"]
    assert run(folder, tmp_path / "out", *small) == 1
    assert "BatchNorm, which cannot learn from one item at a time: give a --batch" in capsys.readouterr().err


@pytest.mark.parametrize("channels", [1, 3])
def test_pretrained_weights_are_taken_but_for_the_last_layer(tmp_path: Path, channels: int) -> None:
    from torchvision import models

    torch.manual_seed(0)
    known = models.get_model("squeezenet1_1", weights=None, num_classes=1000).eval()
    torch.save(known.state_dict(), tmp_path / "known.pth")
    make, described = networks.find("torchvision:squeezenet1_1", pretrained=str(tmp_path / "known.pth"))
    fitted = make((channels, 64, 64), 5).eval()
    image = torch.randn(2, channels, 64, 64)
    colored = image.expand(-1, 3, -1, -1)  # a gray image gives what its colored copy gave
    assert torch.allclose(fitted.features(image), known.features(colored), atol=1e-4)
    assert fitted(image).shape == (2, 5)
    assert described["pretrained"] == str(tmp_path / "known.pth")


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for file, message in (
        ("text.pth", "not a file of weights that can be read"),
        ("absent.pth", "not a file of weights that can be read"),
        ("list.pth", "has no state dict"),
        ("other.pth", "these are no weights of squeezenet1_1"),
    ):
        with pytest.raises(TrainingError, match=message):
            networks.find("torchvision:squeezenet1_1", pretrained=str(tmp_path / file))[0]((3, 64, 64), 5)
    with pytest.raises(TrainingError, match="is for torchvision's networks"):
        networks.find("cnn", pretrained="")
