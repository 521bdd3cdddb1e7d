"""A small folder of images that is learned in a second, and a short run on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import train

from . import children

Run = Callable[..., int]


LOOP = ["--epochs", "6", "--batch", "16", "--shift", "1", "--no-flip"]
SHORT = [*LOOP, "--widths", "4", "8", "--hidden", "16"]


@pytest.fixture(scope="session", autouse=True)
def _fork_server() -> None:
    """Started first, so that it imports PyTorch while the first tests run; and networks this small want one thread."""
    torch.set_num_threads(1)
    children.server()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return left_and_right(tmp_path)


def left_and_right(root: Path) -> Path:
    """Two classes that are easy to tell apart: bright on the left, bright on the right."""
    random = np.random.default_rng(0)
    for label, side in (("left", slice(0, 6)), ("right", slice(6, 12))):
        (root / "set" / label).mkdir(parents=True)
        for n in range(60):
            pixels = random.integers(0, 60, (12, 12), dtype=np.uint8)
            pixels[:, side] += 150
            Image.fromarray(pixels).save(root / "set" / label / f"{n:03d}.png")
    return root / "set"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return left_and_right(tmp_path_factory.mktemp("images"))


def sides(images: Path, out: Path, seed: int) -> Path:
    """The package of a short run on such images."""
    more = ["--device", "cpu", "--quiet", "--seed", str(seed), "--name", "sides"]
    assert train.main(["--data", str(images), "--out", str(out), *more, *SHORT]) == 0
    return out


@pytest.fixture
def run() -> Run:
    def start(data: Path | str, out: Path, *more: str) -> int:
        short = LOOP if "--model" in more else SHORT
        return train.main(["--data", str(data), "--out", str(out), "--device", "cpu", "--quiet", *short, *more])

    return start


@pytest.fixture
def idx() -> Callable[[Path, int, int], None]:
    """Writes Fashion-MNIST's four files with a few made-up images: (folder, how many to train, how many to test)."""

    def write(folder: Path, train_count: int, test_count: int) -> None:
        random = np.random.default_rng(1)
        folder.mkdir(parents=True, exist_ok=True)
        for part, count in (("train", train_count), ("t10k", test_count)):
            labels = np.arange(count, dtype=np.uint8) % 10
            images = random.integers(0, 40, (count, 28, 28), dtype=np.uint8)
            for image, label in zip(images, labels, strict=True):
                image[2 * label : 2 * label + 8] += 200
            for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
                sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
                (folder / name).write_bytes(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())

    return write
