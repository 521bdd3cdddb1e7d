"""A network that trains until SIGTERM is there: a test need not be quicker with it than the training is with the rest.

HOLD in the environment is a file named as the step, of its process, at which it waits, which is made then.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


class Held(nn.Module):
    """With dropout, whose random numbers a checkpoint must carry."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.steps = 0
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(36, classes),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.steps += 1
            hold = os.environ.get("HOLD")
            if hold and self.steps == int(Path(hold).name):
                Path(hold).touch()
                wait_for_the_signal()
        return self.layers(image)


def wait_for_the_signal() -> None:
    """SIGTERM's handler is a method of the training's StopSignal. A busy machine may take long to send it."""
    stop, parent = signal.getsignal(signal.SIGTERM).__self__, os.getppid()
    while not stop.requested:
        if os.getppid() != parent:
            raise RuntimeError("whoever was to send SIGTERM has ended")
        time.sleep(0.02)
