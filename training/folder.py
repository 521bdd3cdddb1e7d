"""Reads a folder of images per class, decoding each image just as serving will. What to keep of it is not in here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from training.errors import TrainingError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
GREY = {"1", "L", "LA", "I;16"}
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises for a bad file


def about(root: Path) -> dict[str, Any]:
    return {"name": root.resolve().name, "licence": None, "source": "a folder of images"}


def load(
    root: Path, size: tuple[int, int] | None, report: list[dict[str, str]]
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Images [N, H, W, C] uint8 with C 1 or 3, labels [N] int64, the classes' names, and each image's "class/file".

    size: (height, width) that images are brought to. Hidden files and folders are passed over; what else cannot be
    read goes into the report. Raises TrainingError for a class without images, fewer than two classes, mixed sizes.
    """
    labels = sorted(path.name for path in _visible(root) if path.is_dir())
    if len(labels) < 2:
        raise TrainingError(f"{root} has {len(labels)} class folders: a classifier needs at least two")
    files = [(target, path) for target, label in enumerate(labels) for path in _files(root / label, report)]
    mode = "L" if all(_mode(path) in GREY for _, path in files) else "RGB"
    read = [(target, path, _image(path, mode, size, report)) for target, path in files]
    kept = [(target, path, image) for target, path, image in read if image is not None]
    for target, label in enumerate(labels):
        if target not in {found for found, _, _ in kept}:
            raise TrainingError(f"the class {label!r} has no image that can be read: add some, or remove its folder")
    names = [f"{path.parent.name}/{path.name}" for _, path, _ in kept]
    return _stack([image for _, _, image in kept]), np.array([target for target, _, _ in kept], np.int64), labels, names


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _files(folder: Path, report: list[dict[str, str]]) -> list[Path]:
    files = []
    for path in _visible(folder):
        if path.suffix.lower() in SUFFIXES:
            files.append(path)
        else:
            report.append({"item": f"{folder.name}/{path.name}", "reason": "not an image file"})
    return files


def _mode(path: Path) -> str:
    """The colour mode that a file's header tells; a file without one does not make the data set a coloured one."""
    try:
        with Image.open(path) as image:
            return image.mode
    except UNREADABLE:
        return "L"


def _image(path: Path, mode: str, size: tuple[int, int] | None, report: list[dict[str, str]]) -> np.ndarray | None:
    """[H, W, C], turned upright, in one colour mode, then resized: the order in which serving does it."""
    try:
        with Image.open(path) as image:
            plain = ImageOps.exif_transpose(image).convert(mode)
    except UNREADABLE as error:
        report.append({"item": f"{path.parent.name}/{path.name}", "reason": "unreadable", "detail": str(error)[:200]})
        return None
    if size and plain.size != (size[1], size[0]):
        plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(plain))


def _stack(images: list[np.ndarray]) -> np.ndarray:
    sizes = Counter(f"{image.shape[0]}x{image.shape[1]}" for image in images)
    if len(sizes) > 1:
        found = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(3))
        raise TrainingError(f"the images have different sizes ({found}): give --size HEIGHT WIDTH")
    return np.stack(images)
