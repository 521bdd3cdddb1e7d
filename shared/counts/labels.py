"""Which of a version's labels are counted by name."""

from __future__ import annotations

from typing import Any

from shared.counts.counts import MOST_LABELS
from shared.package.manifest import Manifest


def named(manifest: Manifest) -> list[str]:
    """Those that were frequent when the model was made, else the first ones; all others are counted as one.

    They follow from the version alone, so that what two processes counted fits together.
    """
    known = _member(_member(manifest.reference, "scores"), "labels")
    counts = known if isinstance(known, dict) else {}  # a package is anybody's
    ranks = {label: -number for label, number in counts.items() if isinstance(number, (int, float))}
    return sorted(manifest.labels, key=lambda label: ranks.get(label, 0))[:MOST_LABELS]


def _member(of: Any, name: str) -> Any:
    return of.get(name) if isinstance(of, dict) else None
