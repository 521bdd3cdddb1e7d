"""What Hugging Face's preprocessor_config.json says of images, as `preprocess` of amaas.json says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaas.api import huggingface
from amaas.errors import AmaasError

Json = dict[str, Any]
FILE = "preprocessor_config.json"
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
SCALE = 1 / 255
CROPPED = 384  # ConvNeXt: sides below it are cut out of a larger picture


def derive(folder: Path, config: Json) -> Json:
    """preprocess. Raises AmaasError."""
    said = huggingface.read(folder / FILE)
    if not said:
        raise AmaasError(
            f"the model takes images, and there is no {FILE} in {folder}: save it there, as "
            "`AutoImageProcessor.from_pretrained(…).save_pretrained(FOLDER)` of transformers does"
        )
    if said.get("rescale_offset") or (said.get("do_pad") and said.get("pad_size")):
        raise AmaasError(
            f"{folder / FILE} has settings that are not derived: write preprocess into an amaas.json there"
        )
    plan: Json = {"kind": "image"}
    plan |= {"mode": "L"} if config.get("num_channels") == 1 else {}
    plan |= {"mode": "BGR"} if said.get("do_flip_channel_order") else {}
    if said.get("do_resize", True):
        plan |= _size(folder, said)
        plan |= {"interpolation": FILTERS[said["resample"]]} if said.get("resample") in FILTERS else {}
    if said.get("do_center_crop"):
        plan |= {"crop": _sides(said.get("crop_size", said.get("size")), folder)}
    return plan | _values(said)


def _values(said: Json) -> Json:
    """scale, mean and std: value = (pixel * scale - mean) / std."""
    scale = float(said.get("rescale_factor", SCALE)) if said.get("do_rescale", True) else 1.0
    plan: Json = {"scale": scale} if abs(scale - SCALE) > 1e-9 else {}
    if said.get("do_normalize", True) and said.get("image_mean") is not None:
        mean, std = said["image_mean"], said.get("image_std", [1.0])
        plan |= {"mean": mean if isinstance(mean, list) else [mean], "std": std if isinstance(std, list) else [std]}
    return plan


def _size(folder: Path, said: Json) -> Json:
    """To these sides, or the shorter side to that. A lone number is both sides, or the shorter one of what is cut."""
    size = said.get("size")
    shorter = size.get("shortest_edge") if isinstance(size, dict) else None
    if isinstance(size, int) and said.get("do_center_crop"):
        shorter = size
    if "crop_pct" in said and shorter is not None:  # ConvNeXt
        if shorter >= CROPPED:
            return {"size": [shorter, shorter]}
        return {"shorter": int(shorter / float(said["crop_pct"])), "crop": [shorter, shorter]}
    if shorter is not None:
        return {"shorter": shorter}
    return {"size": _sides(size, folder)}


def _sides(size: Any, folder: Path) -> list[int]:
    """[height, width]. Raises AmaasError."""
    if isinstance(size, int):
        return [size, size]
    if isinstance(size, list) and len(size) == 2:
        return [int(side) for side in size]
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return [int(size["height"]), int(size["width"])]
    raise AmaasError(
        f"{folder / FILE} has the size {size!r}, which is none that is derived: write preprocess into an "
        "amaas.json there"
    )
