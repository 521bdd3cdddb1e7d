"""What a step calibrates, chooses and tests with. Each split is used for one of these; training/data makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training import data as datasets
from training import measure, package
from training.data.source import PLURAL
from training.errors import TrainingError
from training.package import Arrays, Package

if TYPE_CHECKING:
    from training.kinds import Inputs, Kind

HELD_OUT = 0.2  # of a calibration file without a data set beside it: chosen by, not calibrated with
GOLDEN = 16
OTHERWISE = "give the data it was trained on, as it was, or items of its training set could be tested with"


@dataclass(frozen=True)
class Labelled:
    inputs: Arrays
    labels: np.ndarray


@dataclass(frozen=True)
class Examples:
    """The training split, for steps that train. kind: makes inputs of what is stored of it. labels: [N].

    augmentation: options of training.train, as the network was trained with; empty where the package does not say.
    """

    kind: Kind
    stored: Inputs
    labels: np.ndarray
    augmentation: dict[str, Any]


@dataclass(frozen=True)
class Material:
    """calibration: rows of the training split (own), or of the caller's file. choice: rows not calibrated with.

    validation, test: None when no data set is at hand. about: what amaas.json is to say of it. golden: inputs to
    compare the models on. examples: makes the training split when a step asks for it; it is large.
    """

    golden: Arrays
    calibration: Arrays | None = None
    choice: Arrays | None = None
    validation: Labelled | None = None
    test: Labelled | None = None
    about: dict[str, Any] | None = None
    examples: Callable[[], Examples] | None = None
    own: bool = False


def gather(
    parent: Package, *, data: str | None, root: Path, seed: int | None, calibration: Path | None, rows: int
) -> Material:
    """Raises TrainingError when data is not what the package was trained on, or there is nothing to compare with."""
    given = package.arrays(calibration) if calibration else None
    if data:
        return _labelled(parent, data, root, seed, given, rows)
    if given is None:
        if not parent.golden:
            raise TrainingError(
                "the package has no golden.npz to compare with: give --data, or inputs in --calibration"
            )
        return Material(parent.golden)
    held, rest = _halves(given)
    return Material(parent.golden or _rows(held, slice(GOLDEN)), _rows(rest, slice(rows)), held)


def _labelled(parent: Package, data: str, root: Path, seed: int | None, given: Arrays | None, rows: int) -> Material:
    from training import kinds  # brings PyTorch, which nothing without a data set needs

    try:
        kind = kinds.declared(parent.manifest, parent.folder)
    except TrainingError as error:
        raise TrainingError(
            f"--data cannot be used: {error}. Leave it away, and give prepared inputs in --calibration"
        ) from error
    seed = _seed(parent.manifest, seed)
    read = _reading(parent.manifest, data, kind)
    usual = {name: read.pop(name) for name in ("size", "rate") if name in read}  # of data of another kind: no matter
    found = datasets.load(data, root, seed=seed, usual=usual, **read)
    if found.kind != kind.name:
        raise TrainingError(f"{data} holds {PLURAL[found.kind]}, the package is for {PLURAL[kind.name]}: {OTHERWISE}")
    _same(parent.manifest, found)
    values, labels = found.train
    validation, test = (Labelled(_inputs(kind, part[0]), part[1]) for part in (found.validation, found.test))
    golden = parent.golden or _rows(test.inputs, datasets.spread(test.labels, GOLDEN))
    calibration = _rows(given, slice(rows)) if given else _inputs(kind, values[datasets.spread(labels, rows)])
    augmentation = _augmentation(parent.manifest)
    about = {"name": found.about["name"], "seed": seed, "test_items": len(test.labels), "augmentation": augmentation}

    def examples() -> Examples:
        return Examples(kind, kind.stored(values), labels, augmentation)

    return Material(golden, calibration, validation.inputs, validation, test, about, examples, given is None)


def _inputs(kind: Kind, values: np.ndarray) -> Arrays:
    return {put: value.numpy() for put, value in kind.inputs(kind.stored(values), slice(None)).items()}


def _reading(manifest: dict[str, Any], data: str, kind: Kind) -> dict[str, Any]:
    """How the data was read for training, as the package notes it or as its plan tells; else splits were others."""
    noted = (manifest.get("dataset") or {}).get("read")
    if noted is not None:
        return {name: tuple(value) if isinstance(value, list) else value for name, value in noted.items()}
    return {} if datasets.named(data) else dict(kind.reading)


CHANGES = (
    "shift", "flip", "erase", "crop", "rotate", "randaugment", "token_dropout", "time_shift", "frequency_mask",
    "time_mask", "noise",
)  # fmt: skip


def _augmentation(manifest: dict[str, Any]) -> dict[str, Any]:
    """As the training run noted it, or a step after it. Not guessed: a mirrored digit is another one."""
    details = (manifest.get("lineage") or {}).get("details") or {}
    noted = (details.get("data") or {}).get("augmentation") or details
    return {key: noted[key] for key in CHANGES if key in noted}


def known_seed(manifest: dict[str, Any]) -> int | None:
    """The seed of the splits, as the training run or a step before noted it."""
    details = (manifest.get("lineage") or {}).get("details") or {}
    seed = (details.get("data") or details).get("seed")
    return seed if isinstance(seed, int) else None


def _seed(manifest: dict[str, Any], given: int | None) -> int:
    """With another seed, images that were trained on would be in the test set."""
    known = known_seed(manifest)
    seed = known if given is None else given
    if seed is None:
        raise TrainingError("the package does not say with which seed its data was split: give --seed")
    if known not in (None, seed):
        raise TrainingError(
            f"the package's data was split with the seed {known}, not {given}: "
            "leave --seed away, or it would be tested with what it was trained on"
        )
    return seed


def _same(manifest: dict[str, Any], found: datasets.Dataset) -> None:
    if manifest.get("labels") != found.labels:
        raise TrainingError(f"the data set has the classes {found.labels[:5]}…, the package others: give its own data")
    told = manifest.get("dataset")
    want = told.get("splits") if isinstance(told, dict) else None
    have = {split: len(getattr(found, split)[1]) for split in ("train", "validation", "test")}
    if want and want != have:
        raise TrainingError(f"the package was trained on splits of {want}, this data has {have}: {OTHERWISE}")
    digests = told.get("digests") if isinstance(told, dict) else None
    if digests and (other := [split for split, noted in digests.items() if found.digests[split] != noted]):
        raise TrainingError(
            f"this data has as many items as the package was trained on, but others, or in another order, in the "
            f"splits {', '.join(other)}: {OTHERWISE}"
        )


def _halves(given: Arrays) -> tuple[Arrays, Arrays]:
    """Every fifth row, held out, and the others."""
    count = measure.rows_of(given)
    if count < 2:
        raise TrainingError("the calibration file has a single row: give at least two, better some hundred")
    held = np.arange(count) % round(1 / HELD_OUT) == 0
    return _rows(given, held), _rows(given, ~held)


def _rows(inputs: Arrays, picked: Any) -> Arrays:
    return {name: values[picked] for name, values in inputs.items()}
