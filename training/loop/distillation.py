"""Learning from another network's answers (Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Network)."""

from __future__ import annotations

import torch
from torch.nn import functional

TEMPERATURE, ALPHA = 4.0, 0.5


def blended(
    loss: torch.Tensor,
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    temperature: float = TEMPERATURE,
    alpha: float = ALPHA,
) -> torch.Tensor:
    """alpha of the divergence from the teacher's softened scores, the rest of the loss with the labels.

    logits, taught: [N, classes], the student's and the teacher's. The divergence (Kullback and Leibler's) is multiplied
    by temperature², so that its gradients stay as large as those of the labels.
    """
    soft = functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(teacher_logits / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * (temperature**2 * soft) + (1 - alpha) * loss
