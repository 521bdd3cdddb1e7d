"""Train a classifier and package it: python -m training.train --data fashion-mnist --out build/fashion-mnist

Images, texts, sound or tables: a task (task.py), who learns it (learner.py), the loop (loop.py), test and package.
Stopped at any point, the same command goes on at that step. On several GPUs or machines:
torchrun --nproc-per-node=gpu -m training.train …
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import torch

from training import data as datasets
from training import export
from training.errors import TrainingError, out_of_memory
from training.loop import private, shortcuts
from training.loop.allocator import keep_memory
from training.loop.checkpoint import Checkpoints, Reclaimed, StopSignal, fingerprint
from training.loop.epochs import Loop
from training.loop.group import Group
from training.loop.learner import Learner, untrained
from training.loop.notes import notes
from training.loop.state import State
from training.loop.task import CLEANING, Task, find_task
from training.report import card, plots, quality
from training.report.evaluate import outputs
from training.report.footprint import Footprint
from training.settings import check, reading, recipe, settings

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
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        there = Checkpoints(s.checkpoint, {}, 0).kept()
        print(f"training: memory ran out: give a smaller --batch, with --no-resume; {there}", file=sys.stderr)
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
    reproducible(s)
    if s.epsilon:
        private.check(s, group.size)
    random = private.entropy() if s.epsilon else torch.Generator().manual_seed(s.seed)
    started, footprint = time.perf_counter(), Footprint(group.device, s.price)

    task = find_task(s, group)
    say(f"{task.data.about['name']}: {len(task):,} to train on, {len(task.data.validation[1]):,} to validate, "
        f"{len(task.data.test[1]):,} to test; dropped: {task.data.dropped() or 'none'}")  # fmt: skip
    for note in notes(s, task):
        say(note)
    s.out.mkdir(parents=True, exist_ok=True)
    datasets.write(task.data.report, s.out / CLEANING)
    network, described = untrained(s, task)
    checkpoints = Checkpoints(s.checkpoint, fingerprint(s, task.data, group.size, task.taught_by), s.checkpoint_minutes)
    saved = group.told(checkpoints.load(s.resume) if group.first else None)
    decided = group.told(shortcuts_of(s, saved, network, task, group) if group.first else None)
    for line in shortcuts.lines(decided, begun=bool(saved)):
        say(line)
    s = shortcuts.applied(s, decided)
    learner = Learner(s, task, group, random, network)
    torch.manual_seed(s.seed + group.rank)  # the first weights are everybody's, dropout is not

    changes = torch.Generator().manual_seed(s.seed + 1 + group.rank)
    state = State(
        learner.network, learner.optimizer, learner.schedule, random, changes,
        average=learner.average, privacy=learner.privacy, footprint=footprint,
    )  # fmt: skip
    state.started, state.shortcuts = started, decided
    if saved:
        state.unpack(saved, group.rank)
        say(f"continues in epoch {state.epoch} after step {state.step} of {len(task) // s.batch}")

    Loop(s, task, learner, state, checkpoints, group, footprint).run(stop)
    if not group.first:
        return
    if state.epoch <= s.epochs:
        print(f"stopped early: no progress in {s.patience} epochs, the best was epoch {state.best_epoch}")
    metrics = tested(s, task, learner, state)
    print(f"test accuracy {metrics['test_accuracy']:.2%}, with the weights of epoch {state.best_epoch}")
    metrics |= {"footprint": footprint.taken(), **({"privacy": learner.privacy.spent()} if learner.privacy else {})}
    trained = recipe(s, described, task.kind.name) | shortcuts.noted(decided)
    told = card.Told(name, trained, reading(s), s.licence, s.intended_use, task.taught_by)
    export.package(learner.network, task.data, task.kind, s.out, metrics, told)
    checkpoints.clear()  # nothing is left to continue: the same command trains anew
    print(f"packaged in {s.out} after {state.seconds():.0f} s")


def shortcuts_of(
    s: argparse.Namespace, saved: dict[str, Any] | None, network: torch.nn.Module, task: Task, group: Group
) -> shortcuts.Tried:
    """As the run began that is continued; checkpoints of before used whatever was asked for. Else as measured now."""
    if saved is None:
        return shortcuts.tried(s, network, task, group.device, group.size)
    begun: shortcuts.Tried = saved.get("shortcuts", {})
    return begun


def reproducible(s: argparse.Namespace) -> None:
    torch.manual_seed(s.seed)
    torch.backends.cudnn.deterministic = True  # a GPU would choose its convolutions by a race
    if s.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no fixed order of sums
    torch.use_deterministic_algorithms(s.deterministic)


def tested(s: argparse.Namespace, task: Task, learner: Learner, state: State) -> dict[str, Any]:
    """Once, with the weights that did best on the validation set, which the network has from here on; with pictures."""
    learner.network.load_state_dict(state.best_weights)
    learner.network = learner.network.to("cpu", memory_format=torch.contiguous_format)
    logits = outputs(learner.network, task.kind, task.tested[0], "cpu")
    labels = task.tested[1]
    found = quality.measured(logits, labels, task.data.labels)
    plots.curves(state.rows, s.out / "curves.png", state.best_epoch)
    plots.confusion(quality.confusion(logits, labels), task.data.labels, s.out / "confusion.png")
    plots.calibration(quality.calibration(quality.softmax(logits), labels), s.out / "calibration.png")
    return {
        "test_accuracy": round(found["accuracy"], 4),
        "test_interval": [round(v, 4) for v in found["interval"]],
        "test_loss": round(found["loss"], 4),
        "test_recall": {label: one["recall"] for label, one in found["classes"].items()},
        "test_classes": found["classes"],
        "test_macro_f1": round(found["macro_f1"], 4),
        "test_calibration_error": round(found["calibration_error"], 4),
        "test_slices": quality.slices(task.kind.features(task.data.test[0]), logits.argmax(1) == labels),
        "validation_accuracy": round(state.best, 4),
        "best_epoch": state.best_epoch,
        "parameters": sum(p.numel() for p in learner.network.parameters()),
    }


if __name__ == "__main__":
    code = main()
    if int(os.environ.get("RANK", "0")):
        # gloo's threads can abort a process at its end: torchrun would then stop the first one, which still packages
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
