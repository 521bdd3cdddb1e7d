"""The command line of training.compress."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from training.arguments import add_options, parsed
from training.compress import steps
from training.compress.options import Data, FineTuning, Options, Search
from training.errors import TrainingError

SEARCH = "search"
ABOUT = """Make a package smaller or faster: python -m training.compress int8 PACKAGE --out FOLDER --data fashion-mnist

STEP is one of these, or `search`, which tries what fits and says which is best:

"""


@dataclass(frozen=True)
class Settings:
    """step: its name, or SEARCH."""

    step: str
    package: Path
    out: Path
    data: Data
    options: Options


def settings(arguments: list[str] | None) -> Settings:
    namespace = parser().parse_args(arguments)
    options = replace(
        parsed(Options, namespace), search=parsed(Search, namespace), fine_tuning=parsed(FineTuning, namespace)
    )
    return Settings(namespace.step, namespace.package, namespace.out, parsed(Data, namespace), options)


def check(fine_tuning: FineTuning) -> None:
    """Raises TrainingError for values that mean nothing."""
    if fine_tuning.alpha is not None and fine_tuning.alpha > 1:
        raise TrainingError(f"--alpha {fine_tuning.alpha:g} is more than all: give 0 to 1")
    if fine_tuning.temperature == 0:
        raise TrainingError(
            "--temperature 0 divides by nothing: give 1 for the scores as they are, more to soften them"
        )


def parser() -> argparse.ArgumentParser:
    command_line = argparse.ArgumentParser(
        prog="python -m training.compress",
        description=ABOUT + steps.described(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command_line.add_argument
    add("step", metavar="STEP", choices=(*steps.STEPS, SEARCH), help=f"{', '.join(steps.STEPS)} or {SEARCH}")
    add("package", type=Path, metavar="PACKAGE", help="folder with model.onnx, amaas.json and golden.npz")
    add("--out", type=Path, required=True, help="output folder of the package; must not exist yet")
    add_options(command_line, "data", Data)
    add_options(command_line, "steps", Options)
    add_options(command_line, "search", Search)
    trained = ", ".join(step.name for step in steps.STEPS.values() if step.schedule)
    add_options(command_line, f"steps that train ({trained}): need --data", FineTuning)
    return command_line
