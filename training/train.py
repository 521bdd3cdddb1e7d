"""Train a classifier and package it: python -m training.train --data fashion-mnist --out build/fashion-mnist

Images, texts, sound or tables: settings (options.py, settings.py), the data (loop/prepared_data.py), who learns it
(loop/learner.py), the epochs (loop/epochs.py), test and pictures (report/), the package (export.py).
Stopped at any point, the same command goes on at that step. On several GPUs or machines:
torchrun --nproc-per-node=gpu -m training.train …
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from training import export
from training.data import dataset as datasets
from training.errors import AGAIN, Advice, exit_code
from training.loop import differential_privacy, shortcuts
from training.loop.checkpoint import Checkpoints, Reclaimed, StopSignal, fingerprint
from training.loop.epochs import Loop
from training.loop.learner import Learner, untrained
from training.loop.malloc import keep_memory
from training.loop.prepared_data import CLEANING, PreparedData, prepare
from training.loop.process_group import ProcessGroup
from training.loop.startup_notes import notes
from training.loop.state import State
from training.options import Settings
from training.report import plots, quality
from training.report.card import ITEMS, Statement
from training.report.evaluate import outputs
from training.report.footprint import Footprint
from training.settings import check, recipe, settings

Say = Callable[[str], None]


def main(arguments: list[str] | None = None) -> int:
    chosen = settings(arguments, __doc__)
    keep_memory()

    def act() -> None:
        with StopSignal() as stop, ProcessGroup(chosen.machine.device) as group:
            train(chosen, stop, group)

    checkpoints = Checkpoints(chosen.checkpointing.checkpoint, {}, 0)
    advice = Advice(
        file=lambda _: continuation(checkpoints),
        memory=lambda: f": give a smaller --batch, with --no-resume; {checkpoints.summary()}",
        interrupt=lambda: f", nothing was packaged; {continuation(checkpoints)}",
    )
    try:
        return exit_code("training", act, advice)
    except Reclaimed:
        print(f"training: stopped by SIGTERM; {continuation(checkpoints)}", file=sys.stderr)
        return AGAIN


def continuation(checkpoints: Checkpoints) -> str:
    return checkpoints.summary() + (": the same command continues there" if checkpoints.files() else "")


def train(chosen: Settings, stop: StopSignal, group: ProcessGroup) -> None:
    """From the data to the package. Raises TrainingError, Reclaimed."""
    name = check(chosen)
    group.check(chosen.optimization.batch)
    say: Say = print if group.first else lambda _: None
    reproducible(chosen)
    if chosen.privacy.epsilon:
        differential_privacy.check(chosen, group.size)
    started, footprint = time.perf_counter(), Footprint(group.device, chosen.output.price)

    prepared, chosen = prepare(chosen, group)
    announce(chosen, prepared, say)
    network, description = untrained(chosen, prepared)
    identity = fingerprint(chosen, prepared.data, group.size, prepared.teacher_reference)
    checkpoints = Checkpoints(chosen.checkpointing.checkpoint, identity, chosen.checkpointing.checkpoint_minutes)
    saved = group.broadcast(checkpoints.load(chosen.checkpointing.resume) if group.first else None)
    decisions = group.broadcast(decide(chosen, saved, network, prepared, group) if group.first else None)
    for line in shortcuts.lines(decisions, begun=bool(saved)):
        say(line)
    chosen = shortcuts.applied(chosen, decisions)
    learner, state = begin(chosen, prepared, group, network, footprint)
    state.started, state.shortcuts = started, decisions
    if saved:
        state.unpack(saved, group.rank)
        steps = len(prepared) // chosen.optimization.batch
        say(f"continues in epoch {state.epoch} after step {state.step} of {steps}")

    Loop(chosen, prepared, learner, state, checkpoints, group, footprint).run(stop)
    if group.first:
        recorded = recipe(chosen, description, prepared.kind.name) | shortcuts.unused(decisions)
        finish(chosen, prepared, learner, state, statement(chosen, prepared, name, recorded))
        checkpoints.clear()  # nothing is left to continue: the same command trains anew
        print(f"packaged in {chosen.output.out} after {state.seconds():.0f} s")


def reproducible(chosen: Settings) -> None:
    torch.manual_seed(chosen.machine.seed)
    torch.backends.cudnn.deterministic = True  # a GPU would choose its convolutions by a race
    if chosen.machine.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no fixed order of sums
    torch.use_deterministic_algorithms(chosen.machine.deterministic)


def announce(chosen: Settings, prepared: PreparedData, say: Say) -> None:
    """What there is to learn from, on the screen, and in cleaning.json what was dropped."""
    data = prepared.data
    say(
        f"{data.about['name']}: {len(prepared):,} to train on, {len(data.validation[1]):,} to validate, "
        f"{len(data.test[1]):,} to test; dropped: {data.dropped() or 'none'}"
    )
    for note in notes(chosen, prepared):
        say(note)
    chosen.output.out.mkdir(parents=True, exist_ok=True)
    datasets.write(data.report, chosen.output.out / CLEANING)


def decide(
    chosen: Settings,
    saved: dict[str, Any] | None,
    network: torch.nn.Module,
    prepared: PreparedData,
    group: ProcessGroup,
) -> shortcuts.Decisions:
    """As the run that is continued began (older checkpoints used all that was asked for); else as measured now."""
    if saved is None:
        return shortcuts.decide(chosen, network, prepared, group.device, group.size)
    begun: shortcuts.Decisions = saved.get("shortcuts", {})
    return begun


def begin(
    chosen: Settings, prepared: PreparedData, group: ProcessGroup, network: torch.nn.Module, footprint: Footprint
) -> tuple[Learner, State]:
    """The state before the first step. The first weights are the same in each process, dropout is not."""
    seed = chosen.machine.seed
    private = chosen.privacy.epsilon is not None
    generator = differential_privacy.entropy() if private else torch.Generator().manual_seed(seed)
    learner = Learner(chosen, prepared, group, generator, network)
    torch.manual_seed(seed + group.rank)
    state = State(
        learner.network,
        learner.optimizer,
        learner.schedule,
        random=generator,
        changes=torch.Generator().manual_seed(seed + 1 + group.rank),
        average=learner.average,
        privacy=learner.privacy,
        footprint=footprint,
    )
    return learner, state


def statement(chosen: Settings, prepared: PreparedData, name: str, recorded: dict[str, Any]) -> Statement:
    output = chosen.output
    return Statement(
        name, recorded, chosen.data.reading(), output.licence, output.intended_use, prepared.teacher_reference
    )


def finish(chosen: Settings, prepared: PreparedData, learner: Learner, state: State, described: Statement) -> None:
    """Test the best weights, and write the package. Raises TrainingError."""
    optimization = chosen.optimization
    if state.epoch <= optimization.epochs:
        print(f"stopped early: no progress in {optimization.patience} epochs, the best was epoch {state.best_epoch}")
    metrics = tested(chosen, prepared, learner, state)
    print(f"test accuracy {metrics['test_accuracy']:.2%}, with the weights of epoch {state.best_epoch}")
    validation = (metrics["validation_accuracy"], len(prepared.validation[1]))
    for sentence in quality.cautions(metrics, validation, ITEMS[prepared.kind.name]):
        print(sentence)
    footprint = state.counted["footprint"]
    assert isinstance(footprint, Footprint)
    metrics |= {"footprint": footprint.taken()}
    metrics |= {"privacy": learner.privacy.spent()} if learner.privacy else {}
    export.package(learner.network, prepared.data, prepared.kind, chosen.output.out, metrics, described)


def tested(chosen: Settings, prepared: PreparedData, learner: Learner, state: State) -> dict[str, Any]:
    """Once, with the weights that did best on the validation set, which the network has from here on; with pictures."""
    learner.network.load_state_dict(state.best_weights)
    learner.network = learner.network.to("cpu").to(memory_format=torch.contiguous_format)
    labels, out = prepared.test[1], chosen.output.out
    logits = outputs(learner.network, prepared.kind, prepared.test[0], "cpu")
    scores = quality.measured(logits, labels, prepared.data.labels)
    plots.curves(state.rows, out / "curves.png", state.best_epoch)
    plots.confusion(quality.confusion(logits, labels), prepared.data.labels, out / "confusion.png")
    plots.calibration(quality.calibration(quality.softmax(logits), labels), out / "calibration.png")
    features = prepared.kind.features(prepared.data.test[0])
    return {
        "test_accuracy": round(scores["accuracy"], 4),
        "test_interval": [round(v, 4) for v in scores["interval"]],
        "test_loss": round(scores["loss"], 4),
        "test_recall": {label: one["recall"] for label, one in scores["classes"].items()},
        "test_classes": scores["classes"],
        "test_macro_f1": round(scores["macro_f1"], 4),
        "test_calibration_error": round(scores["calibration_error"], 4),
        "test_slices": quality.slices(features, logits.argmax(1) == labels),
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
