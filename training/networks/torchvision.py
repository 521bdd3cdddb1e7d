"""torchvision's classifiers, fitted to the data's channels and classes; trained anew, or from their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from training.errors import TrainingError

Shape = tuple[int, ...]
# both would answer with their helper classifiers too while they train
ALONE = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}


def find(name: str, pretrained: str | None = None) -> Callable[[Shape, int], nn.Module]:
    """pretrained: a file with a state dict, or "" for the weights that torchvision downloads. Raises TrainingError."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise TrainingError(f"torchvision has no classifier {name!r}; it has {', '.join(known)}")
    weights = None if pretrained is None else _file(Path(pretrained)) if pretrained else _downloaded(name)

    def make(shape: Shape, classes: int) -> nn.Module:
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **ALONE.get(name, {}))
        if weights is not None:
            _load(network, weights, name)
        _fit_channels(network, shape[0], trained=weights is not None)
        return network

    return make


def _downloaded(name: str) -> dict[str, torch.Tensor]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    try:
        return dict(weights.get_state_dict(progress=False))
    except Exception as error:  # urllib's, and torch's own for a damaged file
        raise TrainingError(
            f"torchvision's weights of {name} could not be fetched ({error}): "
            f"download {weights.url.rsplit('/', 1)[-1]} elsewhere, and give it as --pretrained FILE"
        ) from error


def _file(path: Path) -> dict[str, torch.Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling refuses in many ways
        reason = next(iter(str(error).splitlines()), repr(error))
        raise TrainingError(f"--pretrained: {path} is not a file of weights that can be read ({reason})") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise TrainingError(f"--pretrained: {path} has no state dict: give what torch.save(network.state_dict()) wrote")
    return state


def _load(network: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """All but the last layer, whose classes are others."""
    mine = network.state_dict()
    fitting = {key: value for key, value in weights.items() if key in mine and mine[key].shape == value.shape}
    last = [key for key, _ in network.named_parameters()][-2:]
    missing = [key for key in mine if key not in fitting and key not in last and "num_batches" not in key]
    if missing:
        raise TrainingError(
            f"--pretrained: these are no weights of {name}: {len(missing)} of its tensors are absent or of another "
            f"shape, as {missing[0]}"
        )
    network.load_state_dict(fitting, strict=False)


def _fit_channels(network: nn.Module, channels: int, trained: bool) -> None:
    """Exchange the first convolution for one that takes as many channels as the images have.

    From three channels to one, trained weights are summed: a gray image then gives what its colored copy gave.
    """
    path, first = next((path, m) for path, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == channels:
        return
    parent, _, attribute = path.rpartition(".")
    fitted = nn.Conv2d(
        channels,
        first.out_channels,
        _pair(first.kernel_size),
        _pair(first.stride),
        first.padding if isinstance(first.padding, str) else _pair(first.padding),
        _pair(first.dilation),
        bias=first.bias is not None,
    )
    if trained and channels == 1:
        with torch.no_grad():
            fitted.weight.copy_(first.weight.sum(1, keepdim=True))
            if first.bias is not None and fitted.bias is not None:
                fitted.bias.copy_(first.bias)
    else:
        nn.init.kaiming_normal_(fitted.weight, mode="fan_out", nonlinearity="relu")
    setattr(network.get_submodule(parent), attribute, fitted)


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width
