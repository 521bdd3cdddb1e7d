"""The forms that a language model can be brought to, one entry each; and which matrix gets how many bits in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from training.language.blocks import Shape, quantized, restored
from training.language.source import Matrix, Source
from training.language.written import Planned

EIGHT, FINER, FOUR = Shape(8, 32, False), Shape(8, 16, False), Shape(4, 32, True)
SHARES = (0.75, 0.5, 0.25)  # of the weights between table and logits, in 4 bits
SAMPLED = 128  # columns of a matrix by which its error in 4 bits is told


@dataclass(frozen=True)
class Measured:
    """Of the float model: see activations.py. squares and scales by the matrix' name, [inputs]."""

    source: Source
    squares: Mapping[str, np.ndarray]
    scales: Mapping[str, np.ndarray]


Plan = dict[str, Planned]


@dataclass(frozen=True)
class Form:
    """plans: of several, the first that is good enough is taken; with a word on what is in each."""

    name: str
    about: str
    plans: Callable[[Measured], Iterator[tuple[str, Plan]]]


def _eight(measured: Measured) -> Iterator[tuple[str, Plan]]:
    for shape in (EIGHT, FINER):
        plan = {matrix.name: _planned(measured, matrix, shape) for matrix in measured.source.matrices}
        yield f"8 bits, a scale for each {shape.block}", plan


def _four(measured: Measured) -> Iterator[tuple[str, Plan]]:
    yield "4 bits; table and logits 8", _divided(measured, {one.name for one in _inner(measured.source)})


def _mixed(measured: Measured) -> Iterator[tuple[str, Plan]]:
    """The matrices that 4 bits cost least have 4 bits: as many as hold the first of SHARES, then the next."""
    inner = sorted(_inner(measured.source), key=lambda matrix: _error(measured, matrix))
    sizes = np.cumsum([matrix.shape[0] * matrix.shape[1] for matrix in inner])
    for share in SHARES:
        chosen = {matrix.name for matrix, size in zip(inner, sizes, strict=True) if size <= share * sizes[-1]}
        if chosen:
            yield f"4 bits in {share:.0%} of the weights, 8 in the others", _divided(measured, chosen)


FORMS = {
    form.name: form
    for form in (
        Form("weight8", "weights in 8 bits, a scale for each 32, or 16", _eight),
        Form("mixed", "as many in 4 bits as the floor allows, by measured error", _mixed),
        Form("weight4", "weights in 4 bits, a scale and a zero point for each 32", _four),
    )
}


def _divided(measured: Measured, four: set[str]) -> Plan:
    return {
        matrix.name: _planned(measured, matrix, FOUR if matrix.name in four else EIGHT)
        for matrix in measured.source.matrices
    }


def _planned(measured: Measured, matrix: Matrix, shape: Shape) -> Planned:
    scales, importance = measured.scales.get(matrix.name), measured.squares.get(matrix.name)
    if importance is not None and scales is not None:
        importance = importance / scales**2  # of what is multiplied once it is divided
    return Planned(shape, scales, importance)


def _inner(source: Source) -> list[Matrix]:
    """All but tables, and what gives the logits: an error there is not made good by any layer behind it."""
    last = source.matrices[-1].name
    return [matrix for matrix in source.matrices if matrix.products and not matrix.tables and matrix.name != last]


def _error(measured: Measured, matrix: Matrix) -> float:
    """The share of a product's mean square that 4 bits put wrong, by some of the matrix' columns."""
    planned = _planned(measured, matrix, FOUR)
    columns = measured.source.columns(matrix)
    weights = np.array(columns[:, :: max(1, columns.shape[1] // SAMPLED)], np.float32)
    parts = quantized(weights, FOUR, planned.importance, planned.scales)
    scaled = weights if planned.scales is None else weights * planned.scales[:, None]
    wrong = np.concatenate([restored(part, FOUR, len(weights)) for part in parts], axis=1) - scaled
    counts = np.ones(len(weights)) if planned.importance is None else planned.importance
    return float((counts[:, None] * wrong**2).sum() / max((counts[:, None] * scaled**2).sum(), 1e-30))
