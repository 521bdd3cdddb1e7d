"""Make a package smaller or faster: python -m training.compress int8 PACKAGE --out FOLDER --data fashion-mnist

STEP is graph, fp16, int8, dynamic, weight8, int4, or with training prune, magnitude, distil; `search` tries what fits,
and says which is best.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training import package
from training.compress import apply, data, search
from training.errors import TrainingError, full, out_of_memory

CACHE = Path.home() / ".cache" / "amaas"
SIZES = ("embedding", "hidden", "layers", "heads")
METHODS = ("minmax", "entropy", "percentile")


def settings(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.compress", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    every = (*apply.STEPS, *apply.TRAINED, "search")
    add("step", metavar="STEP", choices=every, help=f"{', '.join(every[:-1])} or search")
    add("package", type=Path, metavar="PACKAGE", help="folder with model.onnx, amaas.json and golden.npz")
    add("--out", type=Path, required=True, help="where the new package goes; must not be there yet")
    add("--data", help="what it was trained on (see training.train): test accuracy is measured, int8 calibrated")
    add("--root", type=Path, default=CACHE, help="where downloaded data sets are kept")
    add("--seed", type=int, help="of the splits; else what the package says")
    add("--calibration", type=Path, metavar="FILE.npz", help="inputs to calibrate with: arrays input.<name> [rows, …]")
    add("--calibration-rows", type=_count, default=512, help="rows of training data to calibrate with (%(default)s)")
    add("--method", choices=METHODS, action="append", help="int8: calibration method; else the best of all is taken")
    add(
        "--reduce-range",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="int8, dynamic: 7-bit weights, with which all processors answer alike (%(default)s)",
    )
    add("--block", type=_block, default=32, help="int4: weights that share a scale, a power of 2 from 16 (%(default)s)")
    add("--max-drop", type=_share, default=0.5, help="percentage points of test accuracy it may cost (%(default)s)")
    add("--max-noise", type=_share, default=0.1, help="without --data: change of outputs, of their size (%(default)s)")
    add("--target", choices=("latency", "size"), default="latency", help="search: what is best (%(default)s)")
    add("--steps", nargs="+", metavar="STEP", default=[], help="search: only these, as int8 prune prune+int8")
    add("--brief", action="store_true", help="search: do not say where the packages are")
    _of_training(parser.add_argument_group("steps that train (prune, magnitude, distil): need --data").add_argument)
    return parser.parse_args(arguments)


def _of_training(add: Callable[..., Any]) -> None:
    usual = apply.Training()
    add(
        "--ratio", type=_part, default=usual.ratio, help="prune: share of each layer's channels that goes (%(default)s)"
    )
    add("--sparsity", type=_part, default=usual.sparsity, help="magnitude: share of zeros (%(default)s)")
    add("--student", metavar="NAME", help="distil, search: network as training.train's --model names it")
    add("--widths", type=_count, nargs="+", help="distil: the student's, as all of training.train's next four")
    for option in SIZES:
        add(f"--{option}", type=_count, help="distil: the student's")
    add("--teacher", help="distil: a package folder, or MODEL[@VERSION] of a running service; else PACKAGE itself")
    add("--finetune-epochs", type=_count, help="passes over the training data (prune 10, magnitude 5, distil 15)")
    add(
        "--finetune-lr",
        type=_share,
        help="the highest learning rate (prune 0.02, magnitude 0.01, distil 0.05; less for a --batch below 64)",
    )
    add("--batch", type=_count, default=usual.batch, help="rows per step (%(default)s)")
    add("--temperature", type=_share, help="of the teacher's scores (4)")
    add("--alpha", type=_share, help="what the teacher counts beside the labels, 0 to 1 (0.5)")
    add("--training-seed", type=int, default=0, help="of order, augmentation and a student's weights (%(default)s)")
    add("--device", default=usual.device, help="cpu, cuda, … (%(default)s)")
    add("--quiet", action="store_true", help="no progress bar")


def _training(s: argparse.Namespace) -> apply.Training:
    if s.alpha is not None and s.alpha > 1:
        raise TrainingError(f"--alpha {s.alpha:g} is more than all: give 0 to 1")
    if s.temperature == 0:
        raise TrainingError(
            "--temperature 0 divides by nothing: give 1 for the scores as they are, more to soften them"
        )
    student = apply.Student(s.student, {o: getattr(s, o) for o in ("widths", *SIZES)}) if s.student else None
    return apply.Training(
        s.ratio, s.sparsity, student, s.teacher, s.finetune_epochs, s.batch, s.finetune_lr,
        s.temperature, s.alpha, s.training_seed, s.device, s.quiet,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    s = settings(arguments)
    try:
        run(s)
        return 0
    except TrainingError as error:
        print(f"compress: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"compress: {error}; nothing was written: {_mended(error, s.out)}", file=sys.stderr)
        return 1
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        print(f"compress: memory ran out, nothing was written: {search.SMALLER}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("compress: stopped; nothing was written", file=sys.stderr)
        return 130


def _mended(error: OSError, out: Path) -> str:
    """What to do about it."""
    if full(error):
        return (
            f"free space there (temporary files are in {tempfile.gettempdir()}, or where TMPDIR says; the package goes "
            f"to {out.absolute().parent}), or raise the limit that is set for it"
        )
    return "give paths that can be read, and an --out where a folder can be made"


def run(s: argparse.Namespace) -> None:
    package.vacant(s.out)
    parent = package.read(s.package)
    material = data.gather(
        parent, data=s.data, root=s.root, seed=s.seed, calibration=s.calibration, rows=s.calibration_rows
    )
    options = apply.Options(
        s.max_drop, s.max_noise, tuple(s.method or METHODS), s.reduce_range, s.block, tuple(s.steps), _training(s)
    )
    if s.step == "search":
        search.search(parent, material, s.out, options, s.target, told=not s.brief)
    else:
        report(apply.step(parent, s.step, material, s.out, options), s.out)


def report(outcome: apply.Outcome, out: Path) -> None:
    details = outcome.details
    before, after = details["size"]["before"], details["size"]["after"]
    larger = " LARGER than before" if after > before else ""
    print(f"size       {before:,} → {after:,} bytes{larger}")
    for tried in details.get("tried", ()):
        print("tried      " + "  ".join(f"{key} {value}" for key, value in tried.items()))
    if "accuracy" in details:
        accuracy = details["accuracy"]
        print(f"accuracy   {accuracy['before']:.2%} → {accuracy['after']:.2%} on the test split")
    if "compressed_size" in details:
        print("compressed {before:,} → {after:,} bytes (zlib)".format(**details["compressed_size"]))
    print(f"outputs    largest difference {details['max_abs_error']:.3g}, noise {details['noise']:.2%}")
    low, high = details["latency_ratio"]
    noise = ", a difference that cannot be told from noise" if low <= 1 <= high else ""
    between = f"{low:.2f} to {high:.2f} times{noise}"
    print("latency    {before} → {after} µs, one thread, batch 1".format(**details["latency_us"]) + f" ({between})")
    print(f"packaged in {out}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _block(text: str) -> int:
    value = _count(text)
    if value < 16 or value & (value - 1):
        raise argparse.ArgumentTypeError(f"{text} is no power of 2 from 16 on")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return value


def _part(text: str) -> float:
    value = _share(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
