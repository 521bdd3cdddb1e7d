"""Train a classifier and package it: python -m training.train --data fashion-mnist --out build/fashion-mnist

Images, texts, sound or tables. Reads top to bottom: data, network, loop, test, package. Stopped at any point, the same
command goes on at that step. On several GPUs or machines: torchrun --nproc-per-node=gpu -m training.train …
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from training import card, export, kinds, networks, plots, private, quality
from training import data as datasets
from training.allocator import keep_memory
from training.augment import mix
from training.checkpoint import Checkpoints, Reclaimed, StopSignal, fingerprint
from training.distillation import divergence
from training.errors import TrainingError
from training.evaluate import evaluate, outputs
from training.footprint import Footprint
from training.group import Group
from training.kinds import Inputs, Kind
from training.optimizers import Average, optimizer_for, schedule_for
from training.settings import check, fit, reading, recipe, settings
from training.state import State
from training.teacher import find_teacher

CLEANING = "cleaning.json"
RECLAIMED = 75  # EX_TEMPFAIL of sysexits.h: whoever started this may start it again


def main(arguments: list[str] | None = None) -> int:
    s = settings(arguments, __doc__)
    keep_memory()
    try:
        with StopSignal() as stop, Group(s.device) as group:
            train(s, stop, group)
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


def train(s: argparse.Namespace, stop: StopSignal, group: Group) -> None:
    name = check(s)
    group.check(s.batch)
    say = print if group.first else lambda *_: None
    torch.manual_seed(s.seed)
    torch.backends.cudnn.deterministic = True  # a GPU would choose its convolutions by a race
    if s.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no fixed order of sums
    torch.use_deterministic_algorithms(s.deterministic)
    if s.epsilon:
        private.check(s, group.size)
    random = private.entropy() if s.epsilon else torch.Generator().manual_seed(s.seed)
    started, footprint = time.perf_counter(), Footprint(group.device, s.price)

    # ---- data
    data = group.one_first(lambda: load(s))
    fit(s, data.kind)
    teacher = find_teacher(s.teacher, data.labels) if s.teacher else None
    kind = kinds.of(teacher, data.kind) if teacher else kinds.fit(data.train[0], data.kind, data.details, s)
    x, y = kind.stored(data.train[0]), torch.from_numpy(data.train[1])
    held_out, tested = ((kind.stored(part[0]), part[1]) for part in (data.validation, data.test))
    if len(y) < s.batch:
        raise TrainingError(f"{len(y)} training items are fewer than a batch of {s.batch}: give a smaller --batch")
    say(f"{data.about['name']}: {len(y):,} to train on, {len(data.validation[1]):,} to validate, "
        f"{len(data.test[1]):,} to test; dropped: {data.dropped() or 'none'}")  # fmt: skip
    s.out.mkdir(parents=True, exist_ok=True)
    datasets.write(data.report, s.out / CLEANING)

    # ---- network
    make, described = networks.find(s.model, {o: getattr(s, o) for o in networks.OPTIONS}, s.pretrained)
    network = networks.build(make, kind, len(data.labels))
    network = private.without_batches(network) if s.epsilon else network
    if s.batch == 1 and networks.needs_batches(network):
        raise TrainingError("the network has BatchNorm, which cannot learn from one item at a time: give a --batch")
    if ":" in s.model:  # not one of ours: better refused now than after hours
        export.to_onnx(network.eval(), kind)
    layout = torch.channels_last if s.channels_last else torch.contiguous_format
    network = network.to(group.device, memory_format=layout)
    optimizer, steps = optimizer_for(network, s), len(y) // s.batch
    schedule = schedule_for(optimizer, s, s.epochs * steps)
    average = Average(network, s.ema) if s.ema else None
    privacy = private.Privacy(s, len(y)) if s.epsilon else None
    forward = privacy.joined(network) if privacy else group.joined(network)  # the weights are the same objects
    stepper = privacy.noisy(optimizer, random) if privacy else optimizer
    forward = torch.compile(forward, backend=s.compile) if s.compile else forward
    torch.manual_seed(s.seed + group.rank)  # the first weights are everybody's, dropout is not

    # ---- where it was stopped
    changes = torch.Generator().manual_seed(s.seed + 1 + group.rank)
    state = State(network, optimizer, schedule, random, changes, average=average, privacy=privacy, footprint=footprint)
    state.started = started
    checkpoints = Checkpoints(s.checkpoint, fingerprint(s, data), s.checkpoint_minutes)
    if saved := group.told(checkpoints.load(s.resume) if group.first else None):
        state.unpack(saved, group.rank)
        say(f"continues in epoch {state.epoch} after step {state.step} of {steps}")

    # ---- loop
    stop.waits = True
    with (s.out / "metrics.jsonl").open("w") if group.first else open(os.devnull, "w") as log:
        log.writelines(json.dumps(row) + "\n" for row in state.rows)
        while state.epoch <= s.epochs and not state.stalled(s.patience):
            forward.train()
            if state.batches is None:
                state.batches = order(len(y), s.batch, random, privacy)
            todo = state.batches[state.step :]
            title = f"epoch {state.epoch}/{s.epochs}"
            hidden = s.quiet or not group.first
            for batch in tqdm(todo, desc=title, initial=state.step, total=steps, disable=hidden, leave=False):
                mine = group.part(batch)
                inputs = kind.augmented(x, mine, changes, s)
                inputs, partner, own = mixed(inputs, changes, s)
                inputs = {put: on(value, group.device, layout) for put, value in inputs.items()}
                target, other = y[mine].to(group.device), y[mine][partner].to(group.device)
                with torch.autocast(torch.device(group.device).type, torch.bfloat16, enabled=s.bf16):
                    logits = forward(*inputs.values())
                    loss = functional.cross_entropy(logits, target, label_smoothing=s.label_smoothing)
                    if own < 1:
                        foreign = functional.cross_entropy(logits, other, label_smoothing=s.label_smoothing)
                        loss = own * loss + (1 - own) * foreign
                    if teacher:
                        taught = torch.from_numpy(teacher.logits({p: v.cpu().numpy() for p, v in inputs.items()}))
                        soft = divergence(logits, taught.to(group.device), s.temperature)
                        loss = (1 - s.teacher_share) * loss + s.teacher_share * soft
                finite(loss.item(), state.epoch, checkpoints)
                stepper.zero_grad(set_to_none=True)
                loss.backward()
                if s.clip and not privacy:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), s.clip)
                stepper.step()
                schedule.step()
                if average:
                    average.update(network)
                state.total += loss.item() * len(mine)
                state.right += int((logits.argmax(1) == target).sum())
                state.seen += len(mine)
                state.step += 1
                asked, due = group.any(stop.asked, checkpoints.due())
                if asked or due:
                    save(checkpoints, state, group)
                if asked:
                    raise Reclaimed
            row = finish(state, network, average, kind, held_out, group, checkpoints, s.bf16)
            footprint.look()
            log.write(json.dumps(row) + "\n")
            log.flush()
            say("  ".join(f"{key} {value}" for key, value in row.items()))
            save(checkpoints, state, group)
            if group.any(stop.asked)[0]:
                raise Reclaimed
    stop.waits = False  # all is in the last checkpoint now
    if not group.first:
        return

    # ---- test, once, with the weights that did best on the validation set
    if state.epoch <= s.epochs:
        print(f"stopped early: no progress in {s.patience} epochs, the best was epoch {state.best_epoch}")
    network.load_state_dict(state.best_weights)
    network = network.to("cpu", memory_format=torch.contiguous_format)
    logits = outputs(network, kind, tested[0], "cpu")
    found = quality.measured(logits, tested[1], data.labels)
    parts = quality.slices(kind.features(data.test[0]), logits.argmax(1) == tested[1])
    metrics = {
        "test_accuracy": round(found["accuracy"], 4),
        "test_interval": [round(v, 4) for v in found["interval"]],
        "test_loss": round(found["loss"], 4),
        "test_recall": {label: one["recall"] for label, one in found["classes"].items()},
        "test_classes": found["classes"],
        "test_macro_f1": round(found["macro_f1"], 4),
        "test_calibration_error": round(found["calibration_error"], 4),
        "test_slices": parts,
        "validation_accuracy": round(state.best, 4),
        "parameters": sum(p.numel() for p in network.parameters()),
        "footprint": footprint.taken(),
        **({"privacy": privacy.spent()} if privacy else {}),
    }
    print(f"test accuracy {metrics['test_accuracy']:.2%}")
    plots.curves(state.rows, s.out / "curves.png")
    plots.confusion(quality.confusion(logits, tested[1]), data.labels, s.out / "confusion.png")
    plots.calibration(quality.calibration(quality.softmax(logits), tested[1]), s.out / "calibration.png")

    # ---- package
    told = card.Told(name, recipe(s, described, kind.name), reading(s), s.licence, s.intended_use,
                     teacher.reference if teacher else None)  # fmt: skip
    export.package(network, data, kind, s.out, metrics, told)
    checkpoints.clear()  # nothing is left to continue: the same command trains anew
    print(f"packaged in {s.out} after {state.seconds():.0f} s")


def load(s: argparse.Namespace) -> datasets.Dataset:
    """With the report of cleaning left in OUT where nothing can be trained on what is left."""
    report: datasets.Report = []
    try:
        return datasets.load(s.data, s.root, seed=s.seed, report=report, **reading(s))
    except TrainingError as error:
        if not report:
            raise
        s.out.mkdir(parents=True, exist_ok=True)
        datasets.write(report, s.out / CLEANING)
        raise TrainingError(f"{error}; {s.out / CLEANING} names what was dropped") from error


def order(count: int, batch: int, random: torch.Generator, privacy: private.Privacy | None) -> list[torch.Tensor]:
    """The batches of an epoch: each item once, but for those that fill no batch; or by lot, for private training."""
    steps = count // batch
    if privacy:
        return privacy.batches(count, steps, random)
    return list(torch.randperm(count, generator=random)[: steps * batch].split(batch))


def mixed(inputs: Inputs, random: torch.Generator, s: argparse.Namespace) -> tuple[Inputs, torch.Tensor, float]:
    """As augment.mix, which mixes numbers: texts are not asked for it."""
    put, value = next(iter(inputs.items()))
    made, partner, own = mix(value, random, mixup=s.mixup, cutmix=s.cutmix)
    return inputs | {put: made}, partner, own


def on(value: torch.Tensor, device: str, layout: torch.memory_format) -> torch.Tensor:
    return value.to(device, memory_format=layout) if value.ndim == 4 else value.to(device)


def finish(
    state: State, network: torch.nn.Module, average: Average | None, kind: Kind, held_out: tuple[Inputs, np.ndarray],
    group: Group, checkpoints: Checkpoints, bf16: bool,
) -> dict[str, Any]:  # fmt: skip
    """Validate at the end of an epoch, and note it: the row of metrics.jsonl."""
    total, right, seen = group.sums(state.total, state.right, state.seen)
    found = group.told(evaluate(network, kind, *held_out, group.device, bf16) if group.first else None)
    finite(found["loss"], state.epoch, checkpoints)
    row = {"epoch": state.epoch, "loss": round(total / seen, 4), "accuracy": round(right / seen, 4),
           "validation_loss": round(found["loss"], 4), "validation_accuracy": round(found["accuracy"], 4)}  # fmt: skip
    state.consider(found["accuracy"], found["loss"], network.state_dict())
    if average:
        averaged = group.told(evaluate(average.network, kind, *held_out, group.device, bf16) if group.first else None)
        row["ema_validation_accuracy"] = round(averaged["accuracy"], 4)
        state.consider(averaged["accuracy"], averaged["loss"], average.network.state_dict())
    row["seconds"] = round(state.seconds(), 1)
    state.finish_epoch(row)
    return row


def finite(loss: float, epoch: int, checkpoints: Checkpoints) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch}: give a smaller --lr, with --no-resume; {checkpoints.kept()}"
        )


def save(checkpoints: Checkpoints, state: State, group: Group) -> None:
    """A checkpoint of now; but never of weights that are broken, which would push out the last good one."""
    finite(0.0 if state.finite() else math.nan, state.epoch, checkpoints)
    owned = group.gathered(state.own())
    if group.first:
        checkpoints.save(state.epoch, state.step, state.pack(owned))


if __name__ == "__main__":
    code = main()
    if int(os.environ.get("RANK", "0")):
        # gloo's threads can abort a process at its end: torchrun would then stop the first one, which still packages
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
