"""Make the models in layers/models anew (`make bundled-models`), one of each kind, and real inputs for the examples.

Trained, optimized, packaged and scored on three processors by the very commands that everyone has; the recipes are in
here, and nothing else is. One that answers otherwise on another processor is not taken.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from training import train
from training.compress import __main__ as compress
from training.data import dataset
from training.data.named import fashion_mnist
from training.options import CACHE
from training.portability import __main__ as processors

ROOT = Path(__file__).resolve().parents[2]
MODELS, EXAMPLES = ROOT / "layers" / "models", ROOT / "examples"


@dataclass(frozen=True)
class Recipe:
    """A network trained on data, then the steps of training.compress in turn."""

    data: str
    options: str
    steps: Sequence[Sequence[str]] = ()
    intended: str = ""


RECIPES = {
    "fashion-mnist": Recipe(
        "fashion-mnist",
        "--model quick-cnn --epochs 32 --batch 128 --lr 0.1 --shift 1 --label-smoothing 0.05 --ema 0.999 --bf16 "
        "--channels-last",
        steps=(("int8",),),
        intended="to try the service with; small gray pictures of single articles of clothing",
    ),
    "languages": Recipe(
        "languages",
        "--model ngrams --characters --vocabulary 448 --max-length 128 --epochs 5 --batch 128 --optimizer adamw "
        "--lr 0.02 --embedding 16 --buckets 98304 --label-smoothing 0.05 --token-dropout 0.05",
        steps=(("dynamic",),),
        intended="to try the service with; texts of any length in one of these fourteen languages, or in none of them, "
        "which are to be unknown; a single word that several languages have may be any of these",
    ),
    "spoken-digits": Recipe(
        "spoken-digits",
        "--model audio-cnn --epochs 20 --optimizer adamw --lr 0.004 --time-shift 0.05 --frequency-mask 6 "
        "--time-mask 10 --label-smoothing 0.05",
        steps=(("int8",),),
        intended="to try the service with; single digits as a speech synthesizer says them, no human voices",
    ),
    "wine": Recipe(
        "wine",
        "--model mlp --epochs 60 --batch 16 --optimizer adamw --lr 0.01 --noise 0.1 --hidden 32",
        steps=(("int4",),),
        intended="to try the service with; chemical analyses of wines of these three growers, of one region and time",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="MODEL", help=f"only these of {', '.join(RECIPES)}")
    parser.add_argument(
        "--trained",
        type=Path,
        metavar="FOLDER",
        help="keep the trained packages in here, by name; what is there is not trained again",
    )
    chosen = parser.parse_args(arguments)
    if strange := set(chosen.names) - set(RECIPES):
        parser.error(f"there is no model {', '.join(sorted(strange))}: there are {', '.join(RECIPES)}")
    for name in chosen.names or RECIPES:
        with tempfile.TemporaryDirectory() as folder:
            status = build_model(name, RECIPES[name], Path(folder), chosen.trained or Path(folder) / "trained")
        if status:
            return status
    examples()
    return 0


def build_model(name: str, recipe: Recipe, work: Path, trained: Path) -> int:
    """Train, compress, score, and put what serving needs into layers/models. The exit status of what failed, or 0."""
    common = ["--data", recipe.data, "--name", name]
    options = [*common, *recipe.options.split(), "--intended-use", recipe.intended]
    package = trained / name
    if not (package / "amaas.json").is_file() and (status := train.main([*options, "--out", str(package)])):
        return status
    for number, step in enumerate(recipe.steps):
        following = work / f"{number}-{step[0]}"
        if status := compress.main([*step, str(package), "--data", recipe.data, "--out", str(following)]):
            return status
        package = following
    if status := processors.main([str(package), "--data", recipe.data]):
        return status
    target = MODELS / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("*.png", "cleaning.json", "metrics.jsonl"))
    return 0


def examples() -> None:
    """Of the test splits: an image of each class, three digits, rows of a table; texts are quickly written."""
    _images(EXAMPLES / "images")
    _sounds(EXAMPLES / "sounds")
    _rows(EXAMPLES / "tables")


def _images(folder: Path) -> None:
    """The first test image of each class, named by its index and its true label."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = fashion_mnist.load(CACHE)["test"]
    for label, name in enumerate(fashion_mnist.LABELS):
        index = int(np.flatnonzero(labels == label)[0])
        plain = name.lower().replace("/", "-").replace(" ", "-")
        Image.fromarray(images[index, :, :, 0]).save(folder / f"fashion-{index:04d}-{plain}.png", optimize=True)


def _sounds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    loaded = dataset.load("spoken-digits", CACHE, seed=0)
    values, labels = loaded.test
    for label in (1, 4, 7):
        index = int(np.flatnonzero(labels == label)[0])
        soundfile.write(
            folder / f"spoken-{loaded.labels[label]}.wav", values[index], loaded.details["sample_rate"], "PCM_16"
        )


def _rows(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    loaded = dataset.load("wine", CACHE, seed=0)
    columns = loaded.details["columns"]
    with (folder / "wine.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[row[name] for name in columns] for row in loaded.test[0][:5]])


if __name__ == "__main__":
    sys.exit(main())
