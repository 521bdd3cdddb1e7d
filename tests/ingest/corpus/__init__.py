"""Hostile packages, built here byte by byte, each with the code that the gate must answer. No binary is committed.

A module for each kind; whoever imports this one has them all in ATTACKS.
"""

from __future__ import annotations

from tests.ingest.corpus import elsewhere, endless, files, kernels, malformed, sizes
from tests.ingest.corpus.endless import loop
from tests.ingest.corpus.parts import (
    ATTACKS,
    FLOAT,
    INT64,
    add,
    external,
    ints,
    model,
    proto,
    scalar,
    value,
    with_weights,
)

__all__ = [
    "ATTACKS",
    "FLOAT",
    "INT64",
    "add",
    "elsewhere",
    "endless",
    "external",
    "files",
    "ints",
    "kernels",
    "loop",
    "malformed",
]
__all__ += ["model", "proto", "scalar", "sizes", "value", "with_weights"]
