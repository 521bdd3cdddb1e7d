"""Train an image classifier and package it: python -m training.train --data fashion-mnist --out build/fashion-mnist

Reads top to bottom: settings, data, network, loop, test, package.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from training import data as datasets
from training import export
from training.augment import augment
from training.errors import TrainingError
from training.models import TutorialCNN

CACHE = Path.home() / ".cache" / "amaas"


def number(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    """A type for argparse: a whole or a finite number that is not below `least`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is no {'whole ' * (kind is int)}number from {least:g} on")
        return value

    return parse


COUNT = number(int, 1)


def settings(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", required=True, help="fashion-mnist, cifar10, or a folder with one folder of images per class")
    add("--out", type=Path, required=True, help="where the package goes")
    add("--name", help="the model's name; else the data set's")
    add("--licence", help="the model's licence; else the data set's")
    add("--root", type=Path, default=CACHE, help="where downloaded data sets are kept")
    add("--size", type=COUNT, nargs=2, metavar=("HEIGHT", "WIDTH"), help="bring a folder's images to this size")
    add("--epochs", type=COUNT, default=10, help="passes over the training set (%(default)s)")
    add("--batch", type=COUNT, default=64, help="images per step (%(default)s)")
    add("--lr", type=number(float, 1e-9), default=0.05, help="the highest learning rate (%(default)s)")
    add("--momentum", type=number(float, 0), default=0.9, help="SGD's momentum, Nesterov's (%(default)s)")
    add("--weight-decay", type=number(float, 0), default=5e-4, help="pull of the weights towards zero (%(default)s)")
    add("--widths", type=COUNT, nargs=2, default=(64, 128), help="channels of the two convolutions (64 128)")
    add("--hidden", type=COUNT, default=1024, help="width of the first linear layer (%(default)s)")
    add("--shift", type=number(int, 0), default=2, help="augmentation: random shift, in pixels (%(default)s)")
    add("--no-flip", action="store_true", help="augmentation: do not mirror images (digits, letters)")
    add("--erase", type=number(int, 0), default=0, help="augmentation: side of an erased square (%(default)s)")
    add("--seed", type=number(int, 0), default=0, help="of splits, first weights, order and augmentation (%(default)s)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, … (%(default)s)")
    add("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    try:
        train(settings(arguments))
        return 0
    except TrainingError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training: stopped; nothing was packaged", file=sys.stderr)
        return 130


def train(s: argparse.Namespace) -> Path:
    name = check(s)
    torch.manual_seed(s.seed)
    torch.backends.cudnn.deterministic = True  # a GPU would choose its convolutions by a race
    random = torch.Generator().manual_seed(s.seed)
    started = time.perf_counter()

    # ---- data
    data = datasets.load(s.data, s.root, seed=s.seed, size=tuple(s.size) if s.size else None)
    images, labels = data.train
    if len(labels) < s.batch:
        raise TrainingError(
            f"{len(labels)} training images are fewer than a batch of {s.batch}: give a smaller --batch"
        )
    mean, std = statistics(images)
    x, y = export.normalise(images, mean, std), torch.from_numpy(labels)
    print(f"{data.about['name']}: {len(y):,} to train on, {len(data.validation[1]):,} to validate, "
          f"{len(data.test[1]):,} to test; dropped: {data.dropped() or 'none'}")  # fmt: skip
    s.out.mkdir(parents=True, exist_ok=True)
    report = {"dropped": data.dropped(), "items": data.report}
    (s.out / "cleaning.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")

    # ---- network
    _, height, width, channels = images.shape
    network = TutorialCNN((channels, height, width), len(data.labels), tuple(s.widths), s.hidden).to(s.device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay, nesterov=s.momentum > 0
    )
    steps = len(y) // s.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / (s.epochs * steps)))

    # ---- loop
    best, best_state = -1.0, {}
    with (s.out / "metrics.jsonl").open("w") as log:
        for epoch in range(1, s.epochs + 1):
            network.train()
            total, right = 0.0, 0
            order = torch.randperm(len(y), generator=random)[: steps * s.batch].split(s.batch)
            for batch in tqdm(order, desc=f"epoch {epoch}/{s.epochs}", disable=s.quiet, leave=False):
                inputs = augment(x[batch], random, shift=s.shift, flip=not s.no_flip, erase=s.erase).to(s.device)
                target = y[batch].to(s.device)
                logits = network(inputs)
                loss = functional.cross_entropy(logits, target)
                finite(loss.item(), epoch)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
                right += int((logits.argmax(1) == target).sum())
            held_out = evaluate(network, *data.validation, mean, std, s.device)
            finite(held_out["loss"], epoch)
            row = {"epoch": epoch, "loss": round(total / steps, 4), "accuracy": round(right / (steps * s.batch), 4),
                   "validation_loss": round(held_out["loss"], 4), "validation_accuracy": round(held_out["accuracy"], 4),
                   "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip
            log.write(json.dumps(row) + "\n")
            log.flush()
            print("  ".join(f"{key} {value}" for key, value in row.items()))
            if held_out["accuracy"] > best:
                best, best_state = held_out["accuracy"], {k: v.clone() for k, v in network.state_dict().items()}

    # ---- test, once, with the weights that did best on the validation set
    network.load_state_dict(best_state)
    network = network.cpu()
    tested = evaluate(network, *data.test, mean, std, "cpu")
    metrics = {
        "test_accuracy": round(tested["accuracy"], 4),
        "test_interval": [round(v, 4) for v in wilson(tested["accuracy"], len(data.test[1]))],
        "test_loss": round(tested["loss"], 4),
        "test_recall": dict(zip(data.labels, [round(v, 4) for v in tested["recall"]], strict=True)),
        "validation_accuracy": round(best, 4),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    print(f"test accuracy {metrics['test_accuracy']:.2%}")

    # ---- package
    recipe: dict[str, Any] = {
        "network": "TutorialCNN", "widths": list(s.widths), "hidden": s.hidden, "optimizer": "SGD", "epochs": s.epochs,
        "batch": s.batch, "lr": s.lr, "momentum": s.momentum, "weight_decay": s.weight_decay, "shift": s.shift,
        "flip": not s.no_flip, "erase": s.erase, "seed": s.seed, "torch": torch.__version__.split("+")[0],
    }  # fmt: skip
    out = export.package(
        network, data, s.out, name=name, mean=mean, std=std, metrics=metrics, recipe=recipe, licence=s.licence
    )
    print(f"packaged in {out} after {time.perf_counter() - started:.0f} s")
    return out


def check(s: argparse.Namespace) -> str:
    """The model's name. Raises TrainingError for settings that would only fail after minutes of work."""
    if s.out.exists() and not s.out.is_dir():
        raise TrainingError(f"--out {s.out} is a file: give a folder")
    try:
        torch.zeros(1, device=s.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {s.device!r} cannot be used ({reason}): try --device cpu") from error
    derived = re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", Path(s.data).resolve().name).strip("-._")[:100]
    name: str = s.name if s.name is not None else derived
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or ".." in name:
        raise TrainingError(
            f"{name!r} is no name for a model: give a --name of letters, digits, '.', '_' and '-', 100 at most"
        )
    return name


def finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss became {loss} in epoch {epoch}: give a smaller --lr")


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images [N, H, W, C], as shares of 255, to 4 digits."""
    values, mean, std = np.arange(256) / 255, [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].reshape(-1), minlength=256) / images[..., channel].size
        centre = float(share @ values)
        mean.append(round(centre, 4))
        std.append(round(math.sqrt(float(share @ (values - centre) ** 2)), 4) or 1.0)
    return mean, std


def rate(progress: float) -> float:
    """The share of the highest learning rate: up in a line for a tenth of the time, then down along a cosine."""
    return max(progress, 0.001) / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


@torch.no_grad()
def evaluate(
    network: torch.nn.Module, images: np.ndarray, labels: np.ndarray, mean: list[float], std: list[float], device: str
) -> dict[str, Any]:
    """Mean loss, accuracy, and recall per class on a split."""
    network.eval()
    parts = np.array_split(images, 1 + len(images) // 512)
    logits = torch.cat([network(export.normalise(part, mean, std).to(device)).cpu() for part in parts])
    target = torch.from_numpy(labels)
    right = logits.argmax(1) == target
    recall = [float(right[target == k].float().mean()) if (target == k).any() else 0.0 for k in range(logits.shape[1])]
    return {
        "loss": float(functional.cross_entropy(logits, target)),
        "accuracy": float(right.float().mean()),
        "recall": recall,
    }


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (Wilson 1927)."""
    centre, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)


if __name__ == "__main__":
    sys.exit(main())
