"""What a network answers to a split, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from training.kinds import Inputs, Kind

TOGETHER = 512  # items that are evaluated at once


@torch.no_grad()
def outputs(network: torch.nn.Module, kind: Kind, stored: Inputs, device: str, bf16: bool = False) -> np.ndarray:
    """Logits [N, classes] of all that is stored. bf16: computed as in training, in half of the time."""
    network.eval()
    count, found = len(next(iter(stored.values()))), []
    for start in range(0, count, TOGETHER):
        made = kind.inputs(stored, slice(start, start + TOGETHER))
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            found.append(network(*(value.to(device) for value in made.values())).float().cpu().numpy())
    return np.concatenate(found)


def evaluate(
    network: torch.nn.Module, kind: Kind, stored: Inputs, labels: np.ndarray, device: str, bf16: bool = False
) -> dict[str, float]:
    """Mean loss and accuracy on a split."""
    logits = torch.from_numpy(outputs(network, kind, stored, device, bf16))
    target = torch.from_numpy(labels)
    return {
        "loss": float(functional.cross_entropy(logits, target)),
        "accuracy": float((logits.argmax(1) == target).float().mean()),
    }
