"""What a step calibrates, chooses and tests with. Each split is used for one of these; training/data makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training import measure, package
from training.compress import provenance
from training.data import catalog
from training.data import dataset as datasets
from training.data.source import PLURAL
from training.data.split import spread
from training.errors import TrainingError
from training.package import Arrays, Package

if TYPE_CHECKING:
    from training.kinds.kind import Inputs, Kind

HELD_OUT = 0.2  # of a calibration file without a data set beside it: chosen by, not calibrated with
GOLDEN = 16


@dataclass(frozen=True)
class Labeled:
    inputs: Arrays
    labels: np.ndarray


@dataclass(frozen=True)
class Examples:
    """The training split, for steps that train. kind: makes inputs of what is encoded of it. labels: [N].

    augmentation: options of training.train, as the network was trained with; empty where the package does not say.
    """

    kind: Kind
    encoded: Inputs
    labels: np.ndarray
    augmentation: dict[str, Any]


@dataclass(frozen=True)
class EvaluationData:
    """calibration: rows of the training split (own), or of the caller's file. choice: rows not calibrated with.

    validation, test: None when no data set is at hand. about: what amaas.json is to say of it. golden: inputs to
    compare the models on. examples: makes the training split when a step asks for it; it is large.
    """

    golden: Arrays
    calibration: Arrays | None = None
    choice: Arrays | None = None
    validation: Labeled | None = None
    test: Labeled | None = None
    about: dict[str, Any] | None = None
    examples: Callable[[], Examples] | None = None
    own: bool = False


def training_data(data: EvaluationData, step: str) -> tuple[Examples, Labeled]:
    """Examples to train on, and the validation split. Raises TrainingError where there are none."""
    if data.examples is None or data.validation is None:
        raise TrainingError(f"{step} trains: give --data, what the model was trained on")
    return data.examples(), data.validation


def gather(
    parent: Package, *, data: str | None, root: Path, seed: int | None, calibration: Path | None, rows: int
) -> EvaluationData:
    """Raises TrainingError when data is not what the package was trained on, or there is nothing to compare with."""
    inputs = package.arrays(calibration) if calibration else None
    if data:
        return _labeled(parent, data, root, seed, inputs, rows)
    if inputs is None:
        if not parent.golden:
            raise TrainingError(
                "the package has no golden.npz to compare with: give --data, or inputs in --calibration"
            )
        return EvaluationData(parent.golden)
    held_out, rest = halves(inputs)
    golden = parent.golden or _rows(held_out, slice(GOLDEN))
    return EvaluationData(golden, calibration=_rows(rest, slice(rows)), choice=held_out)


def _labeled(
    parent: Package, name: str, root: Path, seed: int | None, inputs: Arrays | None, rows: int
) -> EvaluationData:
    """With a data set. inputs: to calibrate with, in place of its training split."""
    seed = provenance.seed(parent.manifest, seed)
    kind, data = trained_on(parent, name, root, seed)
    values, labels = data.train
    validation, test = (Labeled(prepared(kind, part[0]), part[1]) for part in (data.validation, data.test))
    augmentation = provenance.augmentation(parent.manifest)
    about = {"name": data.about["name"], "seed": seed, "test_items": len(test.labels), "augmentation": augmentation}
    calibration = _rows(inputs, slice(rows)) if inputs else prepared(kind, values[spread(labels, rows)])

    def examples() -> Examples:
        return Examples(kind, kind.encode(values), labels, augmentation)

    return EvaluationData(
        golden=parent.golden or _rows(test.inputs, spread(test.labels, GOLDEN)),
        calibration=calibration,
        choice=validation.inputs,
        validation=validation,
        test=test,
        about=about,
        examples=examples,
        own=inputs is None,
    )


def trained_on(parent: Package, name: str, root: Path, seed: int) -> tuple[Kind, datasets.Dataset]:
    """What a package does with its inputs, and its data set. Raises TrainingError where the data are others."""
    from training.kinds import choose  # brings PyTorch, which nothing without a data set needs

    try:
        kind = choose.declared(parent.manifest, parent.folder)
    except TrainingError as error:
        raise TrainingError(
            f"--data cannot be used: {error}. Omit it, and give prepared inputs in --calibration"
        ) from error
    return kind, _load(parent, name, root, seed, kind)


def _load(parent: Package, name: str, root: Path, seed: int, kind: Kind) -> datasets.Dataset:
    """The package's data set, read as it was read for its training. Raises TrainingError where it is another."""
    by_hand = {} if catalog.named(name) else dict(kind.reading)
    reading = provenance.reading(parent.manifest, by_hand)
    # of data of another kind: no matter
    usual: dict[str, Any] = {option: reading.pop(option) for option in ("size", "rate") if option in reading}
    data = datasets.load(name, root, seed=seed, usual=usual, **reading)
    if data.kind != kind.name:
        raise TrainingError(
            f"{name} holds {PLURAL[data.kind]}, the package is for {PLURAL[kind.name]}: {provenance.OTHERWISE}"
        )
    provenance.check_same(parent.manifest, data)
    return data


def prepared(kind: Kind, values: np.ndarray) -> Arrays:
    """The network's inputs for values of a split."""
    return {name: value.numpy() for name, value in kind.inputs(kind.encode(values), slice(None)).items()}


def halves(inputs: Arrays) -> tuple[Arrays, Arrays]:
    """Every fifth row, held out, and the others."""
    count = measure.rows_of(inputs)
    if count < 2:
        raise TrainingError("the calibration file has a single row: give at least two, better some hundred")
    held_out = np.arange(count) % round(1 / HELD_OUT) == 0
    return _rows(inputs, held_out), _rows(inputs, ~held_out)


def _rows(inputs: Arrays, indices: Any) -> Arrays:
    return {name: values[indices] for name, values in inputs.items()}
