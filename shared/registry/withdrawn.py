"""Operators that the gate once let through, and that are no longer served: a version that holds one answers nobody.

The gate writes into each manifest how often every operator is used (`gate.operators`, functions included), and by which
edition of its rules it judged (`gate.edition`). A dictionary is all that is asked, so that no call waits for it.
"""

from __future__ import annotations

from typing import Any

from shared.errors import Unavailable

# Of the gate's rules. 2: the operators below are refused, and guards.py keeps callers' values from ending the process.
EDITION = 2
# com.microsoft operator → what is wrong with it, and what stands in for it.
WITHDRAWN = {
    "Inverse": (
        "ONNX Runtime does not check that its matrices are square, and then writes beyond its memory",
        "compute the inverse before the export and keep it as a constant, or write it out with standard operators",
    ),
}


def check(model: str, version: int, gate: dict[str, Any] | None) -> None:
    """Raises Unavailable for a version that an earlier edition let through with an operator of WITHDRAWN.

    And for one that was checked again, and refused.
    """
    judged = gate or {}
    if refused := judged.get("refused"):
        raise Unavailable(f"version {version} of {model!r} was checked again and is not served: {refused['reason']}")
    operators = judged.get("operators") or {}
    if judged.get("edition", 1) >= EDITION or WITHDRAWN.keys().isdisjoint(operators):
        return
    for name, (wrong, instead) in WITHDRAWN.items():
        if name in operators:
            raise Unavailable(
                f"version {version} of {model!r} is not served any more: it holds com.microsoft's {name}, and {wrong}. "
                f"Move the alias to another version (`amaas rollback {model}`), or push the model again without "
                f"{name}: {instead}"
            )
