"""The classic tutorial's training of a CNN on Fashion-MNIST, as plainly as it is written there: for training.md.

python -m bench.tutorial --out build/tutorial. SGD with a rate of 0.01, 64 images a step, ten passes over the 60,000
training images, pixels from 0 to 1, tested after each pass: no momentum, schedule, augmentation or BatchNorm.
The images lie in memory as tensors; the tutorial's loader, which makes them one by one, would take longer.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from training.data.named import fashion_mnist
from training.networks.images import TutorialCNN

CACHE = Path.home() / ".cache" / "amaas"
BATCH, RATE, SHAPE, CLASSES = 64, 0.01, (1, 28, 28), 10


def main() -> None:
    """Prints a line of JSON per epoch: seconds of training so far, without tests, and accuracy on all test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets model.onnx and epochs.json")
    parser.add_argument("--root", type=Path, default=CACHE, help="where the data set is kept")
    parser.add_argument("--epochs", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--images", type=int, help="only so many, for a try-out")
    options = parser.parse_args()
    torch.manual_seed(0)
    splits = fashion_mnist.load(options.root)
    images, labels = (torch.from_numpy(part[: options.images]) for part in map(np.ascontiguousarray, splits["train"]))
    x, network = tensors(images.numpy()), TutorialCNN(SHAPE, CLASSES)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    rows, seconds = [], 0.0
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        network.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = functional.cross_entropy(network(x[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.perf_counter() - started
        row = {"epoch": epoch, "seconds": round(seconds, 1), "accuracy": tested(network, *splits["test"])}
        rows.append(row)
        print(json.dumps(row), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    exported(network, options.out / "model.onnx")
    (options.out / "epochs.json").write_text(json.dumps(rows) + "\n")


def tensors(images: np.ndarray) -> torch.Tensor:
    """Pixels [N, H, W, C] uint8 as torchvision's ToTensor gives them: [N, C, H, W] from 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


@torch.no_grad()
def tested(network: torch.nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    network.eval()
    classes = torch.cat([network(part).argmax(1) for part in tensors(images).split(500)])
    return round(float((classes.numpy() == labels).mean()), 4)


def exported(network: torch.nn.Module, path: Path) -> None:
    """As one ONNX file, with weights inside and any number of images."""
    example, count = torch.zeros(2, *SHAPE), torch.export.Dim("N")
    torch.onnx.export(
        network.eval(), (example,), path, input_names=["image"], output_names=["logits"], dynamo=True,
        dynamic_shapes=({0: count},), external_data=False, verbose=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
