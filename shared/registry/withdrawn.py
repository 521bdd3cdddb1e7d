"""Operators that the gate once accepted and that are no longer served: versions with one of them are refused.

The gate writes into each manifest the number of uses of every operator (`gate.operators`, functions included), and the
edition of its rules (`gate.edition`). A lookup in this dictionary is enough, so that calls are not delayed.
"""

from __future__ import annotations

from typing import Any

from shared.errors import Unavailable

# Of the gate's rules. 2: the operators below are refused, and guards protect kernels from callers' values.
EDITION = 2
# com.microsoft operator → the defect, and the replacement
WITHDRAWN = {
    "Inverse": (
        "ONNX Runtime does not check that its matrices are square, and then writes beyond its memory",
        "compute the inverse before the export and keep it as a constant, or write it out with standard operators",
    ),
}


def check(model: str, version: int, gate: dict[str, Any] | None) -> None:
    """Raises Unavailable for a version that a recheck refused, or with an operator of WITHDRAWN.

    gate: the member of the manifest.
    """
    result = gate or {}
    if refused := result.get("refused"):
        raise Unavailable(f"version {version} of {model!r} was checked again and is not served: {refused['reason']}")
    operators = result.get("operators") or {}
    if result.get("edition", 1) >= EDITION or WITHDRAWN.keys().isdisjoint(operators):
        return
    for name, (defect, replacement) in WITHDRAWN.items():
        if name in operators:
            raise Unavailable(
                f"version {version} of {model!r} is no longer served: it uses com.microsoft {name}, and {defect}. "
                f"Move the alias to another version (`amaas rollback {model}`), or push the model again without "
                f"{name}: {replacement}"
            )
