"""Make a language model smaller and faster: python -m training.language FOLDER --out FOLDER [--steps weight8 mixed]."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.arguments import REQUIRED, SHARE, add_options, option, parsed
from training.errors import Advice, TrainingError, exit_code
from training.language import optimized
from training.language.forms import FORMS
from training.language.optimized import FLOOR, Outcome, Parent

REPORT = "forms.json"
ABOUT = """Make a language model smaller and faster, and say what it is worth then: each form is judged by the tokens of
the float model that it finds the likeliest, too, and by perplexity, and refused below a floor. The forms:

"""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """steps: names of FORMS; all of them, where it is empty, and then it is no failure that some are refused."""

    out: Path = option(REQUIRED, "new folder; each form is a folder in it", Path)
    steps: tuple[str, ...] = option((), "only these: %(choices)s", nargs="+", choices=tuple(FORMS))
    floor: float = option(FLOOR, "share of tokens that must agree with the float model (%(default)s)", SHARE)
    graph: str | None = option(None, "which of several graphs in the folder, such as onnx/model.onnx")


def main(arguments: list[str] | None = None) -> int:
    namespace = _parser().parse_args(arguments)
    advice = Advice(
        file=lambda error: "nothing of this form was written: give an --out where there is room, and a readable folder",
        memory=lambda: ": a tensor, a text's logits and the model itself have to fit",
        interrupt=lambda: "; nothing of this form was written",
    )
    return exit_code("language", lambda: run(namespace.folder, parsed(Choice, namespace)), advice)


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {form.name:10} {form.about}" for form in FORMS.values())
    parser = argparse.ArgumentParser(
        prog="python -m training.language",
        description=ABOUT + lines,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a decoder in FP32 or FP16, as it was exported")
    add_options(parser, "forms", Choice)
    return parser


def run(folder: Path, choice: Choice) -> None:
    """Raises TrainingError, also where a form that was asked for is refused, or all are."""
    optimized.check_out(folder, choice.out)
    parent = optimized.read(folder, choice.graph)
    before = parent.reference.figures
    _say(f"float: {before.size / 1e6:.1f} MB, perplexity {before.perplexity:.2f}, {before.speed:.1f} tokens/CPU s")
    chosen = [FORMS[name] for name in choice.steps or FORMS]
    try:
        outcomes = [optimized.make(parent, form, choice.out / form.name, choice.floor, _say) for form in chosen]
    finally:
        with suppress(OSError):  # it is there, and has forms in it, or was never made
            choice.out.rmdir()
    refused = [outcome for outcome in outcomes if outcome.refused]
    if len(refused) < len(outcomes):
        _write(choice.out, parent, outcomes)
    if refused and (choice.steps or len(refused) == len(outcomes)):
        reasons = "; ".join(f"{outcome.form}: {outcome.refused}" for outcome in refused)
        raise TrainingError(f"{reasons}. Not written; take a form of more bits, or a lower --floor")


def _write(out: Path, parent: Parent, outcomes: list[Outcome]) -> None:
    rows: list[dict[str, Any]] = [{"step": "parent", "refused": None, **parent.reference.figures.noted()}]
    for outcome in outcomes:
        rows.append({"step": outcome.form, "what": outcome.what, "refused": outcome.refused, **outcome.figures.noted()})
    (out / REPORT).write_text(json.dumps({"steps": rows}, indent=1) + "\n", encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
