"""The proof of a conversion: the graph answers as the original model does, or it is not pushed.

A graph computes in FP32, its original in FP64. A row on the edge of a tree's split may fall to the other side: it is
left out if the original itself answers so when the row is moved by a rounding, and is an error otherwise.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from amaas.convert import golden, rows
from amaas.convert.columns import Table
from amaas.convert.errors import NotConverted
from amaas.convert.graph import OUTPUT
from amaas.convert.original import Original

RELATIVE, ABSOLUTE = 1e-3, 1e-5  # of the answer; of the largest answer
LEAST = 1e-3  # answer for which that is so
NUDGES = (-1e-6, -2e-7, 2e-7, 1e-6)
GOLDEN = 64  # rows
GATE_ABSOLUTE = 1e-4  # of golden sets that say none
MOST_ON_EDGES = 0.25  # share of rows


class Proof(NamedTuple):
    """golden: arrays as golden.npz has them; None where no row says anything. compared: how many rows were."""

    golden: dict[str, np.ndarray] | None
    compared: int
    notes: list[str]


def prove(original: Original, session: Any, table: Table, *, given: bool) -> Proof:
    """session: of the graph. given: whether the rows are the user's. Raises NotConverted for other answers."""
    expected = _answers(original, table)
    finite = np.isfinite(expected).all(axis=1)
    table, expected = rows.chosen(table, finite), expected[finite]
    if not len(expected):
        raise NotConverted(f"{original.name} answers no row with a number: give real ones, --examples rows.csv")
    answered = _run(session, original, table, expected)
    fine = _agree(answered, expected)
    edges = _on_edges(original, table, answered, ~fine)
    if not (fine | edges).all() or edges.mean() > MOST_ON_EDGES:
        raise _other(original, answered, expected, ~fine)
    notes = [f"{edges.sum()} of {len(edges)} rows lie on the edge of a decision, and are not compared"]
    notes = notes if edges.any() else []
    kept = _golden(original, rows.chosen(table, fine), expected[fine])
    if not given and np.ptp(expected, axis=0).max() == 0 and len(expected) > 1:
        notes.append("all rows that were made up get the same answer: give real ones, --examples rows.csv")
    return Proof(kept, int(fine.sum()), notes)


def find_gaps(original: Original, session: Any, table: Table) -> None:
    """Notes which columns may be absent: the model answers such rows, and the graph answers alike."""
    for column in original.columns.each:
        if not column.is_number:
            continue
        with_gaps = table | {column.name: np.full(rows.size(table), np.nan)}
        with suppress(NotConverted):
            expected = _answers(original, with_gaps)
            if np.isfinite(expected).all():
                answered = _run(session, original, with_gaps, expected)
                alike = _agree(answered, expected)
                column.gap = bool((alike | _on_edges(original, with_gaps, answered, ~alike)).all())


def _answers(original: Original, table: Table) -> np.ndarray:
    try:
        return original.answer(table)
    except Exception as error:
        said = golden.first_line(error)
        raise NotConverted(f"{original.name} fails on the rows: {said}; give others, --examples rows.csv") from error


def _run(session: Any, original: Original, table: Table, expected: np.ndarray) -> np.ndarray:
    try:
        [answered] = session.run(None, original.columns.feeds(table))
    except Exception as error:
        said = golden.first_line(error)
        raise NotConverted(f"{original.name} has been converted to a graph that does not run: {said}") from error
    values = np.asarray(answered, np.float64).reshape(len(answered), -1)
    if values.shape != expected.shape:
        raise NotConverted(
            f"{original.name} answers with {expected.shape[1]} numbers for a row, and its conversion with "
            f"{values.shape[1]}: this model has no ONNX form"
        )
    return values


def _agree(answered: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """A truth for each row."""
    allowed = RELATIVE * np.abs(expected) + ABSOLUTE * max(LEAST, float(np.abs(expected).max()))
    return np.asarray((np.abs(answered - expected) <= allowed).all(axis=1))


def _on_edges(original: Original, table: Table, answered: np.ndarray, differing: np.ndarray) -> np.ndarray:
    """Of rows that differ, those that the original answers so when their numbers are moved a little."""
    edges = np.zeros(len(answered), bool)
    if not differing.any():
        return edges
    some = rows.chosen(table, differing)
    numbers = {column.name for column in original.columns.each if column.is_number}
    for nudge in NUDGES:
        moved = {name: values * (1 + nudge) if name in numbers else values for name, values in some.items()}
        edges[differing] |= _agree(answered[differing], _answers(original, moved))
    return edges


def _other(original: Original, answered: np.ndarray, expected: np.ndarray, differing: np.ndarray) -> NotConverted:
    row = int(np.argmax(differing))
    return NotConverted(
        f"the conversion of {original.name} answers otherwise than the model itself, in {int(differing.sum())} of "
        f"{len(expected)} rows: row {row} gets {_shown(answered[row])}, not {_shown(expected[row])}. Nothing is "
        "pushed: export the model to ONNX in another way, and push that file"
    )


def _shown(values: np.ndarray) -> str:
    return ", ".join(f"{value:.6g}" for value in values[:4]) + (", …" if len(values) > 4 else "")


def _golden(original: Original, table: Table, expected: np.ndarray) -> dict[str, np.ndarray] | None:
    """Rows whose answers differ come first; those that a golden set's own tolerance bears."""
    bears = (np.abs(expected) < 1e30).all(axis=1)
    table, expected = rows.chosen(table, bears), expected[bears].astype(np.float32)
    if not len(expected) or not np.abs(expected).max() > 10 * GATE_ABSOLUTE:
        return None
    _, first = np.unique(np.round(expected, 4), axis=0, return_index=True)
    others = np.setdiff1d(np.arange(len(expected)), first)
    places = np.sort(np.concatenate([first, others])[:GOLDEN])
    fed = original.columns.feeds(rows.chosen(table, places))
    return {f"input.{name}": values for name, values in fed.items()} | {f"output.{OUTPUT}": expected[places]}
