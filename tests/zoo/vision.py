"""MobileNetV3-small and ResNet-18 of torchvision (BSD) with random weights: `python -m tests.zoo.vision NAME FILE`.

Run in the training environment. The weights do not matter for times, and pretrained ones would have to be downloaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torchvision import models

MADE = {"mobilenet": models.mobilenet_v3_small, "resnet18": models.resnet18}


def export(name: str, path: Path) -> None:
    torch.manual_seed(0)
    module = MADE[name](weights=None).eval()
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        module,
        (torch.zeros(2, 3, 224, 224),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=dynamic,
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.save(path, external_data=False)


if __name__ == "__main__":
    export(sys.argv[1], Path(sys.argv[2]))
