"""The steps of a run, from where its state is to its last epoch, with validation, checkpoints, and stops."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from training.errors import TrainingError
from training.kinds.augment import mix
from training.kinds.kind import Inputs
from training.loop.checkpoint import Checkpoints, Reclaimed, StopSignal
from training.loop.differential_privacy import PrivacyEngine
from training.loop.distillation import blended
from training.loop.learner import Learner
from training.loop.prepared_data import PreparedData
from training.loop.process_group import ProcessGroup
from training.loop.state import State
from training.options import Augmentation, Settings
from training.report.evaluate import evaluate
from training.report.footprint import Footprint


class Loop:
    """run() does all of it; nothing here is kept that is not in the state."""

    def __init__(
        self,
        settings: Settings,
        prepared: PreparedData,
        learner: Learner,
        state: State,
        checkpoints: Checkpoints,
        group: ProcessGroup,
        footprint: Footprint,
    ) -> None:
        self.settings, self.prepared, self.learner, self.state = settings, prepared, learner, state
        self.checkpoints, self.group, self.footprint = checkpoints, group, footprint

    def run(self, stop: StopSignal) -> None:
        """Metrics go to metrics.jsonl and the screen. Raises Reclaimed after a stop, with a checkpoint of that step."""
        stop.waits = True
        optimization = self.settings.optimization
        with open(self.settings.output.out / "metrics.jsonl" if self.group.first else os.devnull, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in self.state.rows)
            while self.state.epoch <= optimization.epochs and not self.state.stalled(optimization.patience):
                self.train(stop)
                row = self.validate()
                file.write(json.dumps(row) + "\n")
                file.flush()
                if self.group.first:
                    print("  ".join(f"{key} {value}" for key, value in row.items()))
                self.save()
                if self.group.any(stop.requested)[0]:
                    raise Reclaimed
        stop.waits = False  # all is in the last checkpoint now

    def train(self, stop: StopSignal) -> None:
        """The steps of an epoch, or what is left of them."""
        optimization, state = self.settings.optimization, self.state
        steps = len(self.prepared) // optimization.batch
        self.learner.forward.train()
        if state.batches is None:
            state.batches = order(len(self.prepared), optimization.batch, state.random, self.learner.privacy)
        todo, title = state.batches[state.step :], f"epoch {state.epoch}/{optimization.epochs}"
        hidden = self.settings.machine.quiet or not self.group.first
        for batch in tqdm(todo, desc=title, initial=state.step, total=steps, disable=hidden or None, leave=False):
            self.step(self.group.part(batch))
            stopping, due = self.group.any(stop.requested, self.checkpoints.due())
            if stopping or due:
                self.save()
            if stopping:
                raise Reclaimed

    def step(self, indices: torch.Tensor) -> None:
        """indices: of this process's items of the batch."""
        state, learner, prepared = self.state, self.learner, self.prepared
        augmentation = self.settings.augmentation
        inputs = prepared.kind.augmented(prepared.inputs, indices, state.changes, augmentation)
        inputs, partner, own_share = mixed(inputs, state.changes, augmentation)
        inputs = {name: learner.to_device(value) for name, value in inputs.items()}
        labels = prepared.labels[indices]
        own, other = labels.to(learner.device), labels[partner].to(learner.device)
        bf16 = self.settings.machine.bf16
        with torch.autocast(torch.device(learner.device).type, torch.bfloat16, enabled=bf16):
            logits = learner.forward(*inputs.values())
            loss = self.loss(logits, inputs, own, other, own_share)
        finite(loss.item(), state.epoch, self.checkpoints)
        learner.step(loss)
        state.total += loss.item() * len(indices)
        state.right += int((logits.argmax(1) == own).sum())
        state.seen += len(indices)
        state.step += 1

    def loss(
        self, logits: torch.Tensor, inputs: Inputs, own: torch.Tensor, other: torch.Tensor, own_share: float
    ) -> torch.Tensor:
        """own, other: labels of the item, and of the one that it was mixed with; own_share: the weight of the first.

        The teacher sees the mixture.
        """
        smoothing, distillation = self.settings.optimization.label_smoothing, self.settings.distillation
        loss = functional.cross_entropy(logits, own, label_smoothing=smoothing)
        if own_share < 1:
            others = functional.cross_entropy(logits, other, label_smoothing=smoothing)
            loss = own_share * loss + (1 - own_share) * others
        if self.prepared.teacher:
            arrays = {name: value.cpu().numpy() for name, value in inputs.items()}
            answers = torch.from_numpy(self.prepared.teacher.logits(arrays)).to(self.learner.device)
            loss = blended(loss, logits, answers, distillation.temperature, distillation.teacher_share)
        return loss

    def validate(self) -> dict[str, Any]:
        """At the end of an epoch, which is noted: the row of metrics.jsonl."""
        state, average = self.state, self.learner.average
        total, right, seen = self.group.sums(state.total, state.right, state.seen)
        scores = self.validated(self.learner.network)
        finite(scores["loss"], state.epoch, self.checkpoints)
        row = {
            "epoch": state.epoch,
            "loss": round(total / seen, 4),
            "accuracy": round(right / seen, 4),
            "validation_loss": round(scores["loss"], 4),
            "validation_accuracy": round(scores["accuracy"], 4),
        }
        if average:
            row["ema_validation_accuracy"] = round(self.validated(average.network)["accuracy"], 4)
        row["seconds"] = round(state.seconds(), 1)
        state.finish_epoch(row)
        return row

    def validated(self, network: torch.nn.Module) -> dict[str, float]:
        """Loss and accuracy on the validation split, as the first process measures them; the best weights are kept."""
        kind, device, bf16 = self.prepared.kind, self.learner.device, self.settings.machine.bf16
        scores: dict[str, float] = self.group.broadcast(
            evaluate(network, kind, *self.prepared.validation, device, bf16) if self.group.first else None
        )
        self.state.consider(scores["accuracy"], scores["loss"], network.state_dict())
        return scores

    def save(self) -> None:
        """A checkpoint of now; but never of weights that are broken, which would push out the last good one."""
        finite(0.0 if self.state.finite() else math.nan, self.state.epoch, self.checkpoints)
        self.footprint.look(self.group.sums)
        owned = self.group.gather(self.state.own())
        if self.group.first:
            self.checkpoints.save(self.state.epoch, self.state.step, self.state.pack(owned))


def order(count: int, batch: int, generator: torch.Generator, privacy: PrivacyEngine | None) -> list[torch.Tensor]:
    """The batches of an epoch: each item once, without a last part; drawn at random in private training."""
    steps = count // batch
    if privacy:
        return privacy.batches(count, steps, generator)
    permuted: torch.Tensor = torch.randperm(count, generator=generator)[: steps * batch]
    return list(permuted.split(batch))


def mixed(inputs: Inputs, generator: torch.Generator, augmentation: Augmentation) -> tuple[Inputs, torch.Tensor, float]:
    """As augment.mix, which mixes numbers: texts are not asked for it."""
    name, value = next(iter(inputs.items()))
    mixture, partner, own_share = mix(value, generator, mixup=augmentation.mixup, cutmix=augmentation.cutmix)
    return inputs | {name: mixture}, partner, own_share


def finite(loss: float, epoch: int, checkpoints: Checkpoints) -> None:
    """Raises TrainingError."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch}: give a smaller --lr, with --no-resume; {checkpoints.summary()}"
        )
