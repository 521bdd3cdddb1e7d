"""The networks, found by name, made for the data, and tried on it before any training."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from training.errors import TrainingError
from training.networks.images import ResNet9, TutorialCNN
from training.networks.small import MirrorResNet, QuickCNN, SmallResNet
from training.networks.sounds import AudioCNN
from training.networks.tables import MLP
from training.networks.texts import GRU, LSTM, NGrams, Transformer
from training.options import ARCHITECTURE

if TYPE_CHECKING:
    from training.kinds.kind import Kind

Shape = tuple[int, ...]
Make = Callable[[Shape, int], nn.Module]
BUILT_IN: dict[str, type[nn.Module]] = {
    "cnn": TutorialCNN,
    "resnet9": ResNet9,
    "quick-cnn": QuickCNN,
    "small-resnet": SmallResNet,
    "mirror-resnet": MirrorResNet,
    "gru": GRU,
    "lstm": LSTM,
    "transformer": Transformer,
    "ngrams": NGrams,
    "audio-cnn": AudioCNN,
    "mlp": MLP,
}
DEFAULT = {"image": "cnn", "text": "transformer", "audio": "audio-cnn", "table": "mlp"}


def find(
    name: str, options: dict[str, Any] | None = None, pretrained: str | None = None
) -> tuple[Make, dict[str, Any]]:
    """How to make the network of this name, and what the recipe says of it. Raises TrainingError for a bad name.

    name: one of BUILT_IN, torchvision:NAME or MODULE:CLASS; a class is called with (shape, classes). options: of
    ARCHITECTURE, those that were given. pretrained: as torchvision.load takes it.
    """
    chosen = {option: value for option, value in (options or {}).items() if value is not None}
    if pretrained is not None and not name.startswith("torchvision:"):
        raise TrainingError(f"--pretrained is for torchvision's networks: omit it with {name}")
    if name in BUILT_IN:
        return _built_in(name, chosen)
    module, _, member = name.partition(":")
    if not (module and member):
        raise TrainingError(
            f"{name!r} is not a network: use {', '.join(BUILT_IN)}, torchvision:NAME (as torchvision:resnet18), "
            "or MODULE:CLASS for one of your own"
        )
    if chosen:
        raise TrainingError(f"--{next(iter(chosen))} is for the networks that are built in: omit it with {name}")
    description: dict[str, Any] = {"network": name} | ({"pretrained": pretrained} if pretrained is not None else {})
    if module == "torchvision":
        from training.networks import torchvision

        return torchvision.find(member, pretrained), description
    return _own(module, member), description


def _built_in(name: str, chosen: dict[str, Any]) -> tuple[Make, dict[str, Any]]:
    network = BUILT_IN[name]
    takes = {o: p.default for o, p in inspect.signature(network.__init__).parameters.items() if o in ARCHITECTURE}
    for option in chosen:
        if option not in takes:
            fitting = [other for other, known in BUILT_IN.items() if option in inspect.signature(known).parameters]
            raise TrainingError(f"--{option} is for {' and '.join(fitting)}: omit it with {name}")
    for option, value in takes.items():
        if isinstance(value, tuple) and len(chosen.get(option, value)) != len(value):
            raise TrainingError(
                f"{name} has {len(value)} {option}, {len(chosen[option])} are given: --{option} as {value}"
            )
    settled = takes | {option: tuple(v) if isinstance(v, list) else v for option, v in chosen.items()}
    description = {option: list(v) if isinstance(v, tuple) else v for option, v in settled.items()}
    return lambda shape, classes: network(shape, classes, **settled), {"network": network.__name__, **description}


def _own(module: str, member: str) -> Make:
    try:
        loaded = importlib.import_module(module)
    except Exception as error:  # the module is the user's: importing it may raise anything
        raise TrainingError(f"--model: the module {module!r} cannot be imported ({error!r})") from error
    classes = [n for n, m in inspect.getmembers(loaded, inspect.isclass) if issubclass(m, nn.Module)]
    if member not in classes:
        there = ", ".join(classes) or "no torch.nn.Module"
        raise TrainingError(f"--model: {module!r} has no network {member!r}; there is {there}")
    return getattr(loaded, member)  # type: ignore[no-any-return]


def check_kind(name: str, kind: str) -> None:
    """Raises TrainingError for one of ours that is for other data."""
    made_for = getattr(BUILT_IN.get(name), "kind", kind)
    if made_for != kind:
        raise TrainingError(
            f"{name} is for data of the kind {made_for}, not {kind}: give another --model, as {DEFAULT[kind]}"
        )


def build(make: Make, kind: Kind, classes: int) -> nn.Module:
    """The network, tried on a batch of two. Raises TrainingError if it cannot be made for, or take, such data."""
    try:
        network = make(kind.shape, classes)
        with torch.no_grad():
            logits = network.eval()(*kind.example(2))
    except TrainingError:
        raise
    except Exception as error:  # a network of another's may raise anything
        reason = next(iter(str(error).splitlines()), repr(error))
        advice = "another --size or --model" if kind.name == "image" else "another --model"
        raise TrainingError(f"the network cannot take {kind.description} ({reason}): give {advice}") from error
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise TrainingError(
            f"the network answers two {kind.description} with {shape}: it must be logits of shape (2, {classes})"
        )
    return network.train()


def check_batch(network: nn.Module, batch: int) -> None:
    """Raises TrainingError for a batch that this network cannot learn from."""
    if batch == 1 and needs_batches(network):
        raise TrainingError("the network has BatchNorm, which cannot learn from one item at a time: give a --batch")


def needs_batches(network: nn.Module) -> bool:
    """Whether there is BatchNorm in it, which has no variance over a single item."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
