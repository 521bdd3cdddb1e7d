"""What a network answers to a split, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from training.kinds.kind import Inputs, Kind

TOGETHER = 512  # items that are evaluated at once


@torch.no_grad()
def outputs(network: torch.nn.Module, kind: Kind, encoded: Inputs, device: str, bf16: bool = False) -> np.ndarray:
    """Logits [N, classes] of all that is stored. bf16: computed as in training, in half of the time."""
    network.eval()
    count, logits = len(next(iter(encoded.values()))), list[np.ndarray]()
    for start in range(0, count, TOGETHER):
        inputs = kind.inputs(encoded, slice(start, start + TOGETHER))
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            logits.append(network(*(value.to(device) for value in inputs.values())).float().cpu().numpy())
    return np.concatenate(logits)


def evaluate(
    network: torch.nn.Module, kind: Kind, encoded: Inputs, labels: np.ndarray, device: str, bf16: bool = False
) -> dict[str, float]:
    """Mean loss and accuracy on a split."""
    logits = torch.from_numpy(outputs(network, kind, encoded, device, bf16))
    target = torch.from_numpy(labels)
    return {
        "loss": float(functional.cross_entropy(logits, target)),
        "accuracy": float((logits.argmax(1) == target).float().mean()),
    }
