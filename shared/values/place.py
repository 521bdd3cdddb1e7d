"""Where a value stands, in words: the begin of each message about it."""

from __future__ import annotations

from collections.abc import Callable

Where = Callable[[tuple[int, ...]], str]  # an index into an array → its place in what the caller sent


def in_input(name: str, prefix: str = "") -> Where:
    """Of a tensor. prefix: what the tensor belongs to, as in "golden case 3, "."""

    def where(index: tuple[int, ...]) -> str:
        return f"{prefix}input {name!r}" + (f" at {list(index)}" if index else "")

    return where


def in_output(name: str, prefix: str = "") -> Where:
    """Of an answer's tensor, as golden sets have them."""

    def where(index: tuple[int, ...]) -> str:
        return f"{prefix}output {name!r}" + (f" at {list(index)}" if index else "")

    return where


def in_column(name: str) -> Where:
    """Of a table's column, whose rows are counted from 0, as the answer's results are."""

    def where(index: tuple[int, ...]) -> str:
        return f"row {index[0]}, column {name[:100]!r}" if index else f"column {name[:100]!r}"

    return where
