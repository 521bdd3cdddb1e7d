"""Whether pareto.svg shows what the report says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from training.compress import pareto_plot

SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


def drawn_is(report: dict[str, Any], path: Path) -> None:
    """Each panel has a point per step, in the order of what its axes say; the Pareto set is filled, and named."""
    root = ElementTree.parse(path).getroot()
    rows = {row["step"]: row for row in report["steps"]}
    bold = {text.text for text in root.iter(f"{SVG}text") if re.search(r"bold|700", text.get("style", ""))}
    for panel, across in (("size", "size"), ("latency", "latency_us")):
        points = {name: point(root, f"{panel}-{name}") for name in rows}
        at = {name: (float(use.get("x", 0)), float(use.get("y", 0))) for name, use in points.items()}
        filled = {name for name, use in points.items() if pareto_plot.PARETO in use.get("style", "")}
        assert filled == {name for name, row in rows.items() if row["pareto"]} <= bold
        for one, first in rows.items():
            for other, second in rows.items():
                if first[across] < second[across]:
                    assert at[one][0] <= at[other][0]
                quality = [row.get("validation_accuracy", -row["noise"]) for row in (first, second)]
                if quality[0] > quality[1]:
                    assert at[one][1] <= at[other][1], "the better is further up"
        width, height = map(float, root.get("viewBox", "").split()[2:])
        assert all(0 <= x <= width and 0 <= y <= height for x, y in at.values())


def point(root: ElementTree.Element, name: str) -> ElementTree.Element:
    """The marker with this id."""
    [group] = [group for group in root.iter(f"{SVG}g") if group.get("id") == name]
    [use] = [use for use in group.iter(f"{SVG}use") if use.get(HREF)]
    return use
