"""Whether pareto.svg shows what the report says."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from training.compress import plot


def drawn_is(report: dict[str, Any], text: str) -> None:
    """Each panel has a point per step, in the order of what its axes say; the Pareto set is filled, and named."""
    panels = {e.get("id"): e for e in ElementTree.fromstring(text) if e.tag.endswith("}g")}
    rows = {row["step"]: row for row in report["steps"]}
    assert set(panels) == {"size", "latency"}
    for name, across in (("size", "size"), ("latency", "latency_us")):
        parts = {kind: [e for e in panels[name] if e.tag.endswith("}" + kind)] for kind in ("circle", "text")}
        at = {str(e[0].text).partition(":")[0]: (float(e.get("cx", 0)), float(e.get("cy", 0))) for e in parts["circle"]}
        filled = {str(e[0].text).partition(":")[0] for e in parts["circle"] if e.get("fill") == plot.ON}
        assert set(at) == set(rows) and filled == {step for step, row in rows.items() if row["pareto"]}
        assert filled <= {e.text for e in parts["text"] if e.get("font-weight") == "bold"}
        for one, first in rows.items():
            for other, second in rows.items():
                if first[across] < second[across]:
                    assert at[one][0] <= at[other][0]
                quality = [row.get("validation_accuracy", -row["noise"]) for row in (first, second)]
                if quality[0] > quality[1]:
                    assert at[one][1] <= at[other][1], "the better is further up"
        left, right = plot.LEFTS[name], plot.LEFTS[name] + plot.ACROSS
        assert all(left <= x <= right and plot.TOP <= y <= plot.BOTTOM for x, y in at.values())
