"""The forms that a language model can be brought to, one entry each; and which matrix gets how many bits in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.runtime.caches import Geometry
from training.language import sensitivity
from training.language.blocks import Shape
from training.language.source import Matrix, Source
from training.language.written import Planned

FINE, EIGHT, FOUR = Shape(8, 16, False), Shape(8, 32, False), Shape(4, 32, True)
SHARES = (0.75, 0.5, 0.25)  # of the weights between table and logits, in 4 bits


@dataclass(frozen=True)
class Measured:
    """Of the float model: see activations.py. squares and scales by the matrix' name, [inputs].

    tokens: of the text that it was measured with.
    """

    source: Source
    squares: Mapping[str, np.ndarray]
    scales: Mapping[str, np.ndarray]
    tokens: Sequence[int]
    geometry: Geometry | None


Plan = dict[str, Planned]


@dataclass(frozen=True)
class Form:
    """plans: of several, the first that is good enough is taken; with a word on what is in each."""

    name: str
    about: str
    plans: Callable[[Measured], Iterator[tuple[str, Plan]]]


def _eight(measured: Measured) -> Iterator[tuple[str, Plan]]:
    yield "8 bits", {matrix.name: _planned(measured, matrix, FINE) for matrix in measured.source.matrices}


def _four(measured: Measured) -> Iterator[tuple[str, Plan]]:
    yield "4 bits; table and logits 8", _divided(measured, {one.name for one in _inner(measured.source)})


def _mixed(measured: Measured) -> Iterator[tuple[str, Plan]]:
    """4 bits where they cost least for the weights that they bring: in the first of SHARES of them, then in fewer."""
    parts = sensitivity.parts(_inner(measured.source))
    four = {matrix.name: _planned(measured, matrix, FOUR) for part in parts for matrix in part}
    sizes = [sum(matrix.shape[0] * matrix.shape[1] for matrix in part) for part in parts]
    costs = sensitivity.damages(measured.source, four, parts, measured.tokens, measured.geometry)
    order = sorted(range(len(parts)), key=lambda place: costs[place] / sizes[place])
    totals = np.cumsum([sizes[place] for place in order])
    for share in SHARES:
        places = [place for place, total in zip(order, totals, strict=True) if total <= share * totals[-1]]
        chosen = {matrix.name for place in places for matrix in parts[place]}
        if chosen:
            yield f"4 bits in {share:.0%} of the weights, 8 in the others", _divided(measured, chosen)


FORMS = {
    form.name: form
    for form in (
        Form("weight8", "weights in 8 bits, a scale for each 16", _eight),
        Form("mixed", "as many in 4 bits as the floor allows, by what these cost", _mixed),
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
