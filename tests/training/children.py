"""Training runs in processes of their own, forked from one that has imported PyTorch already; they can be killed."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the first optimizer would import it, three seconds in every process
from torch import nn

from training import export, train
from training.loop import checkpoint, epochs

Kill = tuple[str, int]  # at which kind of moment, and the how-manieth of them
ROOT = Path(__file__).resolve().parents[2]


class Noisy(nn.Module):
    """A network with all that a checkpoint must carry: BatchNorm's statistics, and dropout's random numbers."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(36, classes),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


@functools.cache
def server() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # Python 3.11 does not hand sys.path on to its fork server
    forkserver.ensure_running()
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before
    return context


def run(arguments: list[str], out: Path, kill: Kill | None = None) -> tuple[int, str]:
    """(exit code, what it printed). The final weights are in out/weights.pt instead of a package."""
    process = server().Process(target=_child, args=([*arguments, "--out", str(out)], out, kill))
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the training hangs: {(out / 'printed.txt').read_text()}")
    return process.exitcode, (out / "printed.txt").read_text()


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / "weights.pt", weights_only=True)


def _child(arguments: list[str], out: Path, kill: Kill | None) -> None:
    torch.set_num_threads(1)  # two would only wait for each other on images this small
    out.mkdir(exist_ok=True)
    sys.stdout = sys.stderr = (out / "printed.txt").open("w", buffering=1)
    if kill:
        MOMENTS[kill[0]](kill[1])
    export.to_onnx = lambda *_: b""
    export.package = lambda network, *_, **__: torch.save(network.state_dict(), out / "weights.pt")
    sys.exit(train.main(arguments))


def _at_call(place: Any, name: str, count: int, act: Callable[..., None]) -> None:
    """Have `act` called, with the same arguments, before the count-th call of a function."""
    function, calls = getattr(place, name), []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            act(*arguments)
        return function(*arguments, **named)

    setattr(place, name, counted)


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_halfway(file: int) -> None:
    """As if the process had been killed with half of the checkpoint written."""
    os.ftruncate(file, os.fstat(file).st_size // 2)
    _die()


MOMENTS: dict[str, Callable[[int], None]] = {
    "step": lambda n: _at_call(epochs, "mix", n, _die),
    "write": lambda n: _at_call(checkpoint.os, "fsync", 2 * n - 1, _die_halfway),  # a file's, then its folder's
    "rename": lambda n: _at_call(checkpoint.os, "replace", n, _die),
    "clean-up": lambda n: _at_call(checkpoint.os, "fsync", 2 * n, _die),
    "validation": lambda n: _at_call(epochs, "evaluate", n, _die),
    "SIGTERM": lambda n: _at_call(epochs, "mix", n, lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)),
}
