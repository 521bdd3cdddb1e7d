"""The command line: every setting with its default, what is checked before any work, and what the recipe notes."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training import networks
from training.data.source import printable
from training.errors import TrainingError
from training.optimizers import OPTIMIZERS, SCHEDULES

CACHE = Path.home() / ".cache" / "amaas"
# noted in the recipe only where they are not the default
SELDOM = (
    "schedule", "warmup", "label_smoothing", "clip", "ema", "patience", "mixup", "bf16", "channels_last", "compile",
    "deterministic",
)  # fmt: skip
# options that say something of one kind of data only: to give them with another is an error, not a silence
FOR: dict[str, tuple[str, ...]] = {
    "image": ("size", "shift", "no_flip", "erase", "crop", "rotate", "cutmix", "randaugment", "pretrained"),
    "text": ("text", "max_length", "vocabulary", "cased", "token_dropout"),
    "audio": ("rate", "seconds", "time_shift", "frequency_mask", "time_mask"),
    "table": ("noise", "no_reference_rows"),
}
MIXED = ("image", "audio", "table")  # tokens cannot be mixed


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
    # an option has one name: who starts a training looks at some of them before (shared/jobs/training/request.py)
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for group in (_data, _network, _optimisation, _images, _others, _machine, _interruption):
        group(made)
    return made


def _data(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("data and package").add_argument
    add("--data", required=True, help="a data set by its name, a folder, a file, or s3://BUCKET/PATH: see the README")
    add("--out", type=Path, required=True, help="where the package goes")
    add("--task", choices=tuple(FOR), help="the kind of data, where it cannot be seen from the files")
    add("--target", help="the column with the classes (label, or a table's last)")
    add("--text", help="the column with the texts (text)")
    add("--group", help="the column that says which rows belong together, as a patient: they stay in one split")
    add("--name", help="the model's name; else the data set's")
    add("--licence", help="the model's licence; else the data set's")
    add("--intended-use", help="for the model card: what the model is for, and what it is not for")
    add("--root", type=Path, default=CACHE, help="where downloaded data sets are kept")
    add("--outliers", choices=("off", "report", "drop"), default="off", help="of doubtful labels (%(default)s)")
    add("--near", action="store_true", help="look for near duplicates too; of a test item they are dropped")


def _network(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("network").add_argument
    add("--model", help="one that is built in (cnn for images, transformer for texts, audio-cnn, mlp), "
        "torchvision:NAME, or your MODULE:CLASS")  # fmt: skip
    add("--widths", type=COUNT, nargs="+", help="channels: two of cnn, three of quick-cnn, four of the other CNNs")
    add("--embedding", type=COUNT, help="of texts: numbers that stand for a token (64)")
    add("--hidden", type=COUNT, help="width of cnn's first linear layer (1024), of gru and lstm (96), of mlp (64)")
    add("--layers", type=COUNT, help="of transformer and mlp (2)")
    add("--heads", type=COUNT, help="of transformer's attention (4)")
    add("--dropout", type=SHARE, help="share of activations that are dropped while training")
    add("--pretrained", nargs="?", const="", metavar="FILE", help="torchvision's weights: a file, or downloaded")
    add("--teacher", metavar="PACKAGE", help="learn from its answers too: a package folder, or MODEL[@VERSION]")
    add("--teacher-share", type=SHARE, default=0.7, help="of the loss that is the teacher's (%(default)s)")
    add("--temperature", type=number(float, 0.1), default=4.0, help="that softens both answers (%(default)s)")


def _optimisation(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("optimisation").add_argument
    add("--epochs", type=COUNT, default=10, help="passes over the training set (%(default)s)")
    add("--batch", type=COUNT, default=64, help="items per step (%(default)s)")
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
    add("--mixup", type=number(float, 0), default=0.0, help="mix pairs of items; alpha, as 0.2; 0: none (%(default)s)")
    add("--epsilon", type=number(float, 0.01), help="train privately: the most that is told of one item; needs --clip")
    add("--delta", type=number(float, 1e-12, 1), help="chance that more is told (a tenth of one item's share)")


def _images(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("images").add_argument
    add("--size", type=COUNT, nargs=2, metavar=("HEIGHT", "WIDTH"), help="bring images to this size")
    add("--shift", type=number(int, 0), default=2, help="random shift, in pixels (%(default)s)")
    add("--no-flip", action="store_true", help="do not mirror images (digits, letters)")
    add("--erase", type=number(int, 0), default=0, help="side of an erased square (%(default)s)")
    add("--crop", type=SHARE, default=0.0, help="cut off up to this share of each side, enlarge the rest (%(default)s)")
    add("--rotate", type=number(float, 0, 180), default=0.0, help="turn by up to so many degrees (%(default)s)")
    add("--cutmix", type=number(float, 0), default=0.0, help="paste a part of another image; alpha, as 1 (%(default)s)")
    add("--randaugment", type=number(int, 1, 31), nargs=2, metavar=("OPERATIONS", "MAGNITUDE"), help="as 2 9")


def _others(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("texts").add_argument
    add("--vocabulary", type=number(int, 300), default=4096, help="tokens of the tokenizer at most (%(default)s)")
    add("--max-length", type=number(int, 2, 16385), default=128, help="tokens of a text at most (%(default)s)")
    add("--cased", action="store_true", help="tell capital letters from small ones")
    add("--token-dropout", type=SHARE, default=0.0, help="share of tokens made unknown (%(default)s)")
    add = made.add_argument_group("sound").add_argument
    add("--rate", type=number(int, 1000, 192_001), help="in Hz; else that of most files")
    add("--seconds", type=number(float, 0.05, 601), help="that are heard; else what 95 of 100 sounds have")
    add("--time-shift", type=number(float, 0), default=0.0, help="seconds, either way (%(default)s)")
    add("--frequency-mask", type=number(int, 0), default=0, help="mel bands masked at most (%(default)s)")
    add("--time-mask", type=number(int, 0), default=0, help="frames masked at most (%(default)s)")
    add = made.add_argument_group("tables").add_argument
    add("--noise", type=number(float, 0), default=0.0, help="standard deviations added to each number (%(default)s)")
    add(
        "--no-reference-rows",
        action="store_true",
        help="put no training rows into the package; it explains nothing then",
    )


def _machine(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("machine").add_argument
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, … (%(default)s)")
    add(
        "--bf16",
        action="store_true",
        help="matrix products in bfloat16; like the next two, where it makes steps faster",
    )
    add("--channels-last", action="store_true", help="images and convolutions in NHWC order")
    add("--compile", nargs="?", const="inductor", metavar="BACKEND", help="torch.compile, by inductor or another")
    add(
        "--measure", action=argparse.BooleanOptionalAction, default=True, help="no: use these three even where it costs"
    )
    add("--deterministic", action="store_true", help="only operations that give the same bits each time, else stop")
    add("--seed", type=number(int, 0), default=0, help="of splits, first weights, order and augmentation (%(default)s)")
    add("--price", type=number(float, 0), help="of an hour of this machine, for the model card")
    add("--quiet", action="store_true", help="no progress bar")


def _interruption(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("interruption").add_argument
    add("--checkpoint", type=Path, metavar="FOLDER", help="where checkpoints are kept (OUT/checkpoint)")
    add("--checkpoint-minutes", type=number(float, 0), default=5, help="between two; also after each epoch (5)")
    add("--resume", action=argparse.BooleanOptionalAction, help="insist on a checkpoint; or remove it, begin anew")


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
        if (shown := printable(str(folder))) != str(folder):
            raise TrainingError(f"{option} {shown} is not UTF-8, and could not be told at the end: give another folder")
        if folder.parts[:1] == ("s3:",):
            raise TrainingError(
                f"{option} is a folder of this machine: `amaas push` and training jobs send to a bucket"
            )
    try:
        torch.zeros(1, device=s.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {s.device!r} cannot be used ({reason}): try --device cpu") from error
    if s.compile and s.compile not in (known := torch.compiler.list_backends(exclude_tags=())):
        raise TrainingError(f"--compile {s.compile}: there is no such backend, use {', '.join(known)}")
    if s.model:
        networks.find(s.model, {o: getattr(s, o) for o in networks.OPTIONS}, s.pretrained)
    derived = re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", Path(s.data).resolve().name).strip("-._")[:100]
    name: str = s.name if s.name is not None else derived
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or ".." in name:
        raise TrainingError(
            f"{name!r} is no name for a model: give a --name of letters, digits, '.', '_' and '-', 100 at most"
        )
    return name


def fit(s: argparse.Namespace, kind: str) -> None:
    """Fill in what depends on the kind of data. Raises TrainingError for options of another kind."""
    usual = vars(parser(None).parse_args(["--data", "", "--out", ""]))
    for other, options in FOR.items():
        for option in options:
            if other != kind and getattr(s, option) != usual[option]:
                raise TrainingError(
                    f"--{option.replace('_', '-')} is for data of the kind {other}, not {kind}: leave it away"
                )
    if s.mixup and kind not in MIXED:
        raise TrainingError(f"--mixup mixes numbers, and {kind} has none: leave it away")
    s.model = s.model or networks.USUAL[kind]
    networks.suit(s.model, kind)


def augmentation(noted: dict[str, Any]) -> argparse.Namespace:
    """The settings with these changes of the data, as a recipe notes them, and with no others."""
    s = parser(None).parse_args(["--data", "", "--out", ""])
    s.shift, s.no_flip = 0, True
    for name, value in noted.items():
        setattr(s, *(("no_flip", not value) if name == "flip" else (name, value)))
    return s


def reading(s: argparse.Namespace) -> dict[str, Any]:
    """What was said of how the data is to be read: without it, the same splits would not come again."""
    given = {
        "task": s.task, "size": tuple(s.size) if s.size else None, "text": s.text, "target": s.target,
        "group": s.group, "rate": s.rate, "near": s.near or None,
        "outliers": None if s.outliers == "off" else s.outliers,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def recipe(s: argparse.Namespace, network: dict[str, Any], kind: str) -> dict[str, Any]:
    """What the model card and the lineage say of how it was trained. network: as networks.find describes it."""
    usual = vars(settings(["--data", "", "--out", "", "--optimizer", s.optimizer]))
    images = {"shift": s.shift, "flip": not s.no_flip, "erase": s.erase} if kind == "image" else {}
    seldom = [
        *SELDOM,
        *(option for option in FOR[kind] if option not in {"shift", "no_flip", "erase", "size", "pretrained"}),
    ]
    taught = {"temperature": s.temperature, "teacher_share": s.teacher_share} if s.teacher else {}
    return {
        **network, "optimizer": {"sgd": "SGD", "adamw": "AdamW"}[s.optimizer], "epochs": s.epochs, "batch": s.batch,
        "lr": s.lr, "momentum": s.momentum, "weight_decay": s.weight_decay, **images, "seed": s.seed,
        "torch": torch.__version__.split("+")[0], **taught,
        **{name: getattr(s, name) for name in seldom if getattr(s, name) != usual[name]},
    }  # fmt: skip
