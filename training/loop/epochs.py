"""The steps of a run, from where its state is to its last epoch, with validation, checkpoints, and stops."""

from __future__ import annotations

import argparse
import json
import math
import os
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from training.errors import TrainingError
from training.kinds import Inputs
from training.kinds.augment import mix
from training.loop.checkpoint import Checkpoints, Reclaimed, StopSignal
from training.loop.distillation import blended
from training.loop.group import Group
from training.loop.learner import Learner
from training.loop.private import Privacy
from training.loop.state import State
from training.loop.task import Task
from training.report.evaluate import evaluate
from training.report.footprint import Footprint


class Loop:
    """run() does all of it; nothing here is kept that is not in the state."""

    def __init__(
        self, s: argparse.Namespace, task: Task, learner: Learner, state: State, checkpoints: Checkpoints, group: Group,
        footprint: Footprint,
    ) -> None:  # fmt: skip
        self.s, self.task, self.learner, self.state = s, task, learner, state
        self.checkpoints, self.group, self.footprint = checkpoints, group, footprint

    def run(self, stop: StopSignal) -> None:
        """Metrics go to metrics.jsonl and the screen. Raises Reclaimed after a stop, with a checkpoint of that step."""
        stop.waits = True
        with open(self.s.out / "metrics.jsonl" if self.group.first else os.devnull, "w") as log:
            log.writelines(json.dumps(row) + "\n" for row in self.state.rows)
            while self.state.epoch <= self.s.epochs and not self.state.stalled(self.s.patience):
                self.train(stop)
                row = self.validate()
                log.write(json.dumps(row) + "\n")
                log.flush()
                if self.group.first:
                    print("  ".join(f"{key} {value}" for key, value in row.items()))
                self.save()
                if self.group.any(stop.asked)[0]:
                    raise Reclaimed
        stop.waits = False  # all is in the last checkpoint now

    def train(self, stop: StopSignal) -> None:
        """The steps of an epoch, or what is left of them."""
        s, state, steps = self.s, self.state, len(self.task) // self.s.batch
        self.learner.forward.train()
        if state.batches is None:
            state.batches = order(len(self.task), s.batch, state.random, self.learner.privacy)
        todo, title = state.batches[state.step :], f"epoch {state.epoch}/{s.epochs}"
        hidden = s.quiet or not self.group.first
        for batch in tqdm(todo, desc=title, initial=state.step, total=steps, disable=hidden or None, leave=False):
            self.step(self.group.part(batch))
            asked, due = self.group.any(stop.asked, self.checkpoints.due())
            if asked or due:
                self.save()
            if asked:
                raise Reclaimed

    def step(self, mine: torch.Tensor) -> None:
        """mine: the indices of this process's items of the batch."""
        state, learner = self.state, self.learner
        inputs = self.task.kind.augmented(self.task.x, mine, state.changes, self.s)
        inputs, partner, own = mixed(inputs, state.changes, self.s)
        inputs = {put: learner.put(value) for put, value in inputs.items()}
        target, other = self.task.y[mine].to(learner.device), self.task.y[mine][partner].to(learner.device)
        with torch.autocast(torch.device(learner.device).type, torch.bfloat16, enabled=self.s.bf16):
            logits = learner.forward(*inputs.values())
            loss = self.loss(logits, inputs, target, other, own)
        finite(loss.item(), state.epoch, self.checkpoints)
        learner.step(loss)
        state.total += loss.item() * len(mine)
        state.right += int((logits.argmax(1) == target).sum())
        state.seen += len(mine)
        state.step += 1

    def loss(
        self, logits: torch.Tensor, inputs: Inputs, target: torch.Tensor, other: torch.Tensor, own: float
    ) -> torch.Tensor:
        """own: what the item's label counts beside the other's that it was mixed with. The teacher sees the mixture."""
        s = self.s
        loss = functional.cross_entropy(logits, target, label_smoothing=s.label_smoothing)
        if own < 1:
            foreign = functional.cross_entropy(logits, other, label_smoothing=s.label_smoothing)
            loss = own * loss + (1 - own) * foreign
        if self.task.teacher:
            taught = torch.from_numpy(self.task.teacher.logits({p: v.cpu().numpy() for p, v in inputs.items()}))
            loss = blended(loss, logits, taught.to(self.learner.device), s.temperature, s.teacher_share)
        return loss

    def validate(self) -> dict[str, Any]:
        """At the end of an epoch, which is noted: the row of metrics.jsonl."""
        state, average = self.state, self.learner.average
        total, right, seen = self.group.sums(state.total, state.right, state.seen)
        found = self.judged(self.learner.network)
        finite(found["loss"], state.epoch, self.checkpoints)
        row = {
            "epoch": state.epoch, "loss": round(total / seen, 4), "accuracy": round(right / seen, 4),
            "validation_loss": round(found["loss"], 4), "validation_accuracy": round(found["accuracy"], 4),
        }  # fmt: skip
        if average:
            row["ema_validation_accuracy"] = round(self.judged(average.network)["accuracy"], 4)
        row["seconds"] = round(state.seconds(), 1)
        state.finish_epoch(row)
        return row

    def judged(self, network: torch.nn.Module) -> dict[str, float]:
        """Loss and accuracy on the validation split, as the first process finds them; the best weights are kept."""
        kind, device, bf16 = self.task.kind, self.learner.device, self.s.bf16
        found: dict[str, float] = self.group.told(
            evaluate(network, kind, *self.task.held_out, device, bf16) if self.group.first else None
        )
        self.state.consider(found["accuracy"], found["loss"], network.state_dict())
        return found

    def save(self) -> None:
        """A checkpoint of now; but never of weights that are broken, which would push out the last good one."""
        finite(0.0 if self.state.finite() else math.nan, self.state.epoch, self.checkpoints)
        self.footprint.look(self.group.sums)
        owned = self.group.gathered(self.state.own())
        if self.group.first:
            self.checkpoints.save(self.state.epoch, self.state.step, self.state.pack(owned))


def order(count: int, batch: int, random: torch.Generator, privacy: Privacy | None) -> list[torch.Tensor]:
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


def finite(loss: float, epoch: int, checkpoints: Checkpoints) -> None:
    """Raises TrainingError."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch}: give a smaller --lr, with --no-resume; {checkpoints.kept()}"
        )
