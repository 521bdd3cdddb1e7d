"""What 4 bits cost where: parts of a decoder are brought to them, each alone, and its distributions compared.

A part is the matrices of one shape in one third of the layers: of one shape are those of one kind (queries, gates, …),
whatever an exporter calls them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from shared.runtime.caches import Geometry
from training.language import activations, judge, written
from training.language.source import Matrix, Source
from training.language.written import Planned

THIRDS = 3


def parts(matrices: Sequence[Matrix]) -> list[list[Matrix]]:
    """matrices: in the order of their layers."""
    thirds = {matrix.name: THIRDS * place // len(matrices) for place, matrix in enumerate(matrices)}

    def key(matrix: Matrix) -> tuple[int, int, int]:
        return (*matrix.shape, thirds[matrix.name])

    return [list(part) for _, part in groupby(sorted(matrices, key=key), key)]


def damages(
    source: Source,
    plan: Mapping[str, Planned],
    of: Sequence[list[Matrix]],
    tokens: Sequence[int],
    geometry: Geometry | None,
) -> list[float]:
    """By how much the distributions along the tokens diverge, in nats a token, where one part alone is as planned."""
    expected = activations.logits(source.path, tokens, geometry)
    found = []
    for part in of:
        with tempfile.TemporaryDirectory() as folder:
            written.write(source, {matrix.name: plan[matrix.name] for matrix in part}, Path(folder))
            logits = activations.logits(Path(folder) / written.MODEL, tokens, geometry)
        found.append(float(np.mean([judge.divergence(*rows) for rows in zip(expected, logits, strict=True)])))
    return found
