"""Train an image classifier and package it: python -m training.train --data fashion-mnist --out build/fashion-mnist

Reads top to bottom: data, network, loop, test, package. Stopped at any point, the same command goes on at that step.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from training import data as datasets
from training import export, models
from training.augment import augment, mix
from training.checkpoint import Checkpoints, Reclaimed, StopSignal, fingerprint
from training.compress.measure import wilson
from training.errors import TrainingError
from training.optimizers import Average, optimizer_for, rate, schedule_for
from training.settings import CACHE, check, recipe, settings
from training.state import State

__all__ = ["CACHE", "evaluate", "main", "rate", "statistics", "train", "wilson"]
RECLAIMED = 75  # EX_TEMPFAIL of sysexits.h: whoever started this may start it again


def main(arguments: list[str] | None = None) -> int:
    s = settings(arguments, __doc__)
    try:
        with StopSignal() as stop:
            train(s, stop)
        return 0
    except TrainingError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"training: {error}; {kept(s)}", file=sys.stderr)
        return 1
    except Reclaimed:
        print(f"training: stopped by SIGTERM; {kept(s)}", file=sys.stderr)
        return RECLAIMED
    except KeyboardInterrupt:
        print(f"training: stopped, nothing was packaged; {kept(s)}", file=sys.stderr)
        return 130


def kept(s: argparse.Namespace) -> str:
    checkpoints = Checkpoints(s.checkpoint, {}, 0)
    return checkpoints.kept() + (": the same command continues there" if checkpoints.files() else "")


def train(s: argparse.Namespace, stop: StopSignal) -> Path:
    name = check(s)
    make, described = models.find(s.model, s.widths, s.hidden)
    torch.manual_seed(s.seed)
    torch.backends.cudnn.deterministic = True  # a GPU would choose its convolutions by a race
    if s.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no fixed order of sums
    torch.use_deterministic_algorithms(s.deterministic)
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
    network = models.build(make, (channels, height, width), len(data.labels))
    if s.batch == 1 and models.needs_batches(network):
        raise TrainingError("the network has BatchNorm, which cannot learn from one image at a time: give a --batch")
    if ":" in s.model:  # not one of ours: better refused now than after hours
        export.to_onnx(network.eval(), x[:1])
    layout = torch.channels_last if s.channels_last else torch.contiguous_format
    network = network.to(s.device, memory_format=layout)
    forward = torch.compile(network, backend=s.compile) if s.compile else network  # the weights are the same objects
    optimizer = optimizer_for(network, s)
    steps = len(y) // s.batch
    schedule = schedule_for(optimizer, s, s.epochs * steps)
    average = Average(network, s.ema) if s.ema else None

    # ---- where it was stopped
    state = State(network, optimizer, schedule, random, average)
    state.started = started
    checkpoints = Checkpoints(s.checkpoint, fingerprint(s, data), s.checkpoint_minutes)
    if saved := checkpoints.load(s.resume):
        state.unpack(saved)
        print(f"continues in epoch {state.epoch} after step {state.step} of {steps}")

    # ---- loop
    stop.waits = True
    with (s.out / "metrics.jsonl").open("w") as log:
        log.writelines(json.dumps(row) + "\n" for row in state.rows)
        while state.epoch <= s.epochs and not state.stalled(s.patience):
            network.train()
            if state.order is None:
                state.order = torch.randperm(len(y), generator=random)[: steps * s.batch]
            todo = state.order.split(s.batch)[state.step :]
            title = f"epoch {state.epoch}/{s.epochs}"
            for batch in tqdm(todo, desc=title, initial=state.step, total=steps, disable=s.quiet, leave=False):
                inputs = augment(x[batch], random, shift=s.shift, flip=not s.no_flip, erase=s.erase,
                                 crop=s.crop, rotate=s.rotate)  # fmt: skip
                inputs, partner, own = mix(inputs, random, mixup=s.mixup, cutmix=s.cutmix)
                inputs = inputs.to(s.device, memory_format=layout)
                target, other = y[batch].to(s.device), y[batch][partner].to(s.device)
                with torch.autocast(torch.device(s.device).type, torch.bfloat16, enabled=s.bf16):
                    logits = forward(inputs)
                    loss = functional.cross_entropy(logits, target, label_smoothing=s.label_smoothing)
                    if own < 1:
                        foreign = functional.cross_entropy(logits, other, label_smoothing=s.label_smoothing)
                        loss = own * loss + (1 - own) * foreign
                finite(loss.item(), state.epoch, checkpoints)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if s.clip:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), s.clip)
                optimizer.step()
                schedule.step()
                if average:
                    average.update(network)
                state.total += loss.item()
                state.right += int((logits.argmax(1) == target).sum())
                state.step += 1
                if stop.asked or checkpoints.due():
                    save(checkpoints, state)
                if stop.asked:
                    raise Reclaimed
            held_out = evaluate(network, *data.validation, mean, std, s.device)
            finite(held_out["loss"], state.epoch, checkpoints)
            row = {"epoch": state.epoch, "loss": round(state.total / steps, 4),
                   "accuracy": round(state.right / (steps * s.batch), 4), "validation_loss": round(held_out["loss"], 4),
                   "validation_accuracy": round(held_out["accuracy"], 4)}  # fmt: skip
            state.consider(held_out["accuracy"], network.state_dict())
            if average:
                averaged = evaluate(average.network, *data.validation, mean, std, s.device)["accuracy"]
                row["ema_validation_accuracy"] = round(averaged, 4)
                state.consider(averaged, average.network.state_dict())
            row["seconds"] = round(state.seconds(), 1)
            log.write(json.dumps(row) + "\n")
            log.flush()
            print("  ".join(f"{key} {value}" for key, value in row.items()))
            state.finish_epoch(row)
            save(checkpoints, state)
            if stop.asked:
                raise Reclaimed
    stop.waits = False  # all is in the last checkpoint now

    # ---- test, once, with the weights that did best on the validation set
    if state.epoch <= s.epochs:
        print(f"stopped early: no progress in {s.patience} epochs, the best was epoch {state.best_epoch}")
    network.load_state_dict(state.best_weights)
    network = network.to("cpu", memory_format=torch.contiguous_format)
    tested = evaluate(network, *data.test, mean, std, "cpu")
    metrics = {
        "test_accuracy": round(tested["accuracy"], 4),
        "test_interval": [round(v, 4) for v in wilson(tested["accuracy"], len(data.test[1]))],
        "test_loss": round(tested["loss"], 4),
        "test_recall": dict(zip(data.labels, [round(v, 4) for v in tested["recall"]], strict=True)),
        "validation_accuracy": round(state.best, 4),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    print(f"test accuracy {metrics['test_accuracy']:.2%}")

    # ---- package
    out = export.package(
        network, data, s.out, name=name, mean=mean, std=std, metrics=metrics, recipe=recipe(s, described),
        licence=s.licence,
    )  # fmt: skip
    checkpoints.clear()  # nothing is left to continue: the same command trains anew
    print(f"packaged in {out} after {state.seconds():.0f} s")
    return out


def finite(loss: float, epoch: int, checkpoints: Checkpoints) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch}: give a smaller --lr, with --no-resume; {checkpoints.kept()}"
        )


def save(checkpoints: Checkpoints, state: State) -> None:
    """A checkpoint of now; but never of weights that are broken, which would push out the last good one."""
    finite(0.0 if state.finite() else math.nan, state.epoch, checkpoints)
    checkpoints.save(state.epoch, state.step, state.pack())


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images [N, H, W, C], as shares of 255, to 4 digits."""
    values, mean, std = np.arange(256) / 255, [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].reshape(-1), minlength=256) / images[..., channel].size
        centre = float(share @ values)
        mean.append(round(centre, 4))
        std.append(round(math.sqrt(float(share @ (values - centre) ** 2)), 4) or 1.0)
    return mean, std


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


if __name__ == "__main__":
    sys.exit(main())
