"""Which weights become zero, and when."""

from __future__ import annotations

import pytest
import torch

from training.compress import magnitude_pruning


def test_zeros_become_more_along_a_cube() -> None:
    assert magnitude_pruning.scheduled(0, 0.8) == 0
    assert magnitude_pruning.scheduled(magnitude_pruning.RAMP / 2, 0.8) == pytest.approx(0.8 * (1 - 0.5**3))
    assert (
        magnitude_pruning.scheduled(magnitude_pruning.RAMP, 0.8)
        == magnitude_pruning.scheduled(1, 0.8)
        == pytest.approx(0.8)
    )
    layer = torch.nn.Linear(40, 25)
    zeros = magnitude_pruning.Zeros([layer], 0.8)
    largest = layer.weight.detach().abs().flatten().topk(200).indices
    shares = []
    for step in range(1, 101):
        zeros(step / 100)
        shares.append(zeros.share())
        layer.weight.data.add_(0.001 * layer.weight.sign())  # an optimizer's step
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.8)
    assert (layer.weight.flatten()[largest] != 0).all()
