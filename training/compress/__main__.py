"""Make a package smaller or faster: python -m training.compress STEP PACKAGE --out FOLDER (settings.py)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from training import package
from training.compress import apply, evaluation_data, search
from training.compress.apply import Outcome
from training.compress.settings import SEARCH, Settings, check, settings
from training.errors import Advice, exit_code, full


def main(arguments: list[str] | None = None) -> int:
    chosen = settings(arguments)
    advice = Advice(
        file=lambda error: f"nothing was written: {_correction(error, chosen.out)}",
        memory=lambda: f", nothing was written: {search.SMALLER}",
        interrupt=lambda: "; nothing was written",
    )
    return exit_code("compress", lambda: run(chosen), advice)


def _correction(error: OSError, out: Path) -> str:
    """What to do about it."""
    if full(error):
        return (
            f"free space there (temporary files are in {tempfile.gettempdir()}, or where TMPDIR says; the package goes "
            f"to {out.absolute().parent}), or raise the limit that is set for it"
        )
    return "give paths that can be read, and an --out where a folder can be made"


def run(chosen: Settings) -> None:
    """Raises TrainingError."""
    check(chosen.options.fine_tuning)
    package.vacant(chosen.out)
    parent = package.read(chosen.package)
    source = chosen.data
    data = evaluation_data.gather(
        parent,
        data=source.data,
        root=source.root,
        seed=source.seed,
        calibration=source.calibration,
        rows=source.calibration_rows,
    )
    if chosen.step == SEARCH:
        search.search(parent, data, chosen.out, chosen.options)
    else:
        report(apply.step(parent, chosen.step, data, chosen.out, chosen.options), chosen.out)


def report(outcome: Outcome, out: Path) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
