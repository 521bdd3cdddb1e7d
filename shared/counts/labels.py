"""Which of a version's labels are counted by name."""

from __future__ import annotations

from shared.counts.counts import MOST_LABELS
from shared.package.manifest import Manifest


def named(manifest: Manifest) -> list[str]:
    """Those that were frequent when the model was made, else the first ones; all others are counted as one.

    They follow from the version alone, so that what two processes counted fits together.
    """
    known = ((manifest.reference or {}).get("scores") or {}).get("labels") or {}
    ranks = {label: -number for label, number in known.items() if isinstance(number, (int, float))}
    return sorted(manifest.labels, key=lambda label: ranks.get(label, 0))[:MOST_LABELS]
