"""The command line: every setting with its default, what is checked before any work, and what the recipe notes."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.errors import TrainingError
from training.optimizers import OPTIMIZERS, SCHEDULES

CACHE = Path.home() / ".cache" / "amaas"
# noted in the recipe only where they are not the default
SELDOM = (
    "schedule", "warmup", "label_smoothing", "clip", "ema", "patience", "mixup", "cutmix", "crop", "rotate", "bf16",
    "channels_last", "compile", "deterministic",
)  # fmt: skip


def number(kind: type[int] | type[float], least: float, below: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: a whole or a finite number from `least` on, and smaller than `below`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < below:
            end = f" and below {below:g}" if below < math.inf else ""
            raise argparse.ArgumentTypeError(f"{text!r} is no {'whole ' * (kind is int)}number from {least:g} on{end}")
        return value

    return parse


COUNT, SHARE = number(int, 1), number(float, 0, 1)


def parser(about: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument_group("data and package").add_argument
    add("--data", required=True, help="fashion-mnist, cifar10, or a folder with one folder of images per class")
    add("--out", type=Path, required=True, help="where the package goes")
    add("--name", help="the model's name; else the data set's")
    add("--licence", help="the model's licence; else the data set's")
    add("--root", type=Path, default=CACHE, help="where downloaded data sets are kept")
    add("--size", type=COUNT, nargs=2, metavar=("HEIGHT", "WIDTH"), help="bring a folder's images to this size")
    add = made.add_argument_group("network").add_argument
    add("--model", default="cnn", help="cnn, resnet9, torchvision:NAME, or your MODULE:CLASS (%(default)s)")
    add("--widths", type=COUNT, nargs="+", help="channels: two of cnn (64 128), four of resnet9 (64 128 256 256)")
    add("--hidden", type=COUNT, default=1024, help="width of cnn's first linear layer (%(default)s)")
    add = made.add_argument_group("optimisation").add_argument
    add("--epochs", type=COUNT, default=10, help="passes over the training set (%(default)s)")
    add("--batch", type=COUNT, default=64, help="images per step (%(default)s)")
    add("--optimizer", choices=OPTIMIZERS, default="sgd", help="%(choices)s (%(default)s)")
    add("--lr", type=number(float, 1e-9), help="the highest learning rate (sgd 0.05, adamw 0.001)")
    add("--momentum", type=SHARE, default=0.9, help="SGD's momentum, Nesterov's; AdamW's first beta (%(default)s)")
    add("--weight-decay", type=number(float, 0), help="pull of the weights towards zero (sgd 0.0005, adamw 0.05)")
    add("--schedule", choices=SCHEDULES, default="cosine", help="of the learning rate: %(choices)s (%(default)s)")
    add("--warmup", type=SHARE, help="share of all steps in which the rate rises (cosine 0.1, one-cycle 0.3)")
    add("--label-smoothing", type=SHARE, default=0.0, help="share of a label given to all classes (%(default)s)")
    add("--clip", type=number(float, 0), default=0.0, help="longest gradient; 0: any (%(default)s)")
    add("--ema", type=SHARE, default=0.0, help="decay of an average of the weights, as 0.999; 0: none (%(default)s)")
    add("--patience", type=number(int, 0), default=0, help="stop after so many epochs without progress; 0: never")
    add = made.add_argument_group("augmentation").add_argument
    add("--shift", type=number(int, 0), default=2, help="random shift, in pixels (%(default)s)")
    add("--no-flip", action="store_true", help="do not mirror images (digits, letters)")
    add("--erase", type=number(int, 0), default=0, help="side of an erased square (%(default)s)")
    add("--crop", type=SHARE, default=0.0, help="cut off up to this share of each side, enlarge the rest (%(default)s)")
    add("--rotate", type=number(float, 0, 180), default=0.0, help="turn by up to so many degrees (%(default)s)")
    add("--mixup", type=number(float, 0), default=0.0, help="mix pairs of images; alpha, as 0.2; 0: none (%(default)s)")
    add("--cutmix", type=number(float, 0), default=0.0, help="paste a part of another image; alpha, as 1 (%(default)s)")
    add = made.add_argument_group("machine").add_argument
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, … (%(default)s)")
    add("--bf16", action="store_true", help="matrix products in bfloat16")
    add("--channels-last", action="store_true", help="images and convolutions in NHWC order")
    add("--compile", nargs="?", const="inductor", metavar="BACKEND", help="torch.compile, by inductor or another")
    add("--deterministic", action="store_true", help="only operations that give the same bits each time, else stop")
    add("--seed", type=number(int, 0), default=0, help="of splits, first weights, order and augmentation (%(default)s)")
    add("--quiet", action="store_true", help="no progress bar")
    add = made.add_argument_group("interruption").add_argument
    add("--checkpoint", type=Path, metavar="FOLDER", help="where checkpoints are kept (OUT/checkpoint)")
    add("--checkpoint-minutes", type=number(float, 0), default=5, help="between two; also after each epoch (5)")
    add("--resume", action=argparse.BooleanOptionalAction, help="insist on a checkpoint; or remove it, begin anew")
    return made


def settings(arguments: list[str] | None, about: str | None = None) -> argparse.Namespace:
    """The parsed command line, with the defaults that depend on another setting filled in."""
    s = parser(about).parse_args(arguments)
    lr, weight_decay = OPTIMIZERS[s.optimizer]
    s.lr = lr if s.lr is None else s.lr
    s.weight_decay = weight_decay if s.weight_decay is None else s.weight_decay
    s.warmup = SCHEDULES[s.schedule] if s.warmup is None else s.warmup
    s.checkpoint = s.checkpoint or s.out / "checkpoint"
    return s


def check(s: argparse.Namespace) -> str:
    """The model's name. Raises TrainingError for settings that would only fail after minutes of work."""
    for option, folder in (("--out", s.out), ("--checkpoint", s.checkpoint)):
        if folder.exists() and not folder.is_dir():
            raise TrainingError(f"{option} {folder} is a file: give a folder")
    try:
        torch.zeros(1, device=s.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {s.device!r} cannot be used ({reason}): try --device cpu") from error
    if s.compile and s.compile not in (known := torch.compiler.list_backends(exclude_tags=())):
        raise TrainingError(f"--compile {s.compile}: there is no such backend, use {', '.join(known)}")
    derived = re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", Path(s.data).resolve().name).strip("-._")[:100]
    name: str = s.name if s.name is not None else derived
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or ".." in name:
        raise TrainingError(
            f"{name!r} is no name for a model: give a --name of letters, digits, '.', '_' and '-', 100 at most"
        )
    return name


def recipe(s: argparse.Namespace, network: dict[str, Any]) -> dict[str, Any]:
    """What the model card and the lineage say of how it was trained. network: as models.find describes it."""
    usual = vars(settings(["--data", "", "--out", "", "--optimizer", s.optimizer]))
    return {
        **network, "optimizer": {"sgd": "SGD", "adamw": "AdamW"}[s.optimizer], "epochs": s.epochs, "batch": s.batch,
        "lr": s.lr, "momentum": s.momentum, "weight_decay": s.weight_decay, "shift": s.shift, "flip": not s.no_flip,
        "erase": s.erase, "seed": s.seed, "torch": torch.__version__.split("+")[0],
        **{name: getattr(s, name) for name in SELDOM if getattr(s, name) != usual[name]},
    }  # fmt: skip
