"""What a split contains, as a line of text: another order of its items, or another item, gives another one."""

from __future__ import annotations

import hashlib

import numpy as np

from training.data.source import Split


def contents(split: Split) -> str:
    """As "54,000 items, 3f0a…": the number of items, and the beginning of a SHA-256 of values and labels."""
    values, labels = split
    digest = hashlib.sha256(str(values.shape).encode())
    for part in values if values.dtype == object else [values]:  # texts, sounds of any length, rows
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else repr(part).encode())
    digest.update(np.ascontiguousarray(labels).data)
    return f"{len(labels):,} items, {digest.hexdigest()[:12]}"
