"""What the names of files tell of a package without amaas.json: that it is more than a graph, or none at all.

A graph alone is registered as a model of tensors. Beside files that say more, that would lose what they say, without
a word; of other forms than ONNX, nobody waits for a graph.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from msgspec import Struct

# Hugging Face's, ONNX Runtime GenAI's and MLflow's files, by which the client derives an amaas.json
DESCRIBING = ("config.json", "tokenizer.json", "preprocessor_config.json", "genai_config.json", "MLmodel")
PICKLES = (".joblib", ".pkl", ".pickle")
OTHER_MODELS = (*PICKLES, ".pt", ".pth", ".h5", ".keras", ".safetensors", ".tflite")
SHOWN = 5  # files that a reason names


class Problem(Struct, frozen=True):
    code: str
    reason: str


def problem(place: str, names: Collection[str], *, has_graph: bool) -> Problem | None:
    """Why files without an amaas.json are no package, and what to do; None where their names are no reason.

    place: what they are in, as the reason names it.
    """
    if not has_graph:
        return _of_another_form(place, names)
    describing = [name for name in DESCRIBING if name in names]
    if not describing:
        return None
    reason = (
        f"{place} has {', '.join(describing)} beside the graph, and no amaas.json: a service registers what an "
        "amaas.json declares, and derives none. `amaas push FOLDER` derives it on your machine and sends the package; "
        "or write it by `amaas push FOLDER --print > amaas.json`, and put all files again, with it; or put the graph "
        "alone, for a model of plain tensors"
    )
    return Problem("undeclared", reason)


def _of_another_form(place: str, names: Collection[str]) -> Problem | None:
    models = sorted(name for name in names if _suffix(name) in OTHER_MODELS)
    if not models:
        return None
    pushed = "FOLDER" if any(name in names for name in DESCRIBING) else models[0][:100]
    trusted = " --trust-pickle" if _suffix(models[0]) in PICKLES else ""
    reason = (
        f"{place} has {', '.join(models[:SHOWN])[:300]}, and no graph (.onnx), which is what a service runs: "
        f"`amaas push {pushed}{trusted}` converts a model on your machine, or says how to make ONNX of it (see "
        "docs/bring-a-model.md)"
    )
    return Problem("not_onnx", reason)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
