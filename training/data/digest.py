"""What a split contains, as a line of text: another order of its items, or another item, gives another one."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from shared.values import cells
from training.data.source import Split


def contents(split: Split) -> str:
    """As "54,000 items, 3f0a…": the number of items, and the beginning of a SHA-256 of values and labels."""
    values, labels = split
    digest = hashlib.sha256(str(values.shape).encode())
    for part in values if values.dtype == object else [values]:  # texts, sounds of any length, rows
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else _shown(part).encode())
    digest.update(np.ascontiguousarray(labels).data)
    return f"{len(labels):,} items, {digest.hexdigest()[:12]}"


def _shown(value: Any) -> str:
    """Of a row, categories as their texts: so those are written who noted digests before numbers were some."""
    if not isinstance(value, dict):
        return repr(value)
    return repr({name: cells.text(cell) if isinstance(cell, int) else cell for name, cell in value.items()})
