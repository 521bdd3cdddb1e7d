"""The networks, found by name. All take images [N, channels, height, width] and give logits [N, classes]."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from training.errors import TrainingError

Shape = tuple[int, int, int]  # channels, height, width
WIDTHS = {"cnn": (64, 128), "resnet9": (64, 128, 256, 256)}


class TutorialCNN(nn.Module):
    """The small CNN of the classic tutorial: two 3x3 convolutions with ReLU and max-pooling, two linear layers.

    Takes [N, channels, height, width], gives logits [N, classes]. The flattened size follows from the input's.
    """

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int] = (64, 128), hidden: int = 1024) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], widths[0], 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(widths[0], widths[1], 3), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(self._flattened(shape), hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def _flattened(self, shape: Shape) -> int:
        try:
            with torch.no_grad():
                return int(self.features(torch.zeros(1, *shape)).numel())
        except RuntimeError as error:
            height, width = shape[1:]
            raise TrainingError(
                f"images of {height}x{width} are too small for this network: use at least 10x10"
            ) from error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image))
        return logits


class ResNet9(nn.Module):
    """A residual network for small images, after David Page's ResNet-9 (DAWNBench 2018), with GELU.

    GELU, because ONNX Runtime has one fused kernel for it; CELU would stay three operators. Needs at least 8x8 pixels.
    """

    SCALE = 0.125  # of the logits: Page's; the last layer learns faster than BatchNorm lets the others

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int, int, int] = (64, 128, 256, 256)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            _block(shape[0], first),
            _block(first, second, pool=True), Residual(second),
            _block(second, third, pool=True),
            _block(third, fourth, pool=True), Residual(fourth),
        )  # fmt: skip
        self.head = nn.Linear(fourth, classes, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image).amax((2, 3))) * self.SCALE
        return logits


class Residual(nn.Module):
    """x + two blocks of x (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(_block(width, width), _block(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def _block(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.GELU())


Make = Callable[[Shape, int], nn.Module]


def find(name: str, widths: list[int] | None, hidden: int) -> tuple[Make, dict[str, Any]]:
    """How to make the network of this name, and what the recipe says of it. Raises TrainingError for a bad name.

    name: cnn, resnet9, torchvision:NAME or MODULE:CLASS; a class is called with (shape, classes).
    """
    if name in WIDTHS:
        return _built_in(name, tuple(widths or WIDTHS[name]), hidden)
    module, _, member = name.partition(":")
    if not (module and member):
        raise TrainingError(
            f"{name!r} is no network: use {', '.join(WIDTHS)}, torchvision:NAME (as torchvision:resnet18), "
            "or MODULE:CLASS for one of your own"
        )
    if widths:
        raise TrainingError(f"--widths is for {' and '.join(WIDTHS)}: leave it away with {name}")
    make = _torchvision(member) if module == "torchvision" else _own(module, member)
    return make, {"network": name}


def _built_in(name: str, widths: tuple[int, ...], hidden: int) -> tuple[Make, dict[str, Any]]:
    wanted = len(WIDTHS[name])
    if len(widths) != wanted:
        raise TrainingError(f"{name} has {wanted} widths, {len(widths)} are given: --widths as {WIDTHS[name]}")
    if name == "cnn":
        described = {"network": "TutorialCNN", "widths": list(widths), "hidden": hidden}
        return lambda shape, classes: TutorialCNN(shape, classes, widths, hidden), described
    return lambda shape, classes: ResNet9(shape, classes, widths), {"network": "ResNet9", "widths": list(widths)}


def _torchvision(name: str) -> Make:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise TrainingError(f"torchvision has no classifier {name!r}; it has {', '.join(known)}")
    # both would answer with their helper classifiers too while they train
    more = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}

    def make(shape: Shape, classes: int) -> nn.Module:
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **more)
        _fit_channels(network, shape[0])
        return network

    return make


def _fit_channels(network: nn.Module, channels: int) -> None:
    """Exchange the first convolution for one that takes as many channels as the images have."""
    path, first = next((path, m) for path, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == channels:
        return
    parent, _, attribute = path.rpartition(".")
    fitted = nn.Conv2d(
        channels, first.out_channels, first.kernel_size, first.stride, first.padding, first.dilation,
        bias=first.bias is not None,
    )  # fmt: skip
    nn.init.kaiming_normal_(fitted.weight, mode="fan_out", nonlinearity="relu")
    setattr(network.get_submodule(parent), attribute, fitted)


def _own(module: str, member: str) -> Make:
    try:
        found = importlib.import_module(module)
    except Exception as error:  # the module is the user's: importing it may raise anything
        raise TrainingError(f"--model: the module {module!r} cannot be imported ({error!r})") from error
    classes = [n for n, m in inspect.getmembers(found, inspect.isclass) if issubclass(m, nn.Module)]
    if member not in classes:
        there = ", ".join(classes) or "no torch.nn.Module"
        raise TrainingError(f"--model: {module!r} has no network {member!r}; there is {there}")
    return getattr(found, member)  # type: ignore[no-any-return]


def build(make: Make, shape: Shape, classes: int) -> nn.Module:
    """The network, tried on a batch of zeros. Raises TrainingError if it cannot be made for, or take, such images."""
    kind = f"images of {shape[1]}x{shape[2]} with {shape[0]} channels"
    try:
        network = make(shape, classes)
        with torch.no_grad():
            logits = network.eval()(torch.zeros(2, *shape))
    except TrainingError:
        raise
    except Exception as error:  # a network of another's may raise anything
        reason = next(iter(str(error).splitlines()), repr(error))
        raise TrainingError(f"the network cannot take {kind} ({reason}): give another --size or --model") from error
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (2, classes):
        raise TrainingError(f"the network answers two {kind} with {got}: it must be logits of shape (2, {classes})")
    return network.train()


def needs_batches(network: nn.Module) -> bool:
    """Whether there is BatchNorm in it, which has no variance over a single image."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
