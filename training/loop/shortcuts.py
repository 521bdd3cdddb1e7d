"""--bf16, --channels-last, --compile: used where steps are faster with them here, which is measured before the first.

Each has processors on which it costs: one without bfloat16 emulates it and takes eight times as long. So what was
asked for is timed for about a second, on the real network and a real batch, in turns with and without. A run that
continues from a checkpoint does as it began, wherever it continues: else its weights would be others.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from training.errors import out_of_memory
from training.loop.prepared_data import PreparedData
from training.options import Machine, Settings

NAMES = ("channels_last", "bf16", "compile")  # in the order in which each is tried on top of those that pay
SECONDS, FEWEST = 1.0, 3  # of a trial, and pairs of steps in it
PAYS = 0.97  # of the time without, from which on it is worth another rounding
Decisions = dict[str, dict[str, Any]]  # by option


@dataclass(frozen=True)
class Subject:
    """What steps are timed on. batch: items of this process. steps: of the whole run."""

    network: torch.nn.Module
    prepared: PreparedData
    device: str
    batch: int
    steps: int


def decide(
    settings: Settings, network: torch.nn.Module, prepared: PreparedData, device: str, processes: int = 1
) -> Decisions:
    """What was asked for, with `used`, and where it was measured the milliseconds of a step `with` and `without` it.

    network: stays as it is, and so do PyTorch's random numbers. processes: that share a batch.
    """
    optimization, requested = settings.optimization, settings.machine
    steps = optimization.epochs * (len(prepared) // optimization.batch)
    subject = Subject(network, prepared, device, max(1, optimization.batch // processes), steps)
    decisions: Decisions = {}
    machine = replace(requested, channels_last=False, bf16=False, compile=None)
    for name in (name for name in NAMES if getattr(requested, name)):
        one: dict[str, Any] = {name: getattr(requested, name)}
        more = replace(machine, **one)
        decisions[name] = _trial(name, machine, more, subject) if requested.measure else {"used": True}
        machine = more if decisions[name]["used"] else machine
    return decisions


def applied(settings: Settings, decisions: Decisions) -> Settings:
    """The settings, without what is not used. decisions: empty in an older checkpoint, which used what was asked."""
    off: dict[str, Any] = {
        name: None if name == "compile" else False for name, one in decisions.items() if not one["used"]
    }
    return replace(settings, machine=replace(settings.machine, **off))


def lines(decisions: Decisions, *, begun: bool = False) -> list[str]:
    """For the user. begun: decided by a run that this one continues."""
    since = ", as when the run began" if begun else ""
    return [f"--{name.replace('_', '-')}: {_sentence(one)}{since}" for name, one in decisions.items()]


def unused(decisions: Decisions) -> dict[str, str]:
    """For recipe and card: what was asked for and is not used."""
    sentences = [f"{name} ({_sentence(one)})" for name, one in decisions.items() if not one["used"]]
    return {"asked_for": "; ".join(sentences)} if sentences else {}


def _sentence(one: dict[str, Any]) -> str:
    if "reason" in one:
        return f"not used, {one['reason']}"
    if "with" not in one:
        return "used, unmeasured"
    first = f", and {one['first_seconds']:.0f} s to begin with" if "first_seconds" in one else ""
    return (
        f"{'used' if one['used'] else 'not used'}, a step takes {one['with']:.3g} ms with it{first}, "
        f"{one['without']:.3g} ms without"
    )


def _trial(name: str, without: Machine, more: Machine, subject: Subject) -> dict[str, Any]:
    devices = [torch.device(subject.device)] if subject.device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        try:
            steps = [_step(machine, subject) for machine in (without, more)]
            steps[0]()
            began = time.perf_counter()
            steps[1]()
            first = time.perf_counter() - began
            before, after = _milliseconds(*steps)
        except Exception as error:  # a backend raises anything
            if out_of_memory(error):
                raise
            text = next(iter(str(error).strip().splitlines()), type(error).__name__)
            return {"used": False, "reason": f"it does not work here ({text[:200]})"}
    figures: dict[str, Any] = {"with": float(f"{after:.3g}"), "without": float(f"{before:.3g}")}
    if name == "compile":  # which has to be regained in the steps to come
        figures["first_seconds"] = float(f"{first:.3g}")
        after += 1000 * first / max(1, subject.steps)
    return {"used": after < PAYS * before, **figures}


def _step(machine: Machine, subject: Subject) -> Callable[[], None]:
    """Forward and backward of a copy, on the first items; the optimizer's part is the same with and without."""
    device, prepared = subject.device, subject.prepared
    layout = torch.channels_last if machine.channels_last else torch.contiguous_format
    network = copy.deepcopy(subject.network).to(device).to(memory_format=layout).train()
    forward: Any = torch.compile(network, backend=machine.compile) if machine.compile else network
    items = slice(0, subject.batch)
    inputs = [
        value.to(device, memory_format=layout) if value.ndim == 4 else value.to(device)
        for value in prepared.kind.inputs(prepared.inputs, items).values()
    ]
    labels = prepared.labels[items].to(device)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=machine.bf16):
            loss = functional.cross_entropy(forward(*inputs), labels)
        loss.backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return step


def _milliseconds(without: Callable[[], None], more: Callable[[], None]) -> tuple[float, float]:
    """Medians of steps in turns, so that whatever else the machine does meets both."""
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(times[1]) < FEWEST or time.perf_counter() - began < SECONDS:
        for step, milliseconds in zip((without, more), times, strict=True):
            started = time.perf_counter()
            step()
            milliseconds.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[0]), statistics.median(times[1])
