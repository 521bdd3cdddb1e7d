"""Finds Fashion-MNIST: in a folder, where Debian's package puts it, from that package, or through torchvision.

Fashion-MNIST is by Zalando Research (Xiao, Rasul, Vollgraf 2017), under the MIT licence, says Debian's package too.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from training.data.named import debian
from training.data.source import Report, Source
from training.errors import TrainingError

LABELS = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
ABOUT = {
    "name": "Fashion-MNIST",
    "licence": "MIT",
    "copyright": "2017 Zalando SE",
    "source": "Zalando Research, github.com/zalandoresearch/fashion-mnist",
}
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
PARTS = {"train": "train", "test": "t10k"}
AGAIN = "remove the folder, and the data set is fetched again"


def load(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The splits `train` and `test`: images [N, 28, 28, 1] uint8 and labels [N] int64. Raises TrainingError."""
    folder = _find(root)
    splits = {split: (_images(folder, part), _labels(folder, part)) for split, part in PARTS.items()}
    for split, (images, labels) in splits.items():
        if len(images) != len(labels) or labels.max(initial=0) >= len(LABELS):
            raise TrainingError(
                f"the {split} split in {folder} has {len(images)} images for {len(labels)} labels up to "
                f"{labels.max(initial=0)}: {AGAIN}"
            )
    return splits


def source(root: Path, report: Report) -> Source:
    return Source("image", load(root), LABELS, ABOUT)


def _find(root: Path) -> Path:
    candidates = [root, root / "FashionMNIST" / "raw", root / "fashion-mnist", INSTALLED]
    for folder in candidates:
        if _file(folder, "t10k-labels-idx1-ubyte"):
            return folder
    target = root / "fashion-mnist"
    print(f"fetching Fashion-MNIST (30 MB) into {root}")
    reason = ""
    for fetch in (_from_debian, _from_torchvision):
        try:
            fetched = fetch(root, target)
        except TrainingError as error:
            reason, fetched = f" ({error})", None
        if fetched:
            return fetched
    raise TrainingError(
        f"Fashion-MNIST is not in {root} and could not be fetched{reason}: put its four idx files into {target}, "
        f"or install Debian's package {PACKAGE}"
    )


def _from_debian(root: Path, target: Path) -> Path | None:
    with debian.unpacked([PACKAGE]) as folder:
        return debian.moved(folder / INSTALLED.relative_to("/"), target) if folder else None


def _from_torchvision(root: Path, target: Path) -> Path | None:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(root), download=True)
    except Exception:  # torchvision raises whatever its downloads raise; the caller says what to do
        return None
    return root / "FashionMNIST" / "raw"


def _file(folder: Path, name: str) -> Path | None:
    return next((folder / n for n in (name, f"{name}.gz") if (folder / n).is_file()), None)


def _images(folder: Path, part: str) -> np.ndarray:
    return _read(folder, f"{part}-images-idx3-ubyte", 3)[..., None]


def _labels(folder: Path, part: str) -> np.ndarray:
    return _read(folder, f"{part}-labels-idx1-ubyte", 1).astype(np.int64)


def _read(folder: Path, name: str, rank: int) -> np.ndarray:
    """An idx file: two zero bytes, type 8 (uint8), rank, then big-endian sizes and the values."""
    path = _file(folder, name)
    if path is None:
        raise TrainingError(f"{folder} lacks {name}: {AGAIN}")
    try:
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"{path} is damaged ({error}): {AGAIN}") from error
    sizes = np.frombuffer(body, ">u4", rank, 4).astype(int) if len(body) >= 4 + 4 * rank else np.array([])
    if body[:4] != bytes([0, 0, 8, rank]) or len(body) != 4 + 4 * rank + int(np.prod(sizes)):
        raise TrainingError(f"{path} is not an idx file of rank {rank}, or was cut off: {AGAIN}")
    return np.frombuffer(body, np.uint8, offset=4 + 4 * rank).reshape(sizes)
