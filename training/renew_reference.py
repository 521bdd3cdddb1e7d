"""Write a package's `reference` anew, from the data that it was trained on: packages of before have less of it.

Run it with: python -m training.renew_reference PACKAGE --data DATA

What calls are compared with (histograms of inputs, scores and labels), and the table that estimates of accuracy need.
The model, its figures and the golden set stay as they are; pushed again, it is another version.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from training import measure, package
from training.compress import evaluation_data, provenance
from training.errors import TrainingError
from training.options import CACHE
from training.package import Package
from training.report.reference import reference
from training.served import served


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="folder with model.onnx and amaas.json")
    parser.add_argument("--data", required=True, help="what it was trained on (see training.train)")
    parser.add_argument("--root", type=Path, default=CACHE, help="cache of downloaded data sets")
    s = parser.parse_args(arguments)
    try:
        renew(package.read(s.package), s.data, s.root)
    except (TrainingError, OSError) as error:
        print(f"reference: {error}", file=sys.stderr)
        return 1
    print(f"{s.package / package.MANIFEST}: its reference was made anew")
    return 0


def renew(opened: Package, data: str, root: Path) -> None:
    """Raises TrainingError where the data are not what the package was trained on."""
    kind, splits = evaluation_data.trained_on(opened, data, root, provenance.seed(opened.manifest, None))
    session, batch = served(package.serialized(opened.model)), measure.batch_of(opened.manifest)

    def logits(values: np.ndarray) -> np.ndarray:
        answers = measure.outputs(session, evaluation_data.prepared(kind, values), batch)
        return answers[opened.manifest["outputs"][0]["name"]]

    fresh = reference(logits, splits, kind, private=bool(opened.privacy))
    package.write_manifest(opened.folder, opened.manifest | {"reference": fresh})


if __name__ == "__main__":
    sys.exit(main())
