"""What the names of files tell of a package without amaas.json: that it is more than a graph.

A graph alone is registered as a model of tensors. Beside files that say more, that would lose what they say, without
a word.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

# Hugging Face's, ONNX Runtime GenAI's and MLflow's files, by which the client derives an amaas.json
DESCRIBING = ("config.json", "tokenizer.json", "preprocessor_config.json", "genai_config.json", "MLmodel")


class Problem(Struct, frozen=True):
    code: str
    reason: str


def problem(place: str, names: Collection[str], *, has_graph: bool) -> Problem | None:
    """Why files without an amaas.json are no package, and what to do; None where their names are no reason.

    place: what they are in, as the reason names it.
    """
    describing = [name for name in DESCRIBING if name in names]
    if not describing or not has_graph:
        return None
    reason = (
        f"{place} has {', '.join(describing)} beside the graph, and no amaas.json: a service registers what an "
        "amaas.json declares, and derives none. `amaas push FOLDER` derives it on your machine and sends the package; "
        "or write it by `amaas push FOLDER --print > amaas.json`, and put all files again, with it; or put the graph "
        "alone, for a model of plain tensors"
    )
    return Problem("undeclared", reason)
