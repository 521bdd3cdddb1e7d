"""The page of the quantising benchmark shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from bench.quantise import page

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


def test_the_committed_page_is_that_of_the_committed_figures() -> None:
    report = json.loads((RESULTS / "quantise.json").read_text())
    assert (RESULTS / "quantise.md").read_text() == page.text(report)
    assert (RESULTS / "quantise.svg").read_text() == page.svg(report)


def test_a_point_for_each_row_and_the_better_one_lies_lower() -> None:
    rows = [
        {"name": "as it is", "by": "", "bytes": 100, "noise": 0.0, "us": 2.0, "cosine": 1.0},
        {"name": "good", "by": "ours", "bytes": 30, "noise": 0.01, "us": 1.0, "cosine": 0.99},
        {"name": "bad", "by": "ONNX Runtime's default", "bytes": 30, "noise": 0.5, "us": 1.0, "cosine": 0.9},
    ]
    machine = {"cpu": "a CPU", "integer_dot_products": []}
    model = {"title": "M", "about": "one sentence", "rows": rows, "missing": {"int8": "no"}, "machine": machine}
    report = {"models": {"m": model}, "versions": {"onnx": "1"}}
    drawn = ElementTree.fromstring(page.svg(report))
    circles = [one for one in drawn if one.tag.endswith("circle")][len(page.COLOURS) :]
    height = {one.get("fill"): float(one.get("cy", "")) for one in circles}
    assert len(circles) == 2 and height[page.COLOURS["ours"]] > height[page.COLOURS["ONNX Runtime's default"]]
    shown = page.text(report)
    assert "| `good` | ours | 30 | 1.0% | 0.9900 | 1 |" in shown and "`int8` made nothing: no" in shown
