"""--bf16, --channels-last, --compile: used where steps are faster with them here, which is measured before the first.

Each has processors on which it costs: one without bfloat16 emulates it and takes eight times as long. So what was
asked for is tried for about a second, on the real network and a real batch, in turns with and without. A run that goes
on from a checkpoint does as it began, wherever it goes on: else its weights would be others.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from training.errors import out_of_memory
from training.loop.task import Task

NAMES = ("channels_last", "bf16", "compile")  # in the order in which each is tried on top of those that pay
SECONDS, LEAST = 1.0, 3  # of a trial, and pairs of steps in it
PAYS = 0.97  # of the time without, from which on it is worth another rounding
Tried = dict[str, dict[str, Any]]


def tried(s: argparse.Namespace, network: torch.nn.Module, task: Task, device: str, share: int = 1) -> Tried:
    """What was asked for, with `used`, and where it was measured the milliseconds of a step `with` and `without` it.

    network: stays as it is, and so do PyTorch's random numbers. share: processes that share a batch.
    """
    decided: Tried = {}
    chosen = applied(s, {name: {"used": False} for name in NAMES})
    for name in (name for name in NAMES if getattr(s, name)):
        more = argparse.Namespace(**{**vars(chosen), name: getattr(s, name)})
        decided[name] = _trial(name, chosen, more, network, task, device, share) if s.measure else {"used": True}
        chosen = more if decided[name]["used"] else chosen
    return decided


def applied(s: argparse.Namespace, decided: Tried) -> argparse.Namespace:
    """The settings, without what is not used. decided: empty in a checkpoint of before, which used what was asked."""
    off = {name: None if name == "compile" else False for name, one in decided.items() if not one["used"]}
    return argparse.Namespace(**{**vars(s), **off})


def lines(decided: Tried, *, begun: bool = False) -> list[str]:
    """For the one who has started it. begun: by a run that this one continues."""
    since = ", as when the run began" if begun else ""
    return [f"--{name.replace('_', '-')}: {_sentence(one)}{since}" for name, one in decided.items()]


def noted(decided: Tried) -> dict[str, str]:
    """For recipe and card: what was asked for and is not used."""
    left = [f"{name} ({_sentence(one)})" for name, one in decided.items() if not one["used"]]
    return {"asked_for": "; ".join(left)} if left else {}


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


def _trial(
    name: str, without: argparse.Namespace, more: argparse.Namespace, network: torch.nn.Module, task: Task,
    device: str, share: int,
) -> dict[str, Any]:  # fmt: skip
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        try:
            steps = [_step(one, network, task, device, share) for one in (without, more)]
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
        after += 1000 * first / max(1, more.epochs * (len(task) // more.batch))
    return {"used": after < PAYS * before, **figures}


def _step(s: argparse.Namespace, network: torch.nn.Module, task: Task, device: str, share: int) -> Callable[[], None]:
    """Forward and backward of a copy, on the first items; the optimiser's part is the same with and without."""
    layout = torch.channels_last if s.channels_last else torch.contiguous_format
    ours = copy.deepcopy(network).to(device, memory_format=layout).train()
    forward = torch.compile(ours, backend=s.compile) if s.compile else ours
    items = slice(0, max(1, s.batch // share))
    inputs = [
        value.to(device, memory_format=layout) if value.ndim == 4 else value.to(device)
        for value in task.kind.inputs(task.x, items).values()
    ]
    target = task.y[items].to(device)

    def step() -> None:
        ours.zero_grad(set_to_none=True)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=s.bf16):
            loss = functional.cross_entropy(forward(*inputs), target)
        loss.backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return step


def _milliseconds(without: Callable[[], None], more: Callable[[], None]) -> tuple[float, float]:
    """Medians of steps in turns, so that whatever else the machine does meets both."""
    taken: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(taken[1]) < LEAST or time.perf_counter() - began < SECONDS:
        for step, times in zip((without, more), taken, strict=True):
            started = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[0]), statistics.median(taken[1])
