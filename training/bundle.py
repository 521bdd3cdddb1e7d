"""Make the models in layers/models anew (`make bundled-models`), and a few real test images for the examples."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from training import train
from training.data import fashion_mnist

ROOT = Path(__file__).resolve().parent.parent
FILES = ("model.onnx", "amaas.json", "golden.npz")
SMALL = ["--widths", "32", "64", "--hidden", "128", "--epochs", "16", "--erase", "6", "--lr", "0.04"]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        status = train.main(["--data", "fashion-mnist", "--out", folder, *SMALL, *sys.argv[1:]])
        if status:
            return status
        target = ROOT / "layers" / "models" / "fashion-mnist"
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(Path(folder) / name, target / name)
    examples(ROOT / "examples" / "images")
    return 0


def examples(folder: Path) -> None:
    """The first test image of each class, named by its index and its true label."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = fashion_mnist.load(train.CACHE)["test"]
    for label, name in enumerate(fashion_mnist.LABELS):
        index = int(np.flatnonzero(labels == label)[0])
        plain = name.lower().replace("/", "-").replace(" ", "-")
        Image.fromarray(images[index, :, :, 0]).save(folder / f"fashion-{index:04d}-{plain}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
