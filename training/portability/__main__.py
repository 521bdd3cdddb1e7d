"""Score a package's test set on three processors, and write that into its card.

Run it with: python -m training.portability.__main__ PACKAGE

On this machine, and as QEMU's Haswell (AVX2) and Nehalem (SSE4.2): a cloud promises no processor, and forms of
quantized models are easily made that answer otherwise on the older ones. The golden set is replayed there too.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from shared.runtime import samples
from training import measure, package
from training.compress import evaluation_data, latency
from training.compress.evaluation_data import EvaluationData
from training.errors import TrainingError
from training.options import CACHE
from training.package import Arrays, Package
from training.portability.emulated import PROCESSORS, Question, answers

MARK = "**On other processors:**"
APART = 0.1  # percentage points of accuracy that processors may be apart
TEST, GOLDEN = "test", "golden"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="folder with model.onnx, amaas.json, golden.npz")
    parser.add_argument("--data", required=True, help="what it was trained on (see training.train)")
    parser.add_argument("--root", type=Path, default=CACHE, help="cache of downloaded data sets")
    s = parser.parse_args(arguments)
    try:
        opened = package.read(s.package)
        material = evaluation_data.gather(opened, data=s.data, root=s.root, seed=None, calibration=None, rows=1)
        rows = scored(opened, material)
        for row in rows:
            print(sentence(row))
        alike(rows)
        write(opened, rows)
        return 0
    except (TrainingError, OSError) as error:
        print(f"processors: {error}", file=sys.stderr)
        return 1


def scored(opened: Package, material: EvaluationData) -> list[dict[str, Any]]:
    """A row per processor, this one first: accuracy, items whose answer is another than here, the largest difference of
    a score, and whether the golden set holds. Raises TrainingError.
    """
    assert material.test is not None
    body = package.serialized(opened.model)
    questions = {TEST: Question(body, material.test.inputs, measure.batch_of(opened.manifest))}
    if opened.golden:
        questions[GOLDEN] = Question(body, opened.golden)
    here, rows = answers(questions), []
    with ThreadPoolExecutor(len(PROCESSORS)) as pool:  # each waits for a process of its own
        elsewhere = dict(zip(PROCESSORS, pool.map(lambda name: answers(questions, name), PROCESSORS), strict=True))
    golden_outputs = _golden(opened)
    for processor in (None, *PROCESSORS):
        there = elsewhere[processor] if processor else here
        own, other = (next(iter(one[TEST].values())) for one in (here, there))
        row: dict[str, Any] = {"processor": processor or _this(), "items": len(own)}
        row |= {"accuracy": round(float((other.argmax(1) == material.test.labels).mean()), 4)}
        row |= {"other_answers": int((own.argmax(1) != other.argmax(1)).sum())}
        row |= {"largest_difference": float(f"{np.abs(own - other).max():.3g}")}
        if golden_outputs:
            row["golden"] = _holds(opened, golden_outputs, there[GOLDEN])
        rows.append(row)
    return rows


def sentence(row: dict[str, Any]) -> str:
    emulated = f" ({PROCESSORS[row['processor']]}; emulated)" if row["processor"] in PROCESSORS else ""
    golden = "" if row.get("golden", True) else ", its golden set FAILS"
    return (
        f"{row['processor']}{emulated}: test accuracy {row['accuracy']:.2%}, {row['other_answers']:,} of "
        f"{row['items']:,} answers are others, scores differ by {row['largest_difference']:.2g} at most{golden}"
    )


def alike(rows: list[dict[str, Any]]) -> None:
    """Raises TrainingError where accuracy depends on the processor, or the golden set fails on one."""
    apart = 100 * (max(row["accuracy"] for row in rows) - min(row["accuracy"] for row in rows))
    failed = [row["processor"] for row in rows if not row.get("golden", True)]
    if apart > APART or failed:
        what = f"its golden set fails as {', '.join(failed)}" if failed else f"accuracy differs by {apart:.2f} points"
        raise TrainingError(
            f"the model answers otherwise on another processor: {what}. Nothing was written. Make it in a portable "
            "form: training.compress int8 or dynamic with 7-bit weights (the default), or weight8"
        )


def write(opened: Package, rows: list[dict[str, Any]]) -> None:
    """Into amaas.json: metrics.processors, and a paragraph of the card, in the place of one of before."""
    manifest = dict(opened.manifest)
    manifest["metrics"] = (manifest.get("metrics") or {}) | {"processors": rows}
    title, _, rest = str(manifest.get("card") or f"# {opened.name}\n").partition("\n")
    paragraphs = [one for one in rest.strip().split("\n\n") if not one.startswith(MARK)]
    text = f"{MARK} {'; '.join(sentence(row) for row in rows)}."
    manifest["card"] = "\n\n".join([title, text, *paragraphs]) + "\n"
    package.write_manifest(opened.folder, manifest)


def _this() -> str:
    machine = latency.machine()
    dots = ", ".join(machine["integer_dot_products"])
    return f"{machine['cpu']} ({dots})" if dots else str(machine["cpu"])


def _golden(opened: Package) -> Arrays:
    """The outputs of golden.npz by name; empty without."""
    path = opened.folder / package.golden_name(opened.manifest)
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name.removeprefix("output."): file[name] for name in file.files if name.startswith("output.")}


def _holds(opened: Package, golden_outputs: Arrays, outputs: Arrays) -> bool:
    """As the gate compares."""
    entry = opened.manifest.get("golden") or {}
    rtol, atol = float(entry.get("rtol", 1e-3)), float(entry.get("atol", 1e-4))
    return all(samples.difference(values, outputs[name], rtol, atol)[1] for name, values in golden_outputs.items())


if __name__ == "__main__":
    sys.exit(main())
