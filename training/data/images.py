"""Reads images, decoding each just as serving will, and makes a network's input of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.errors import AmaasError
from shared.serving.inputs import colors, image_files, images
from training.data import folders
from training.data.source import Item, Options, Report, Source, every_class, targets
from training.errors import TrainingError

UNREADABLE = (AmaasError, OSError)


def from_folder(root: Path, options: Options, report: Report) -> Source:
    """A folder of images per class. What cannot be read goes into the report.

    Raises TrainingError for a class without images, fewer than two classes, mixed sizes.
    """
    labels, items = folders.items(root, "image", report)
    return decoded(items, labels, options, report, folders.about(root, "images"))


def decoded(
    items: dict[str, list[Item]], labels: list[str], options: Options, report: Report, about: dict[str, Any]
) -> Source:
    """Images [N, H, W, C] uint8 with C 1 where all are gray, else 3, brought to options.size (height, width)."""
    mode = "L" if all(_mode(item) in colors.GRAY for part in items.values() for item in part) else "RGB"
    decoded_parts: dict[str, list[tuple[Item, np.ndarray]]] = {}
    sizes: list[tuple[int, int]] = []
    for split, part in items.items():
        read = ((item, _image(item, mode, options.size, report, sizes)) for item in part)
        decoded_parts[split] = [(item, image) for item, image in read if image is not None]
    every_class(targets(item.target for item, _ in decoded_parts["train"]), labels, "image", "folder")
    shape = _one_size([image for part in decoded_parts.values() for _, image in part])
    splits = {
        split: (
            np.array([image for _, image in part], np.uint8).reshape(-1, *shape),
            targets(i.target for i, _ in part),
        )
        for split, part in decoded_parts.items()
    }
    names = {split: [item.name for item, _ in part] for split, part in decoded_parts.items()}
    # where all have one size, they were brought to it before, and say nothing of what images are like
    return Source("image", splits, labels, about, names, {"sizes": sizes} if len(set(sizes)) > 1 else {})


def _mode(item: Item) -> str:
    """The color mode in a file's header; a file without one does not make the data set a colored one."""
    try:
        return image_files.opened(item.read()).mode
    except UNREADABLE:
        return "L"


def _image(
    item: Item, mode: str, size: tuple[int, int] | None, report: Report, sizes: list[tuple[int, int]]
) -> np.ndarray | None:
    """[H, W, C], turned upright, in one color mode, then resized: the order in which serving does it. sizes: gets its
    width and height before.
    """
    try:
        plain = images.decode(item.read(), mode)
    except UNREADABLE as error:
        report.append({"item": item.name, "reason": "unreadable", "detail": str(error)[:200]})
        return None
    sizes.append(plain.size)
    if size and plain.size != (size[1], size[0]):
        plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(plain))


def _one_size(images: list[np.ndarray]) -> tuple[int, ...]:
    """[H, W, C] of all of them. Raises TrainingError."""
    sizes = Counter(f"{image.shape[0]}x{image.shape[1]}" for image in images)
    if len(sizes) > 1:
        summary = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(3))
        raise TrainingError(f"the images have different sizes ({summary}): give --size HEIGHT WIDTH")
    return images[0].shape
