"""What a step calibrates, chooses and tests with. Each split is used for one of these; training/data.py makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training import data as datasets
from training.compress import measure, package
from training.compress.package import Arrays, Package
from training.errors import TrainingError

HELD_OUT = 0.2  # of a calibration file without a data set beside it: chosen by, not calibrated with
GOLDEN = 16
AS_TRAINED = {"resize": "stretch", "layout": "NCHW"}


@dataclass(frozen=True)
class Labelled:
    inputs: Arrays
    labels: np.ndarray


@dataclass(frozen=True)
class Examples:
    """The training split, for steps that train: values [N, …] of the input `name`, labels [N].

    augmentation: arguments of augment.augment, as the network was trained with; empty where the package does not say.
    """

    name: str
    values: np.ndarray
    labels: np.ndarray
    augmentation: dict[str, Any]


@dataclass(frozen=True)
class Material:
    """calibration: rows of the training split, or of the caller's file. choice: rows that were not calibrated with.

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
    plan = _plan(parent.manifest)
    seed = _seed(parent.manifest, seed)
    size = None if data in ("fashion-mnist", "cifar10") else plan["size"]
    found = datasets.load(data, root, seed=seed, size=tuple(size) if size else None)
    _same(parent.manifest, found)
    name = _input(parent)

    def inputs(images: np.ndarray) -> Arrays:
        return {name: datasets.normalised(images, plan["mean"], plan["std"])}

    images, labels = found.train
    picked = datasets.spread(labels, rows)
    validation = Labelled(inputs(found.validation[0]), found.validation[1])
    test = Labelled(inputs(found.test[0]), found.test[1])
    golden = parent.golden or _rows(test.inputs, datasets.spread(test.labels, GOLDEN))
    calibration = _rows(given, slice(rows)) if given else inputs(images[picked])
    augmentation = _augmentation(parent.manifest)
    about = {"name": found.about["name"], "seed": seed, "test_images": len(test.labels), "augmentation": augmentation}

    def examples() -> Examples:
        return Examples(name, inputs(images)[name], labels, augmentation)

    return Material(golden, calibration, validation.inputs, validation, test, about, examples)


def _augmentation(manifest: dict[str, Any]) -> dict[str, Any]:
    """As the training run noted it, or a step after it. Not guessed: a mirrored digit is another one."""
    details = (manifest.get("lineage") or {}).get("details") or {}
    noted = (details.get("data") or {}).get("augmentation") or details
    return {key: noted[key] for key in ("shift", "flip", "erase", "crop", "rotate") if key in noted}


def _plan(manifest: dict[str, Any]) -> dict[str, Any]:
    """The package's preprocess, when it is what training/data.py does to images."""
    if manifest.get("task") != "image-classification":
        raise TrainingError(
            f"--data is for image-classification, this package's task is {manifest.get('task', 'tensor')}: "
            "leave it away, outputs are compared instead; int8 takes its inputs from --calibration"
        )
    plan = {"resize": "stretch", "layout": "NCHW", "scale": 1 / 255} | (manifest.get("preprocess") or {})
    other = {key for key, value in AS_TRAINED.items() if plan[key] != value} | {"shorter", "crop"} & set(plan)
    if other or plan.get("mode") not in ("L", "RGB") or abs(plan["scale"] * 255 - 1) > 1e-6 or "mean" not in plan:
        raise TrainingError(
            f"this package prepares images in another way than the training job ({sorted(other) or 'scale or mode'}): "
            "leave --data away, and give prepared inputs in --calibration"
        )
    return plan


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
        raise TrainingError(
            f"the package was trained on splits of {want}, this data has {have}: "
            "give the data it was trained on, or images of its training set could be tested with"
        )


def _input(parent: Package) -> str:
    constants = {tensor.name for tensor in parent.model.graph.initializer}
    names = [put.name for put in parent.model.graph.input if put.name not in constants]
    if len(names) != 1:
        raise TrainingError(f"an image classifier has one input, this model {names}: leave --data away")
    return names[0]


def _halves(given: Arrays) -> tuple[Arrays, Arrays]:
    """Every fifth row, held out, and the others."""
    count = measure.rows_of(given)
    if count < 2:
        raise TrainingError("the calibration file has a single row: give at least two, better some hundred")
    held = np.arange(count) % round(1 / HELD_OUT) == 0
    return _rows(given, held), _rows(given, ~held)


def _rows(inputs: Arrays, picked: Any) -> Arrays:
    return {name: values[picked] for name, values in inputs.items()}
