"""How a package's data was read, split and augmented, as its manifest notes it; and whether some data is the same."""

from __future__ import annotations

from typing import Any

from training.data.dataset import Dataset
from training.errors import TrainingError

OTHERWISE = "give the data it was trained on, as it was, or items of its training set could be tested with"
CHANGES = (
    "shift",
    "flip",
    "erase",
    "crop",
    "rotate",
    "randaugment",
    "token_dropout",
    "time_shift",
    "frequency_mask",
    "time_mask",
    "noise",
)


def reading(manifest: dict[str, Any], declared: dict[str, Any]) -> dict[str, Any]:
    """Options of dataset.load, as the package notes them; declared, by its inputs, where it notes none."""
    noted = (manifest.get("dataset") or {}).get("read")
    if noted is None:
        return declared
    return {name: tuple(value) if isinstance(value, list) else value for name, value in noted.items()}


def augmentation(manifest: dict[str, Any]) -> dict[str, Any]:
    """As the training run noted it, or a step after it. Not guessed: a mirrored digit is another one."""
    details = _details(manifest)
    noted = (details.get("data") or {}).get("augmentation") or details
    return {key: noted[key] for key in CHANGES if key in noted}


def known_seed(manifest: dict[str, Any]) -> int | None:
    """The seed of the splits, as the training run or a step before noted it."""
    details = _details(manifest)
    value = (details.get("data") or details).get("seed")
    return value if isinstance(value, int) else None


def _details(manifest: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = (manifest.get("lineage") or {}).get("details") or {}
    return details


def seed(manifest: dict[str, Any], chosen: int | None) -> int:
    """With another seed, images that were trained on would be in the test set. Raises TrainingError."""
    known = known_seed(manifest)
    value = known if chosen is None else chosen
    if value is None:
        raise TrainingError("the package does not say with which seed its data was split: give --seed")
    if known not in (None, value):
        raise TrainingError(
            f"the package's data was split with the seed {known}, not {chosen}: "
            "omit --seed, or it would be tested with what it was trained on"
        )
    return value


def check_same(manifest: dict[str, Any], data: Dataset) -> None:
    """Raises TrainingError for other data than the package was trained on."""
    if manifest.get("labels") != data.labels:
        raise TrainingError(f"the data set has the classes {data.labels[:5]}…, the package others: give its own data")
    described = manifest.get("dataset")
    described = described if isinstance(described, dict) else {}
    splits, counts = described.get("splits"), {name: len(part[1]) for name, part in data.splits().items()}
    if splits and splits != counts:
        raise TrainingError(f"the package was trained on splits of {splits}, this data has {counts}: {OTHERWISE}")
    digests = described.get("digests") or {}
    if others := [split for split, digest in digests.items() if data.digests[split] != digest]:
        raise TrainingError(
            f"this data has as many items as the package was trained on, but others, or in another order, in the "
            f"splits {', '.join(others)}: {OTHERWISE}"
        )
