"""A folder in one of the forms: written, judged, and kept or refused. The recipe; no measuring in here.

What comes out has the form of the folder that went in, so that `amaas push` takes it: config.json, tokenizer and
template as they were, model.onnx and its weights anew, and an amaas.json with lineage and golden set.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import package
from training.errors import TrainingError
from training.language import activations, judge, prompts, source, written
from training.language.forms import Form, Measured
from training.language.judge import Figures, Reference
from training.language.prompts import Tongue
from training.language.source import Source

FLOOR = 0.95  # share of tokens that agree, by default
SPREAD = 0.03  # by so much may agreement be less on another processor, whose kernels sum otherwise
LEAST = 0.5  # the least that a package may ask for
MANIFEST = "amaas.json"
DROPPED = (".onnx", ".onnx_data", ".onnx.data", ".safetensors", ".bin", ".gguf", ".pt", ".sig")  # the parent's weights


@dataclass(frozen=True)
class Parent:
    """A language model in floats, with what was measured of it once for all forms."""

    folder: Path
    source: Source
    tongue: Tongue
    measured: Measured
    reference: Reference


@dataclass(frozen=True)
class Outcome:
    """refused: why it was not kept. what: the plan that was judged last."""

    form: str
    what: str
    figures: Figures
    refused: str | None = None


def read(folder: Path, chosen: str | None = None) -> Parent:
    """Find, and measure. Raises TrainingError for a folder that is no decoder in floats."""
    decoder, tongue = source.find(folder, chosen), prompts.of_folder(folder)
    geometry = tongue.geometry
    text = tongue.text("calibration.txt")
    squares = activations.squares(decoder, text, geometry)
    measured = Measured(decoder, squares, activations.scales(decoder, squares), text, geometry)
    asked, held = tongue.prompts(), tongue.text("held.txt")
    reference = judge.refer(decoder.path, decoder.size, geometry, asked, held, tongue.ends)
    return Parent(folder, decoder, tongue, measured, reference)


def make(parent: Parent, form: Form, out: Path, floor: float, report: Callable[[str], None]) -> Outcome:
    """Write the form into out, unless it agrees on fewer tokens than the floor. Raises TrainingError.

    Whatever happens, out is whole, or is not there.
    """
    outcome = None
    for what, plan in form.plans(parent.measured):
        with _unless_refused(), package.whole(out) as draft:
            size = written.write(parent.source, plan, draft)
            figures = judge.judged(draft / written.MODEL, size, parent.tongue.geometry, parent.reference)
            outcome = Outcome(form.name, what, figures, _refusal(figures, floor))
            report(f"{form.name}: {what}: {told(figures, parent.reference.figures)}")
            if outcome.refused:
                raise _Refused
            _complete(parent, outcome, draft)
            return outcome
    assert outcome is not None, "a form has at least one plan"
    return outcome


def told(figures: Figures, before: Figures) -> str:
    """For people."""
    return (
        f"{figures.size / 1e6:.1f} MB, {figures.agreed} of {figures.tokens} tokens agree ({figures.agreement:.1%}), "
        f"perplexity {figures.perplexity / before.perplexity:.4f} times, divergence {figures.divergence:.4f}, "
        f"{figures.speed:.1f} tokens per CPU second ({before.speed:.1f} before), loaded in {figures.load:.2f} s"
    )


class _Refused(Exception):
    """Ends a draft."""


class _unless_refused:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is _Refused


def _refusal(figures: Figures, floor: float) -> str | None:
    if not math.isfinite(figures.perplexity):
        return "it answers with what are no numbers"
    if figures.agreement >= floor:
        return None
    return (
        f"{figures.agreed} of {figures.tokens} tokens agree with the float model ({figures.agreement:.1%}), fewer than "
        f"the floor of {floor:.1%}"
    )


def _complete(parent: Parent, outcome: Outcome, draft: Path) -> None:
    """The parent's other files, and amaas.json."""
    skipped = {MANIFEST, *parent.source.beside}
    for path in sorted(parent.folder.iterdir()):
        if path.is_file() and path.name not in skipped and not path.name.endswith(DROPPED):
            shutil.copyfile(path, draft / path.name)
    manifest = _manifest(parent) | {"lineage": _lineage(parent, outcome), "golden": _golden(parent, outcome.figures)}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _manifest(parent: Parent) -> dict[str, Any]:
    """What the folder's own amaas.json says, if it has one: the rest is derived when it is pushed."""
    path = parent.folder / MANIFEST
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _lineage(parent: Parent, outcome: Outcome) -> dict[str, Any]:
    with parent.source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = _manifest(parent).get("name") or parent.folder.resolve().name
    details = {"step": outcome.form, "method": f"MatMulNBits, {outcome.what}; activations scaled for blocks of 8 bits"}
    figures = {"before": parent.reference.figures.noted(), "after": outcome.figures.noted()}
    return {"parent": f"{name}@sha256:{digest}", "step": "quantize", "details": details | {"figures": figures}}


def _golden(parent: Parent, figures: Figures) -> dict[str, Any]:
    """The float model's tokens, and how many of them the gate asks for."""
    cases = [
        {"inputs": parent.tongue.told(case.prompt), "outputs": {"tokens": case.answer}}
        for case in parent.reference.cases
    ]
    return {"cases": cases, "agree": max(LEAST, math.floor(100 * (figures.agreement - SPREAD)) / 100)}


def check_out(folder: Path, out: Path) -> None:
    """Raises TrainingError where the forms could not be written in the end."""
    package.vacant(out)
    if out.absolute().is_relative_to(folder.absolute()):
        raise TrainingError(f"--out {out} is within {folder}: give a folder outside of it")
